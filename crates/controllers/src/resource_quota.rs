//! ResourceQuota: says what a namespace's objects count for together. Counting up is the API server's, within the write that
//! counts; this sums up anew when a quota is new or other, and when something stops to count.
//! Spec: <https://kubernetes.io/docs/concepts/policy/resource-quotas/>.
//!
//! Both write the whole sum and only over the quota they have read, so that neither loses what the other counted.

use api::{
    kinds::{
        persistent_volume_claim::PERSISTENT_VOLUME_CLAIM, pod::POD, read::entries, resource_quota::RESOURCE_QUOTA,
        service::SERVICE,
    },
    meta,
    quantity::{Format, Quantity},
    quota::{self, Amounts},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Change, Controller, Key, Kinds, Plan, View, Watch, change,
    workload::{sooner, write_status},
};

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "resource-quota",
    account: "resourcequota-controller",
    watches: &[
        Watch { kinds: Kinds::One(&RESOURCE_QUOTA), keys: change::itself },
        Watch { kinds: Kinds::Namespaced, keys: of_what_ended },
    ],
    facts: change::no_facts,
    reconcile,
};

/// The quotas that may count less than before: something went, a pod ended, a Service has fewer ports, a claim asks for less.
fn of_what_ended(change: &dyn Change, keys: &mut Vec<Key>) {
    let kind = change.kind();
    let may_shrink = [&POD, &SERVICE, &PERSISTENT_VOLUME_CLAIM].into_iter().any(|one| std::ptr::eq(kind, one));
    if std::ptr::eq(kind, &RESOURCE_QUOTA) || !(change.removed() || may_shrink) {
        return;
    }
    for limit in change.neighbours(&RESOURCE_QUOTA) {
        let counts = entries(&limit, "/spec/hard").any(|(name, _)| quota::tracks(kind, name));
        if counts && (change.removed() || shrank(change)) {
            keys.push(Key::new(change.namespace(), meta::name(&limit)));
        }
    }
}

fn shrank(change: &dyn Change) -> bool {
    let (Some(before), Some(after)) = (change.before(), change.after()) else { return false };
    // A pod that is to end at a time is looked at again then.
    let begins_to_end = !meta::is_being_deleted(&before) && meta::is_being_deleted(&after);
    let used = |object: &Value| quota::usage(change.kind(), object, Timestamp::MIN);
    begins_to_end || used(&before) != used(&after)
}

fn reconcile(view: &dyn View, key: &Key, now: Timestamp) -> Plan {
    let Some(limit) = view.get(&RESOURCE_QUOTA, &key.namespace, &key.name) else { return Plan::default() };
    let mut wake_at = None;
    let hard = limit.pointer("/spec/hard").cloned().unwrap_or_else(|| json!({}));
    let names: Vec<&str> = entries(&limit, "/spec/hard").map(|(name, _)| name).collect();
    let mut used: Amounts =
        names.iter().map(|name| ((*name).to_owned(), Quantity::from_nanos(0, Format::DecimalSi))).collect();
    for kind in Kinds::Namespaced.each() {
        let tracked: Vec<&str> = names.iter().copied().filter(|name| quota::tracks(kind, name)).collect();
        if tracked.is_empty() {
            continue;
        }
        for object in view.list(kind, &key.namespace).filter(|object| quota::in_scope(&limit, kind, object)) {
            let usage = quota::usage(kind, &object, now);
            for (name, amount) in tracked.iter().filter_map(|name| usage.get_key_value(*name)) {
                let sum = used[name].plus(amount);
                used.insert(name.clone(), sum);
            }
            if std::ptr::eq(kind, &POD) {
                wake_at = sooner(wake_at, quota::ends(&object).filter(|end| *end > now));
            }
        }
    }
    let status = json!({ "hard": hard, "used": quota::to_json(&used) });
    Plan { actions: write_status(&RESOURCE_QUOTA, &limit, status).into_iter().collect(), wake_at }
}

#[cfg(test)]
mod tests {
    use api::kinds::{config_map::CONFIG_MAP, persistent_volume_claim::PERSISTENT_VOLUME_CLAIM, secret::SECRET};

    use super::*;
    use crate::{Action, world::World};

    fn limited(hard: Value, used: Value) -> World {
        let quota = json!({ "spec": { "hard": hard }, "status": { "hard": hard, "used": used } });
        World::default().with(&RESOURCE_QUOTA, "a", "q", quota)
    }

    fn pod(phase: &str) -> Value {
        let resources = json!({ "requests": { "cpu": "300m" } });
        json!({ "spec": { "containers": [{ "name": "c", "resources": resources }] }, "status": { "phase": phase } })
    }

    fn check(world: &World, expect: &[&str]) {
        assert_eq!(world.told(&CONTROLLER, &Key::new("a", "q")), expect);
    }

    #[test]
    fn what_counts_is_summed_up() {
        let world = limited(json!({ "pods": "4", "requests.cpu": "1", "secrets": "1" }), Value::Null)
            .with(&POD, "a", "p1", pod("Running"))
            .with(&POD, "a", "p2", pod("Pending"))
            .with(&POD, "a", "over", pod("Succeeded"))
            .with(&POD, "b", "elsewhere", pod("Running"))
            .with(&SECRET, "a", "s", json!({}));
        let plan = world.plan(&CONTROLLER, &Key::new("a", "q"));
        let [Action::Update { object, part: "status", .. }] = plan.actions.as_slice() else { panic!("{plan:?}") };
        assert_eq!(object["status"]["used"], json!({ "pods": "2", "requests.cpu": "600m", "secrets": "1" }));
    }

    #[test]
    fn what_is_right_already_is_not_written() {
        check(&limited(json!({ "pods": "1" }), json!({ "pods": "0" })), &[]);
        check(&World::default(), &[]);
    }

    #[test]
    fn only_what_stops_to_count_wakes_a_quota() {
        let hard = json!({ "pods": "4" });
        let keys = |kind, before: Option<Value>, after: Option<Value>| {
            limited(hard.clone(), json!({})).woken(&CONTROLLER, kind, "a", "x", before, after)
        };
        let quota = [Key::new("a", "q")];
        assert_eq!(keys(&POD, Some(pod("Running")), None), quota);
        assert_eq!(keys(&POD, Some(pod("Running")), Some(pod("Failed"))), quota);
        assert_eq!(keys(&POD, Some(pod("Pending")), Some(pod("Running"))), []);
        assert_eq!(keys(&POD, None, Some(pod("Running"))), []);
        assert_eq!(keys(&CONFIG_MAP, Some(json!({})), None), []);
    }

    #[test]
    fn a_claim_that_asks_for_less_wakes_a_quota() {
        let claim = |storage: &str| json!({ "spec": { "resources": { "requests": { "storage": storage } } } });
        let world = limited(json!({ "requests.storage": "4Gi" }), json!({})).with(
            &PERSISTENT_VOLUME_CLAIM,
            "a",
            "c",
            claim("1Gi"),
        );
        let keys = |before: &str, after: &str| {
            let (before, after) = (Some(claim(before)), Some(claim(after)));
            world.woken(&CONTROLLER, &PERSISTENT_VOLUME_CLAIM, "a", "c", before, after)
        };
        assert_eq!(keys("2Gi", "1Gi"), [Key::new("a", "q")]);
        assert_eq!(keys("1Gi", "1Gi"), []);
        let plan = world.plan(&CONTROLLER, &Key::new("a", "q"));
        let [Action::Update { object, part: "status", .. }] = plan.actions.as_slice() else { panic!("{plan:?}") };
        assert_eq!(object["status"]["used"], json!({ "requests.storage": "1Gi" }));
    }
}
