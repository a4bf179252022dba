//! What stands in the way of a namespace's end, as conditions of its status. Main type: [`Left`].
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/#NamespaceStatus>.

use std::collections::BTreeMap;

use api::{kinds::Kind, meta};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Content that will not go at once.
#[derive(Debug, Default)]
pub(super) struct Left {
    objects: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
}

/// Type, status (`true` says that something is in the way), reason and message.
type Condition = (&'static str, bool, &'static str, String);

impl Left {
    pub(super) fn add(&mut self, kind: &Kind, object: &Value) {
        *self.objects.entry(format!("{}.{}", kind.plural, kind.group)).or_default() += 1;
        for finalizer in meta::finalizers(object) {
            *self.finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// All five, in the order in which clients know them. The first three cannot fail here: kinds are compiled in,
    /// and a delete that fails is tried again.
    pub(super) fn conditions(&self) -> [Condition; 5] {
        let deleted = "All content successfully deleted, may be waiting on finalization";
        [
            fine("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
            fine(
                "NamespaceDeletionGroupVersionParsingFailure",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            fine("NamespaceDeletionContentFailure", "ContentDeleted", deleted),
            self.content(),
            self.finalizers(),
        ]
    }

    fn content(&self) -> Condition {
        const TYPE: &str = "NamespaceContentRemaining";
        if self.objects.is_empty() {
            return fine(TYPE, "ContentRemoved", "All content successfully removed");
        }
        let each: Vec<String> =
            self.objects.iter().map(|(resource, count)| format!("{resource} has {count} resource instances")).collect();
        (TYPE, true, "SomeResourcesRemain", format!("Some resources are remaining: {}", each.join(", ")))
    }

    fn finalizers(&self) -> Condition {
        const TYPE: &str = "NamespaceFinalizersRemaining";
        if self.finalizers.is_empty() {
            return fine(TYPE, "ContentHasNoFinalizers", "All content-preserving finalizers finished");
        }
        let each: Vec<String> =
            self.finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances")).collect();
        let message = format!("Some content in the namespace has finalizers remaining: {}", each.join(", "));
        (TYPE, true, "SomeFinalizersRemain", message)
    }
}

fn fine(r#type: &'static str, reason: &'static str, message: &str) -> Condition {
    (r#type, false, reason, message.to_owned())
}

/// The present conditions with ours in them; a time of transition changes only with the status.
pub(super) fn merged(present: &[Value], ours: &[Condition], now: Timestamp) -> Vec<Value> {
    let mut all = present.to_vec();
    for (name, bad, reason, message) in ours {
        let status = if *bad { "True" } else { "False" };
        let at = all.iter().position(|one| one["type"] == *name);
        let since = at.filter(|at| all[*at]["status"] == status).and_then(|at| all[at].get("lastTransitionTime"));
        let since = since.cloned().unwrap_or_else(|| meta::time(now).into());
        let condition = json!({
            "type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
        });
        match at {
            Some(at) => all[at] = condition,
            None => all.push(condition),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_has_its_time_and_others_keep_theirs() {
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        let one = |bad, message: &str| [("T", bad, "R", message.to_owned())];
        let own = json!({ "type": "Own", "status": "True" });
        let first = merged(std::slice::from_ref(&own), &one(true, "a"), at(0));
        assert_eq!(first[0], own);
        let second = merged(&first, &one(true, "b"), at(60));
        assert_eq!((&second[1]["message"], &second[1]["lastTransitionTime"]), (&json!("b"), &json!(meta::time(at(0)))));
        let third = merged(&second, &one(false, "b"), at(60));
        assert_eq!(third[1]["lastTransitionTime"], meta::time(at(60)));
    }
}
