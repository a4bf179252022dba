//! Keeps what is in use: claims that pods have, and volumes that are bound. Their deletion waits for a finalizer, which is
//! taken off here. Spec: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection>.
//!
//! The API server puts the finalizers on as objects are made; those that lost theirs get them back. A pod counts from when
//! it has a node: before, none starts with a claim that is being deleted.

use api::{
    kinds::{
        Kind,
        persistent_volume::{self, PERSISTENT_VOLUME},
        persistent_volume_claim::{self, PERSISTENT_VOLUME_CLAIM},
        pod::{CLAIM_INDEX, POD, claim_name},
        read::{items, text},
    },
    meta,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    Action, Change, Controller, Key, Kinds, Plan, View, Watch, change,
    workload::{is_bound, is_controlled_by},
};

/// The row of claims.
pub const CLAIMS: Controller = Controller {
    name: "persistentvolumeclaim-protection-controller",
    account: "pvc-protection-controller",
    watches: &[
        Watch { kinds: Kinds::One(&PERSISTENT_VOLUME_CLAIM), keys: change::itself },
        Watch { kinds: Kinds::One(&POD), keys: of_pods },
    ],
    facts: change::no_facts,
    reconcile: |view, key, _| claim(view, key),
};

/// The row of volumes.
pub const VOLUMES: Controller = Controller {
    name: "persistentvolume-protection-controller",
    account: "pv-protection-controller",
    watches: &[Watch { kinds: Kinds::One(&PERSISTENT_VOLUME), keys: change::itself }],
    facts: change::no_facts,
    reconcile: |view, key, _: Timestamp| volume(view, key),
};

/// The claims of a pod that stops to use them.
fn of_pods(change: &dyn Change, keys: &mut Vec<Key>) {
    let ends = change.after().is_none_or(|pod| is_shut_down(&pod));
    let Some(pod) = change.before().or_else(|| change.after()).filter(|_| ends) else { return };
    let names = items(&pod, "/spec/volumes").iter().filter_map(|volume| claim_name(&pod, volume));
    keys.extend(names.map(|name| Key::new(change.namespace(), name)));
}

fn claim(view: &dyn View, key: &Key) -> Plan {
    let Some(claim) = view.get(&PERSISTENT_VOLUME_CLAIM, &key.namespace, &key.name) else { return Plan::default() };
    let is_used = || {
        let name = format!("{}/{}", key.namespace, key.name);
        view.by_index(&POD, CLAIM_INDEX, &name).any(|pod| uses(&pod, &claim))
    };
    protect(&PERSISTENT_VOLUME_CLAIM, &claim, persistent_volume_claim::PROTECTION, is_used)
}

fn volume(view: &dyn View, key: &Key) -> Plan {
    let Some(volume) = view.get(&PERSISTENT_VOLUME, "", &key.name) else { return Plan::default() };
    let is_used = || text(&volume, "/status/phase") == "Bound";
    protect(&PERSISTENT_VOLUME, &volume, persistent_volume::PROTECTION, is_used)
}

/// Whether a pod has a claim: one that it names, or one that was made for it, until it has ended there.
fn uses(pod: &Value, claim: &Value) -> bool {
    let own = |volume: &&Value| volume.get("ephemeral").is_none() || is_controlled_by(claim, pod) && !is_shut_down(pod);
    let its = |volume: &Value| claim_name(pod, volume).as_deref() == Some(meta::name(claim));
    is_bound(pod) && items(pod, "/spec/volumes").iter().filter(own).any(its)
}

/// Whether its node is done with a pod, or nobody waits for that.
fn is_shut_down(pod: &Value) -> bool {
    let grace = pod.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
    meta::is_being_deleted(pod) && grace == Some(0)
}

/// Puts the finalizer on what stays, and takes it off what goes and is not used.
fn protect(kind: &'static Kind, object: &Value, finalizer: &str, is_used: impl FnOnce() -> bool) -> Plan {
    let has = meta::finalizers(object).any(|one| one == finalizer);
    if has != meta::is_being_deleted(object) || has && is_used() {
        return Plan::default();
    }
    let others = meta::finalizers(object).filter(|one| *one != finalizer);
    let all: Vec<Value> = others.chain((!has).then_some(finalizer)).map(Value::from).collect();
    let mut new = object.clone();
    meta::set(&mut new, "finalizers", (!all.is_empty()).then(|| all.into()));
    Plan { actions: vec![Action::Update { kind, part: "", object: new }], wake_at: None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::world::World;

    fn object(finalizers: &[&str], going: bool, phase: &str) -> Value {
        let mut object = json!({ "metadata": { "finalizers": finalizers }, "status": { "phase": phase } });
        if going {
            meta::set_deletion_timestamp(&mut object, "2026-01-01T00:00:00Z");
        }
        object
    }

    fn pod(node: &str, volume: Value, more: Value) -> Value {
        let mut pod = json!({ "spec": { "nodeName": node, "volumes": [volume] } });
        api::patch::merge(&mut pod, more.to_string().as_bytes()).unwrap();
        pod
    }

    const OWN: &str = persistent_volume_claim::PROTECTION;

    fn check(claim: Value, pod: Option<Value>, expect: Option<&[&str]>) {
        let mut world = World::default().with(&PERSISTENT_VOLUME_CLAIM, "n", "p-v", claim);
        if let Some(pod) = pod {
            world = world.with(&POD, "n", "p", pod);
        }
        let plan = world.plan(&CLAIMS, &Key::new("n", "p-v"));
        let left = plan.actions.iter().map(|action| match action {
            Action::Update { object, part: "", .. } => meta::finalizers(object).map(str::to_owned).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        });
        assert_eq!(left.collect::<Vec<_>>(), expect.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_claim_stays_while_a_pod_has_it() {
        let named = || json!({ "name": "v", "persistentVolumeClaim": { "claimName": "p-v" } });
        let made = || json!({ "name": "v", "ephemeral": { "volumeClaimTemplate": {} } });
        let going = || object(&[OWN, "x"], true, "Bound");
        let its = || {
            let mut claim = going();
            claim["metadata"]["ownerReferences"] = json!([{ "uid": "u-p", "controller": true }]);
            claim
        };
        let off =
            json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0 } });
        let freed: Option<&[&str]> = Some(&["x"]);
        check(object(&[OWN], false, "Bound"), None, None);
        check(object(&[], false, "Bound"), None, Some(&[OWN]));
        check(going(), None, freed);
        check(object(&["x"], true, "Bound"), None, None);
        check(going(), Some(pod("n1", named(), json!({}))), None);
        check(going(), Some(pod("n1", named(), json!({ "status": { "phase": "Succeeded" } }))), None);
        check(going(), Some(pod("n1", named(), off.clone())), None);
        check(going(), Some(pod("", named(), json!({}))), freed);
        check(going(), Some(pod("n1", json!({ "name": "v", "emptyDir": {} }), json!({}))), freed);
        check(its(), Some(pod("n1", made(), json!({}))), None);
        check(its(), Some(pod("n1", made(), off)), freed);
        check(going(), Some(pod("n1", made(), json!({}))), freed);
    }

    #[test]
    fn a_volume_stays_while_it_is_bound() {
        let check = |volume: Value, expect: &[&str]| {
            let world = World::default().with(&PERSISTENT_VOLUME, "", "v", volume);
            assert_eq!(world.told(&VOLUMES, &Key::new("", "v")), expect);
        };
        let own = [persistent_volume::PROTECTION];
        check(object(&own, true, "Bound"), &[]);
        check(object(&own, true, "Released"), &["update persistentvolumes v"]);
        check(object(&own, false, "Available"), &[]);
        check(object(&[], false, "Available"), &["update persistentvolumes v"]);
        check(object(&[], true, "Available"), &[]);
    }

    #[test]
    fn a_pod_that_goes_wakes_its_claims() {
        let volume = json!({ "name": "v", "persistentVolumeClaim": { "claimName": "c" } });
        let pod = || Some(pod("n1", volume.clone(), json!({})));
        assert_eq!(World::keys(&CLAIMS, &POD, "n", "p", pod(), None), [Key::new("n", "c")]);
        assert_eq!(World::keys(&CLAIMS, &POD, "n", "p", pod(), pod()), []);
    }
}
