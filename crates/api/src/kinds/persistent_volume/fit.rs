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
