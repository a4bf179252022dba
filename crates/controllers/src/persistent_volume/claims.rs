//! What becomes of a claim: it gets a volume, waits for one, or has lost it.
//! Spec: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding>.

use api::{
    kinds::{
        persistent_volume::{PERSISTENT_VOLUME, fit, index},
        persistent_volume_claim::{BIND_COMPLETED, BOUND_BY_CONTROLLER, PERSISTENT_VOLUME_CLAIM, SELECTED_NODE},
        pod::{self, POD},
        read::{items, text},
        storage_class::{STORAGE_CLASS, default_of},
    },
    meta,
    quantity::Quantity,
};
use serde_json::Value;

use super::{Run, bind, normal, plan, provision, warning};
use crate::{Action, Plan, view::Object};

impl Run<'_> {
    /// What becomes of a claim and of the volumes that are for it. Those of one that is gone are released.
    pub(super) fn claim(&mut self, namespace: &str, name: &str) -> Plan {
        let claim = self.view.get(&PERSISTENT_VOLUME_CLAIM, namespace, name);
        let mut all = claim.as_ref().map(|claim| self.attend(claim)).unwrap_or_default();
        let key = format!("{namespace}/{name}");
        let own = claim.as_ref().map_or("", |claim| text(claim, "/spec/volumeName"));
        if claim.is_none() || !own.is_empty() {
            let volumes = self.view.by_index(&PERSISTENT_VOLUME, index::CLAIM, &key);
            all.actions.extend(volumes.filter(|one| meta::name(one) != own).flat_map(|one| self.volume(&one)));
        }
        all
    }

    /// What becomes of a claim.
    pub(super) fn attend(&mut self, claim: &Object) -> Plan {
        match (meta::annotation(claim, BIND_COMPLETED), text(claim, "/spec/volumeName")) {
            (Some(_), name) => plan(self.bound(claim, name)),
            (None, "") => self.any(claim),
            (None, name) => plan(self.named(claim, name)),
        }
    }

    /// A claim that takes any volume that will do.
    fn any(&mut self, claim: &Object) -> Plan {
        let name = fit::class(claim).unwrap_or_default();
        let class = self.view.get(&STORAGE_CLASS, "", name);
        let delays = class.as_ref().is_some_and(|class| provision::delays(class));
        if let Some(volume) = self.choose(claim, name, delays) {
            self.taken.insert(meta::name(&volume).to_owned());
            return plan(bind::bind(claim, &volume));
        }
        if let Some(update) = self.with_default_class(claim) {
            return plan(vec![update]);
        }
        match name {
            _ if delays && meta::annotation(claim, SELECTED_NODE).is_none() => plan(pending(claim, self.unused(claim))),
            "" => plan(pending(claim, normal(claim, "FailedBinding", UNAVAILABLE))),
            _ => self.provision(claim, class.as_deref(), name),
        }
    }

    /// A volume that is for the claim, else a free one of its class, unless the scheduler chooses that.
    fn choose(&self, claim: &Value, class: &str, delays: bool) -> Option<Object> {
        let key = format!("{}/{}", meta::namespace(claim), meta::name(claim));
        let mut volumes: Vec<Object> = self.view.by_index(&PERSISTENT_VOLUME, index::CLAIM, &key).collect();
        if !delays {
            let free = self.view.by_index(&PERSISTENT_VOLUME, index::FREE, class);
            volumes.extend(free.filter(|volume| !self.taken.contains(meta::name(volume))));
        }
        // A selector that cannot be read matches nothing: the API lets none pass.
        fit::best(claim, &volumes).ok().flatten().cloned()
    }

    /// The default class, for a claim that came before it and does not say that it wants none.
    fn with_default_class(&self, claim: &Value) -> Option<Action> {
        if fit::class(claim).is_some() {
            return None;
        }
        let mut new = claim.clone();
        new["spec"]["storageClassName"] = meta::name(&*default_of(self.view.list(&STORAGE_CLASS, ""))?).into();
        bind::changed(&PERSISTENT_VOLUME_CLAIM, claim, new)
    }

    /// News of a claim whose first pod decides where its volume is.
    fn unused(&self, claim: &Value) -> Action {
        let key = format!("{}/{}", meta::namespace(claim), meta::name(claim));
        let pods = self.view.by_index(&POD, pod::CLAIM_INDEX, &key);
        let waiting: Vec<Object> = pods.filter(|pod| text(pod, "/spec/nodeName").is_empty()).collect();
        let names: Vec<&str> = waiting.iter().map(|pod| meta::name(pod)).collect();
        match names.as_slice() {
            [] => normal(claim, "WaitForFirstConsumer", "waiting for first consumer to be created before binding"),
            [one] => normal(claim, "WaitForPodScheduled", format!("waiting for pod {one} to be scheduled")),
            all => normal(claim, "WaitForPodScheduled", format!("waiting for pods {} to be scheduled", all.join(","))),
        }
    }

    /// A claim whose author chose its volume.
    fn named(&mut self, claim: &Value, name: &str) -> Vec<Action> {
        let Some(volume) = self.view.get(&PERSISTENT_VOLUME, "", name) else {
            return bind::claim_phase(claim, "Pending", None).into_iter().collect();
        };
        let free = volume.pointer("/spec/claimRef").is_none_or(Value::is_null) && !self.taken.contains(name);
        if free && let Some(why) = mismatch(&volume, claim) {
            let why = format!("Cannot bind to requested volume \"{name}\": {why}");
            return pending(claim, warning(claim, "VolumeMismatch", why));
        }
        if free || fit::is_for(&volume, claim) {
            self.taken.insert(name.to_owned());
            return bind::bind(claim, &volume);
        }
        let why = warning(claim, "FailedBinding", format!("volume \"{name}\" already bound to a different claim."));
        match meta::annotation(claim, BOUND_BY_CONTROLLER) {
            None => pending(claim, why),
            Some(_) => vec![why],
        }
    }

    /// A claim that was bound before.
    fn bound(&self, claim: &Value, name: &str) -> Vec<Action> {
        if name.is_empty() {
            return lost(
                claim,
                "ClaimLost",
                "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
            );
        }
        let Some(volume) = self.view.get(&PERSISTENT_VOLUME, "", name) else {
            return lost(claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
        };
        let free = volume.pointer("/spec/claimRef").is_none_or(Value::is_null);
        if free || text(&volume, "/spec/claimRef/uid") == meta::uid(claim) {
            return bind::bind(claim, &volume);
        }
        lost(claim, "ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
    }
}

const UNAVAILABLE: &str = "no persistent volumes available for this claim and no storage class is set";

/// A claim that waits, and why.
pub(super) fn pending(claim: &Value, news: Action) -> Vec<Action> {
    bind::claim_phase(claim, "Pending", None).into_iter().chain([news]).collect()
}

/// A claim that will never have its volume again.
fn lost(claim: &Value, reason: &'static str, message: &str) -> Vec<Action> {
    if text(claim, "/status/phase") == "Lost" {
        return Vec::new();
    }
    let update = bind::claim_phase(claim, "Lost", None);
    update.map(|update| update.then(warning(claim, reason, message))).into_iter().collect()
}

/// Why a free volume will not do for a claim that names it.
fn mismatch(volume: &Value, claim: &Value) -> Option<String> {
    let size = |object: &Value, at: &str| object.pointer(at).and_then(|size| Quantity::from_json(size).ok());
    let class = |object| fit::class(object).unwrap_or_default().to_owned();
    let mode = |object| text(object, "/spec/volumeMode").replace("Filesystem", "");
    let offered = items(volume, "/spec/accessModes");
    let rows = [
        (meta::is_being_deleted(volume), format!("the volume is marked for deletion \"{}\"", meta::name(volume))),
        (
            size(volume, "/spec/capacity/storage") < size(claim, "/spec/resources/requests/storage"),
            "requested PV is too small".into(),
        ),
        (class(volume) != class(claim), "storageClassName does not match".into()),
        (mode(volume) != mode(claim), "incompatible volumeMode".into()),
        (
            !items(claim, "/spec/accessModes").iter().all(|mode| offered.contains(mode)),
            "incompatible accessMode".into(),
        ),
    ];
    rows.into_iter().find(|(differs, _)| *differs).map(|(_, why)| why)
}
