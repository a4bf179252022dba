//! Deletes Jobs, with their pods, some time after they have ended.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished/>.

use api::{
    kinds::{
        job::JOB,
        read::{items, text},
    },
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{Action, Controller, Key, Kinds, Only, Plan, Propagation, Target, View, Watch, change};

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "ttl-after-finished-controller",
    account: "ttl-after-finished-controller",
    watches: &[Watch { kinds: Kinds::One(&JOB), keys: change::itself }],
    facts: change::no_facts,
    reconcile,
};

fn reconcile(view: &dyn View, key: &Key, now: Timestamp) -> Plan {
    let Some(job) = view.get(&JOB, &key.namespace, &key.name) else { return Plan::default() };
    let Some(at) = ends_at(&job).filter(|_| !meta::is_being_deleted(&job)) else { return Plan::default() };
    if at > now {
        return Plan { actions: Vec::new(), wake_at: Some(at) };
    }
    // Only as it is: its time may be changed until the last moment.
    let (target, only) = (Target::of(&JOB, &job), Only::unchanged(&job));
    Plan { actions: vec![Action::Delete { target, only, propagation: Some(Propagation::Foreground) }], wake_at: None }
}

/// When a Job that has ended is to go.
fn ends_at(job: &Value) -> Option<Timestamp> {
    let seconds = job.pointer("/spec/ttlSecondsAfterFinished").and_then(Value::as_i64)?;
    let ended = |one: &&Value| matches!(text(one, "/type"), "Complete" | "Failed") && text(one, "/status") == "True";
    let condition = items(job, "/status/conditions").iter().find(ended)?;
    let since = meta::parse_time(text(condition, "/lastTransitionTime"))?;
    Some(since.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::world::World;

    fn check(ttl: Value, condition: &str, now: i64, expect: &[&str], wakes: Option<i64>) {
        let ended = json!({ "type": condition, "status": "True", "lastTransitionTime": "1970-01-01T00:01:40Z" });
        let job = json!({ "spec": { "ttlSecondsAfterFinished": ttl }, "status": { "conditions": [ended] } });
        let world = World::default().at(now).with(&JOB, "n", "j", job);
        let key = Key::new("n", "j");
        assert_eq!(world.told(&CONTROLLER, &key), expect, "{condition} {now}");
        assert_eq!(world.plan(&CONTROLLER, &key).wake_at, wakes.map(|at| Timestamp::from_second(at).unwrap()));
    }

    #[test]
    fn what_has_ended_goes_when_its_time_has_come() {
        let gone: &[&str] = &["delete jobs n/j Foreground"];
        check(json!(10), "Complete", 109, &[], Some(110));
        check(json!(10), "Complete", 110, gone, None);
        check(json!(0), "Failed", 100, gone, None);
        check(json!(10), "FailureTarget", 200, &[], None);
        check(json!(null), "Complete", 200, &[], None);
    }
}
