//! Makes the claims of pods' ephemeral volumes: `<pod>-<volume>`, owned by the pod, so that they go with it.
//! Spec: <https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes>.

use api::{
    kinds::{
        persistent_volume_claim::PERSISTENT_VOLUME_CLAIM,
        pod::{POD, claim_name},
        read::{items, text},
    },
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    Action, Change, Controller, Event, Key, Kinds, Plan, View, Watch, change,
    workload::{is_controlled_by, owner_reference},
};

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "ephemeral-volume-controller",
    account: "ephemeral-volume-controller",
    watches: &[
        Watch { kinds: Kinds::One(&POD), keys: change::itself },
        Watch { kinds: Kinds::One(&PERSISTENT_VOLUME_CLAIM), keys: of_claims },
    ],
    facts: change::no_facts,
    reconcile,
};

/// Time after which a name that somebody else has is tried again: nothing tells when it is free.
const TAKEN_PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// The pod whose claim is gone.
fn of_claims(change: &dyn Change, keys: &mut Vec<Key>) {
    let gone = change.before().filter(|_| change.removed());
    let Some(claim) = gone else { return };
    let owner = meta::controller_of(&claim).filter(|owner| text(owner, "/kind") == "Pod");
    keys.extend(owner.map(|owner| Key::new(change.namespace(), text(owner, "/name"))));
}

fn reconcile(view: &dyn View, key: &Key, now: Timestamp) -> Plan {
    let pod = view.get(&POD, &key.namespace, &key.name).filter(|pod| !meta::is_being_deleted(pod));
    let Some(pod) = pod else { return Plan::default() };
    let mut plan = Plan::default();
    for volume in items(&pod, "/spec/volumes").iter().filter(|volume| volume.get("ephemeral").is_some()) {
        let Some(name) = claim_name(&pod, volume) else { continue };
        match view.get(&PERSISTENT_VOLUME_CLAIM, &key.namespace, &name) {
            Some(claim) if is_controlled_by(&claim, &pod) => {}
            Some(_) => {
                plan.actions.push(unable(&pod, volume, &taken(&pod, &name)));
                plan.wake_at = now.checked_add(TAKEN_PAUSE).ok();
            }
            None => {
                let why = view.failure().map(|why| format!("create PVC {name}: {why}"));
                plan.actions.extend(why.map(|why| unable(&pod, volume, &why)));
                plan.actions.push(create(&pod, volume, name));
            }
        }
    }
    plan
}

fn taken(pod: &Value, claim: &str) -> String {
    let (namespace, name) = (meta::namespace(pod), meta::name(pod));
    format!("PVC {namespace}/{claim} was not created for pod {namespace}/{name} (pod is not owner)")
}

fn unable(pod: &Value, volume: &Value, why: &str) -> Action {
    let message = format!("ephemeral volume {}: {why}", text(volume, "/name"));
    Action::Event(Event { about: pod.clone(), severity: "Warning", reason: "FailedBinding", message })
}

fn create(pod: &Value, volume: &Value, name: String) -> Action {
    let template = volume.pointer("/ephemeral/volumeClaimTemplate").cloned().unwrap_or_default();
    let mut metadata = json!({ "name": name, "ownerReferences": [owner_reference(pod)] });
    for field in ["labels", "annotations"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")) {
            metadata[field] = value.clone();
        }
    }
    let object = json!({ "metadata": metadata, "spec": template.get("spec") });
    Action::Create { kind: &PERSISTENT_VOLUME_CLAIM, namespace: meta::namespace(pod).to_owned(), object }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{World, dying};

    fn world() -> World {
        let template = json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "accessModes": ["ReadWriteOnce"] } });
        let volumes = json!([
            { "name": "own", "ephemeral": { "volumeClaimTemplate": template } },
            { "name": "other", "emptyDir": {} },
        ]);
        World::default().with(&POD, "n", "p", json!({ "spec": { "volumes": volumes } }))
    }

    fn check(world: &World, expect: &[&str]) {
        assert_eq!(world.told(&CONTROLLER, &Key::new("n", "p")), expect);
    }

    #[test]
    fn a_pod_has_the_claims_of_its_own() {
        let create = "create persistentvolumeclaims n/p-own";
        check(&world(), &[create]);
        let plan = world().plan(&CONTROLLER, &Key::new("n", "p"));
        let [Action::Create { object, .. }] = plan.actions.as_slice() else { panic!("{plan:?}") };
        assert_eq!((meta::label(object, "a"), &object["spec"]["accessModes"][0]), (Some("b"), &json!("ReadWriteOnce")));
        let made = || Some(object.clone());
        assert_eq!(
            World::keys(&CONTROLLER, &PERSISTENT_VOLUME_CLAIM, "n", "p-own", made(), None),
            [Key::new("n", "p")]
        );
        check(&world().with(&PERSISTENT_VOLUME_CLAIM, "n", "p-own", object.clone()), &[]);
        check(&world().with(&POD, "n", "p", dying(&[])), &[]);
        check(
            &world().failed("exceeded quota"),
            &["event FailedBinding: ephemeral volume own: create PVC p-own: exceeded quota", create],
        );
        check(
            &world().with(&PERSISTENT_VOLUME_CLAIM, "n", "p-own", json!({})),
            &["event FailedBinding: ephemeral volume own: PVC n/p-own was not created for pod n/p (pod is not owner)"],
        );
    }
}
