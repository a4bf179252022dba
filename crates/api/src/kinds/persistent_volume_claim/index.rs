//! How the store finds claims that are not bound: by what they wait for.

use serde_json::Value;

use super::{
    super::{
        Index, OWNER_INDEX,
        persistent_volume::fit,
        read::{owner_uids, text},
    },
    BIND_COMPLETED,
};
use crate::meta;

/// Name of the index of claims that are not bound by what they [want](wants).
pub const WANTS: &str = "wants";

pub(super) const ALL: &[Index] = &[
    Index { name: OWNER_INDEX, values: owner_uids },
    Index { name: WANTS, values: |claim| wants(claim).into_iter().collect() },
];

/// What a claim that is not bound waits for: `volume/<name>` where it names one, else `class/<name>`.
#[must_use]
pub fn wants(claim: &Value) -> Option<String> {
    if meta::annotation(claim, BIND_COMPLETED).is_some() {
        return None;
    }
    Some(match text(claim, "/spec/volumeName") {
        "" => format!("class/{}", fit::class(claim).unwrap_or_default()),
        volume => format!("volume/{volume}"),
    })
}
