//! How the store finds volumes: by the claim that they are for, and those that are for none by class.

use serde_json::Value;

use super::{
    super::{
        Index, OWNER_INDEX,
        read::{owner_uids, text},
    },
    fit,
};

/// Name of the index by the claim that a volume is for: `<namespace>/<name>`.
pub const CLAIM: &str = "claim";

/// Name of the index by class of the volumes that are for no claim.
pub const FREE: &str = "freeOfClass";

pub(super) const ALL: &[Index] = &[
    Index { name: OWNER_INDEX, values: owner_uids },
    Index {
        name: CLAIM,
        values: |volume| claim(volume).into_iter().map(|(of, name)| format!("{of}/{name}")).collect(),
    },
    Index { name: FREE, values: |volume| free_of(volume).into_iter().map(str::to_owned).collect() },
];

/// Namespace and name of the claim that a volume is for.
#[must_use]
pub fn claim(volume: &Value) -> Option<(&str, &str)> {
    let claim = volume.pointer("/spec/claimRef").filter(|claim| claim.is_object())?;
    Some((text(claim, "/namespace"), text(claim, "/name")))
}

/// The class of a volume that is for no claim; empty for none.
#[must_use]
pub fn free_of(volume: &Value) -> Option<&str> {
    claim(volume).is_none().then(|| fit::class(volume).unwrap_or_default())
}
