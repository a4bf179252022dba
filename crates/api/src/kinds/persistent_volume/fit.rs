//! Which volume a claim gets, for the controller that binds and for the scheduler, which looks at one node's volumes.
//! Main function: [`best`]. Spec: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding>.

use serde_json::Value;

use super::super::read::{items, text};
use crate::{
    meta,
    quantity::{Format, Quantity},
    selector::Labels,
};

/// Class in an annotation, from before there was a field; it counts more.
pub const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// The class of a volume or claim, empty for none; `None` where a claim does not say, so that it may get the default one.
#[must_use]
pub fn class(object: &Value) -> Option<&str> {
    meta::annotation(object, CLASS_ANNOTATION).or_else(|| object.pointer("/spec/storageClassName")?.as_str())
}

/// Whether a volume says that it is for this claim: one that a claim was chosen for, or that is bound to it.
#[must_use]
pub fn is_for(volume: &Value, claim: &Value) -> bool {
    let said = |field: &str| text(volume, &format!("/spec/claimRef/{field}"));
    said("namespace") == meta::namespace(claim)
        && said("name") == meta::name(claim)
        && (said("uid").is_empty() || said("uid") == meta::uid(claim))
        && !said("name").is_empty()
}

/// The volume that a claim gets of these: the one that is for it, else the smallest that will do, with the fewest modes.
///
/// # Errors
/// Where the claim's selector cannot be read.
pub fn best<'a, V: AsRef<Value>>(
    claim: &Value,
    volumes: impl IntoIterator<Item = &'a V>,
) -> Result<Option<&'a V>, String> {
    let wish = Wish::of(claim)?;
    let mut free = Vec::new();
    for volume in volumes {
        let one = volume.as_ref();
        if !wish.could_hold(one) {
            continue;
        }
        match one.pointer("/spec/claimRef").is_some_and(Value::is_object) {
            true if is_for(one, claim) => return Ok(Some(volume)),
            true => {}
            false => free.extend(wish.would_take(one).then_some(volume)),
        }
    }
    let rank = |one: &Value| (items(one, "/spec/accessModes").len(), size(one, "/spec/capacity/storage"));
    Ok(free.into_iter().min_by(|one, other| rank(one.as_ref()).cmp(&rank(other.as_ref()))))
}

/// What a claim asks for.
struct Wish<'a> {
    claim: &'a Value,
    size: Quantity,
    labels: Option<Labels>,
}

impl<'a> Wish<'a> {
    fn of(claim: &'a Value) -> Result<Self, String> {
        let selector = claim.pointer("/spec/selector").filter(|selector| selector.is_object());
        let labels = selector.map(Labels::from_object).transpose().map_err(|error| error.to_string())?;
        Ok(Self { claim, size: size(claim, "/spec/resources/requests/storage"), labels })
    }

    /// What every volume must be, also one that somebody chose.
    fn could_hold(&self, volume: &Value) -> bool {
        let attributes = |object| text(object, "/spec/volumeAttributesClassName");
        size(volume, "/spec/capacity/storage") >= self.size
            && mode(volume) == mode(self.claim)
            && attributes(volume) == attributes(self.claim)
            && !meta::is_being_deleted(volume)
    }

    /// What one must be that nobody chose.
    fn would_take(&self, volume: &Value) -> bool {
        let offered = items(volume, "/spec/accessModes");
        text(volume, "/status/phase") == "Available"
            && class(volume).unwrap_or_default() == class(self.claim).unwrap_or_default()
            && items(self.claim, "/spec/accessModes").iter().all(|mode| offered.contains(mode))
            && self.labels.as_ref().is_none_or(|labels| labels.matches(&meta::labels(volume).collect::<Vec<_>>()))
    }
}

fn size(object: &Value, at: &str) -> Quantity {
    object
        .pointer(at)
        .and_then(|one| Quantity::from_json(one).ok())
        .unwrap_or(Quantity::from_nanos(0, Format::BinarySi))
}

fn mode(object: &Value) -> &str {
    Some(text(object, "/spec/volumeMode")).filter(|mode| !mode.is_empty()).unwrap_or("Filesystem")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Named(Value);

    impl AsRef<Value> for Named {
        fn as_ref(&self) -> &Value {
            &self.0
        }
    }

    /// A claim of one gibibyte of class `c` for one node, with this change.
    fn claim(change: &Value) -> Value {
        let spec = json!({
            "storageClassName": "c", "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
        });
        changed(json!({ "metadata": { "name": "k", "namespace": "n", "uid": "u" }, "spec": spec }), change)
    }

    /// A volume that such a claim gets, with this change.
    fn volume(name: &str, change: &Value) -> Named {
        let spec = json!({
            "storageClassName": "c", "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "1Gi" },
        });
        let metadata = json!({ "name": name, "labels": { "disk": "fast" } });
        Named(changed(json!({ "metadata": metadata, "spec": spec, "status": { "phase": "Available" } }), change))
    }

    fn changed(mut object: Value, change: &Value) -> Value {
        crate::patch::merge(&mut object, change.to_string().as_bytes()).expect("a patch");
        object
    }

    fn taken<'a>(claim: &Value, volumes: &'a [Named]) -> Option<&'a str> {
        best(claim, volumes).expect("a selector").map(|volume| meta::name(&volume.0))
    }

    #[test]
    fn a_volume_is_looked_at_whole() {
        let spec = |spec: Value| json!({ "spec": spec });
        let cases = [
            (json!({}), json!({}), true),
            (json!({}), spec(json!({ "capacity": { "storage": "1023Mi" } })), false),
            (json!({}), spec(json!({ "accessModes": ["ReadWriteMany"] })), false),
            (json!({}), spec(json!({ "accessModes": ["ReadWriteMany", "ReadWriteOnce"] })), true),
            (json!({}), spec(json!({ "volumeMode": "Block" })), false),
            (spec(json!({ "volumeMode": "Block" })), spec(json!({ "volumeMode": "Block" })), true),
            (json!({}), spec(json!({ "storageClassName": "d" })), false),
            (spec(json!({ "storageClassName": "" })), spec(json!({ "storageClassName": null })), true),
            (json!({}), spec(json!({ "volumeAttributesClassName": "gold" })), false),
            (spec(json!({ "volumeAttributesClassName": "gold" })), json!({}), false),
            (
                spec(json!({ "volumeAttributesClassName": "gold" })),
                spec(json!({ "volumeAttributesClassName": "gold" })),
                true,
            ),
            (spec(json!({ "selector": { "matchLabels": { "disk": "fast" } } })), json!({}), true),
            (spec(json!({ "selector": { "matchLabels": { "disk": "slow" } } })), json!({}), false),
            (json!({}), json!({ "status": { "phase": "Released" } }), false),
            (json!({}), json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } }), false),
            (json!({}), spec(json!({ "claimRef": { "namespace": "n", "name": "other" } })), false),
            (json!({}), spec(json!({ "claimRef": { "namespace": "n", "name": "k", "uid": "before" } })), false),
        ];
        for (asked, offered, expect) in cases {
            let volumes = [volume("v", &offered)];
            assert_eq!(taken(&claim(&asked), &volumes).is_some(), expect, "{asked} of {offered}");
        }
    }

    #[test]
    fn what_was_chosen_counts_more_than_what_fits_best() {
        let chosen = json!({
            "spec": { "claimRef": { "namespace": "n", "name": "k" }, "storageClassName": "d", "capacity": { "storage": "9Gi" } },
            "status": { "phase": "Pending" },
        });
        let larger = json!({ "spec": { "capacity": { "storage": "2Gi" } } });
        let both = json!({ "spec": { "accessModes": ["ReadWriteOnce", "ReadOnlyMany"] } });
        let plain = json!({});
        let of = |names: &[&str]| {
            let all = [("large", &larger), ("both", &both), ("small", &plain), ("chosen", &chosen)];
            let volumes: Vec<Named> = all
                .iter()
                .filter(|(name, _)| names.contains(name))
                .map(|(name, change)| volume(name, change))
                .collect();
            taken(&claim(&json!({})), &volumes).map(str::to_owned)
        };
        assert_eq!(of(&["large", "both", "small", "chosen"]).as_deref(), Some("chosen"));
        assert_eq!(of(&["large", "both", "small"]).as_deref(), Some("small"));
        assert_eq!(of(&["large", "both"]).as_deref(), Some("large"), "fewer modes count more than size");
        let unreadable =
            claim(&json!({ "spec": { "selector": { "matchExpressions": [{ "key": "a", "operator": "Near" }] } } }));
        assert!(best(&unreadable, &[volume("v", &json!({}))]).is_err());
    }
}
