//! Which pods go when a node is emptied. Main function: [`judge`], with the rules of `kubectl drain`.

use api::kinds::{pod::is_terminal, read::items};
use api::meta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Marks the API's picture of a pod that a node runs from a file.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What may be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// Pods that nobody makes anew elsewhere.
    pub force: bool,
    /// What pods have written into emptyDir volumes.
    pub delete_emptydir_data: bool,
}

/// What becomes of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is evicted.
    Goes,
    /// It belongs to this node and ends with it.
    Stays(&'static str),
    /// Something would be lost.
    Lost(Reason),
}

/// What would be lost, and how to say that it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// See [`Options::force`].
    #[error("no controller would make these pods anew (--force ends them all the same)")]
    Unreplicated,
    /// See [`Options::delete_emptydir_data`].
    #[error("these pods keep data in emptyDir volumes (--delete-emptydir-data gives it up)")]
    LocalData,
}

/// Decides on one pod of the node.
pub(super) fn judge(pod: &Value, options: Options) -> Verdict {
    if meta::annotation(pod, MIRROR).is_some() {
        return Verdict::Stays("it comes from a file of this machine");
    }
    if is_terminal(pod) || meta::is_being_deleted(pod) {
        return Verdict::Goes;
    }
    let controller = items(pod, "/metadata/ownerReferences").iter().find(|owner| owner["controller"] == true);
    match controller {
        Some(owner) if owner["kind"] == "DaemonSet" => Verdict::Stays("its DaemonSet wants it on this node"),
        _ if !options.delete_emptydir_data && keeps_data(pod) => Verdict::Lost(Reason::LocalData),
        None if !options.force => Verdict::Lost(Reason::Unreplicated),
        _ => Verdict::Goes,
    }
}

fn keeps_data(pod: &Value) -> bool {
    items(pod, "/spec/volumes").iter().any(|volume| volume.get("emptyDir").is_some_and(|source| !source.is_null()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(change: Value, options: Options, expect: Verdict) {
        let mut pod = json!({
            "metadata": { "name": "p", "namespace": "n", "ownerReferences": [{ "kind": "ReplicaSet", "controller": true }] },
            "spec": {}, "status": { "phase": "Running" },
        });
        api::patch::merge(&mut pod, change.to_string().as_bytes()).unwrap();
        assert_eq!(judge(&pod, options), expect, "{change}");
    }

    #[test]
    fn pods_go_unless_something_would_be_lost_that_nobody_gave_up() {
        let (none, force) = (Options::default(), Options { force: true, ..Options::default() });
        let emptydir = Options { delete_emptydir_data: true, ..none };
        let bare = json!({ "metadata": { "ownerReferences": null } });
        let owned = json!({ "metadata": { "ownerReferences": [{ "kind": "ReplicaSet" }] } });
        let data = json!({ "spec": { "volumes": [{ "name": "v", "emptyDir": {} }] } });
        check(json!({}), none, Verdict::Goes);
        check(bare.clone(), none, Verdict::Lost(Reason::Unreplicated));
        check(owned, none, Verdict::Lost(Reason::Unreplicated));
        check(bare, force, Verdict::Goes);
        check(data.clone(), force, Verdict::Lost(Reason::LocalData));
        check(data, emptydir, Verdict::Goes);
    }

    #[test]
    fn what_ended_or_ends_already_loses_nothing() {
        for change in [
            json!({ "status": { "phase": "Succeeded" } }),
            json!({ "status": { "phase": "Failed" } }),
            json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } }),
        ] {
            let mut bare = change.clone();
            bare["metadata"]["ownerReferences"] = Value::Null;
            check(bare, Options::default(), Verdict::Goes);
        }
    }

    #[test]
    fn what_belongs_to_the_node_stays_to_its_end() {
        let daemon = json!({ "metadata": { "ownerReferences": [{ "kind": "DaemonSet", "controller": true }] } });
        let mirror = json!({ "metadata": { "annotations": { MIRROR: "hash" } } });
        for change in [daemon, mirror] {
            let mut pod = json!({ "metadata": { "name": "p" }, "spec": { "volumes": [{ "emptyDir": {} }] } });
            api::patch::merge(&mut pod, change.to_string().as_bytes()).unwrap();
            assert!(matches!(judge(&pod, Options::default()), Verdict::Stays(_)), "{change}");
        }
    }
}
