//! What a binding is made of: writes on a volume and a claim, and their phases. Main function: [`bind`].
//! Spec: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding>.

use api::{
    kinds::{
        persistent_volume::{self, PERSISTENT_VOLUME, fit},
        persistent_volume_claim::{self, BIND_COMPLETED, PERSISTENT_VOLUME_CLAIM},
        read::text,
    },
    meta,
};
use serde_json::{Value, json};

use crate::{Action, workload::write_status};

/// Value of annotations that say no more than that they are there.
const YES: &str = "yes";

/// The next writes that bring a claim and a volume together: first the volume says so, then the claim, then the claim's
/// status. Each causes the run that decides on the next.
pub(super) fn bind(claim: &Value, volume: &Value) -> Vec<Action> {
    if let Some(update) = claimed(volume, claim) {
        return vec![update];
    }
    let own = filled(claim, volume).or_else(|| claim_phase(claim, "Bound", Some(volume)));
    volume_phase(volume, "Bound", "").into_iter().chain(own).collect()
}

/// A volume that says whose it is.
fn claimed(volume: &Value, claim: &Value) -> Option<Action> {
    let mut new = volume.clone();
    if !fit::is_for(volume, claim) {
        annotate(&mut new, persistent_volume::BOUND_BY_CONTROLLER, Some(YES));
    }
    if !fit::is_for(volume, claim) || text(volume, "/spec/claimRef/uid") != meta::uid(claim) {
        new["spec"]["claimRef"] = reference(claim);
    }
    changed(&PERSISTENT_VOLUME, volume, new)
}

/// A claim as a volume names it.
pub(super) fn reference(claim: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": meta::namespace(claim),
        "name": meta::name(claim), "uid": meta::uid(claim), "resourceVersion": meta::resource_version(claim),
    })
}

/// A claim that says what it has.
fn filled(claim: &Value, volume: &Value) -> Option<Action> {
    let mut new = claim.clone();
    if text(claim, "/spec/volumeName") != meta::name(volume) {
        new["spec"]["volumeName"] = meta::name(volume).into();
        annotate(&mut new, persistent_volume_claim::BOUND_BY_CONTROLLER, Some(YES));
    }
    if meta::annotation(claim, BIND_COMPLETED).is_none() {
        annotate(&mut new, BIND_COMPLETED, Some(YES));
    }
    changed(&PERSISTENT_VOLUME_CLAIM, claim, new)
}

/// A volume that is for this claim no longer. One that a person meant for it stays meant for it.
pub(super) fn freed(volume: &Value) -> Option<Action> {
    let mut new = volume.clone();
    if meta::annotation(volume, persistent_volume::BOUND_BY_CONTROLLER).is_some() {
        new["spec"].as_object_mut()?.remove("claimRef");
        annotate(&mut new, persistent_volume::BOUND_BY_CONTROLLER, None);
    } else {
        new["spec"]["claimRef"].as_object_mut()?.remove("uid");
    }
    changed(&PERSISTENT_VOLUME, volume, new)
}

/// Writes what differs.
pub(super) fn changed(kind: &'static api::kinds::Kind, old: &Value, new: Value) -> Option<Action> {
    (*old != new).then_some(Action::Update { kind, part: "", object: new })
}

/// Sets or takes off an annotation.
pub(super) fn annotate(object: &mut Value, key: &str, value: Option<&str>) {
    let known = meta::get(object).and_then(|metadata| metadata.get("annotations")).and_then(Value::as_object);
    let mut all = known.cloned().unwrap_or_default();
    match value {
        Some(value) => _ = all.insert(key.to_owned(), value.into()),
        None => _ = all.remove(key),
    }
    meta::set(object, "annotations", (!all.is_empty()).then(|| all.into()));
}

/// A volume in this phase, and why.
pub(super) fn volume_phase(volume: &Value, phase: &str, message: &str) -> Option<Action> {
    if text(volume, "/status/phase") == phase {
        return None;
    }
    let mut status = json!({ "phase": phase });
    if !message.is_empty() {
        status["message"] = message.into();
    }
    write_status(&PERSISTENT_VOLUME, volume, status)
}

/// A claim in this phase, with what its volume offers. How large it is follows only as it is bound: a volume may grow first.
pub(super) fn claim_phase(claim: &Value, phase: &str, volume: Option<&Value>) -> Option<Action> {
    let mut status = claim.get("status").cloned().unwrap_or_else(|| json!({}));
    let is_new = text(claim, "/status/phase") != phase;
    status["phase"] = phase.into();
    let mut copy = |field: &str, to: &str| match volume.and_then(|volume| volume.pointer(&format!("/spec/{field}"))) {
        Some(offered) => status[to] = offered.clone(),
        None => _ = status.as_object_mut().map(|status| status.remove(to)),
    };
    copy("accessModes", "accessModes");
    if is_new || volume.is_none() {
        copy("capacity", "capacity");
    }
    copy("volumeAttributesClassName", "currentVolumeAttributesClassName");
    write_status(&PERSISTENT_VOLUME_CLAIM, claim, status)
}
