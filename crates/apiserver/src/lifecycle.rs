//! How objects end. At once; or after their finalizers; or, where the kind knows grace, once the time they are given is
//! over or cut short. Namespaces end in two steps: first they take in nothing new, then, emptied, they go.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>,
//! <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/>.
//! Leaves out who takes finalizers off, empties namespaces and ends containers.

use api::{
    kinds::{Kind, namespace::NAMESPACE},
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Seconds meant by a negative grace period: nearly none, yet not "at once".
const SHORTEST_SECONDS: i64 = 1;

fn is_namespace(kind: &Kind) -> bool {
    kind.plural == NAMESPACE.plural && kind.group == NAMESPACE.group
}

/// Does anything keep the object (either form) from being removed?
pub(crate) fn pending(kind: &Kind, object: &Value) -> bool {
    let spec = object.pointer("/spec/finalizers").and_then(Value::as_array);
    meta::finalizers(object).next().is_some()
        || (is_namespace(kind) && spec.is_some_and(|f| !f.is_empty()))
        || (kind.hooks.grace.is_some() && meta::is_being_deleted(object) && seconds_left(object) > 0)
}

/// Begins or hastens an object's end; true where it goes at once.
pub(crate) fn end(kind: &Kind, object: &mut Value, asked: Option<i64>, now: Timestamp) -> bool {
    let asked = asked.map(|seconds| if seconds < 0 { SHORTEST_SECONDS } else { seconds });
    match kind.hooks.grace {
        Some(_) if meta::is_being_deleted(object) => hasten(object, asked),
        Some(grace) => mark(object, grace(object, asked), now),
        None if !pending(kind, object) => return true,
        None if meta::is_being_deleted(object) => {}
        None => begin(kind, object, now),
    }
    !pending(kind, object)
}

fn seconds_left(object: &Value) -> i64 {
    let seconds = meta::get(object).and_then(|metadata| metadata.get("deletionGracePeriodSeconds"));
    seconds.and_then(Value::as_i64).unwrap_or_default()
}

/// Time once given can only become less.
fn hasten(object: &mut Value, asked: Option<i64>) {
    let given = seconds_left(object);
    let Some(seconds) = asked.filter(|seconds| *seconds < given) else { return };
    let Some(ends) = meta::parse_time(meta::deletion_timestamp(object)) else { return };
    set_end(object, shifted(ends, seconds - given), seconds);
}

fn mark(object: &mut Value, seconds: i64, now: Timestamp) {
    set_end(object, shifted(now, seconds), seconds);
    count(object);
}

fn set_end(object: &mut Value, ends: Timestamp, seconds: i64) {
    meta::set_deletion_timestamp(object, meta::time(ends));
    meta::set(object, "deletionGracePeriodSeconds", Some(json!(seconds)));
}

fn shifted(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

fn begin(kind: &Kind, object: &mut Value, now: Timestamp) {
    set_end(object, now, 0);
    count(object);
    if is_namespace(kind) {
        meta::set(object, "deletionGracePeriodSeconds", None);
        object["status"]["phase"] = json!("Terminating");
    }
}

/// Being deleted is a new generation of what counts them.
fn count(object: &mut Value) {
    let generation = meta::generation(object);
    if generation > 0 {
        meta::set_generation(object, generation + 1);
    }
}

#[cfg(test)]
mod tests {
    use api::kinds::{config_map::CONFIG_MAP, pod::POD};

    use super::*;

    const NOW: &str = "2026-01-01T00:00:00Z";

    /// `(deletionTimestamp, deletionGracePeriodSeconds)` after a deletion, and whether it goes at once.
    fn check(kind: &Kind, mut object: Value, asked: Option<i64>, expect: (&str, Option<i64>, bool)) -> Value {
        let told = object.to_string();
        let gone = end(kind, &mut object, asked, NOW.parse().expect("a time"));
        let seconds = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
        assert_eq!((meta::deletion_timestamp(&object), seconds, gone), expect, "{told} {asked:?}");
        object
    }

    fn pod(node: &str, phase: &str) -> Value {
        json!({
            "metadata": { "generation": 1 },
            "spec": { "nodeName": node, "terminationGracePeriodSeconds": 30 },
            "status": { "phase": phase },
        })
    }

    #[test]
    fn a_running_pod_is_given_time_which_can_only_become_less() {
        let dying = check(&POD, pod("n", "Running"), None, ("2026-01-01T00:00:30Z", Some(30), false));
        assert_eq!(meta::generation(&dying), 2);
        let same = check(&POD, dying.clone(), Some(60), ("2026-01-01T00:00:30Z", Some(30), false));
        assert_eq!(same, dying);
        check(&POD, dying.clone(), None, ("2026-01-01T00:00:30Z", Some(30), false));
        check(&POD, dying.clone(), Some(5), ("2026-01-01T00:00:05Z", Some(5), false));
        check(&POD, dying.clone(), Some(-7), ("2026-01-01T00:00:01Z", Some(1), false));
        check(&POD, dying, Some(0), (NOW, Some(0), true));
        check(&POD, pod("n", "Running"), Some(0), (NOW, Some(0), true));
        check(&POD, pod("n", "Running"), Some(10), ("2026-01-01T00:00:10Z", Some(10), false));
    }

    #[test]
    fn nobody_waits_for_a_pod_that_nobody_runs() {
        check(&POD, pod("", "Pending"), None, (NOW, Some(0), true));
        check(&POD, pod("n", "Succeeded"), Some(60), (NOW, Some(0), true));
        check(&POD, pod("n", "Failed"), None, (NOW, Some(0), true));
    }

    #[test]
    fn finalizers_hold_an_object_whatever_its_grace() {
        let mut held = pod("n", "Running");
        held["metadata"]["finalizers"] = json!(["example.com/a"]);
        let dying = check(&POD, held, Some(0), (NOW, Some(0), false));
        assert!(pending(&POD, &dying));
        let plain = json!({ "metadata": { "finalizers": ["example.com/a"] } });
        check(&CONFIG_MAP, plain, Some(30), (NOW, Some(0), false));
        check(&CONFIG_MAP, json!({ "metadata": {} }), None, ("", None, true));
    }
}
