//! ResourceQuota: what a write counts for goes into the same transaction as the write, so that no number of clients at once
//! gets past a quota. Main functions: `charge` and `turn`. Spec: <https://kubernetes.io/docs/concepts/policy/resource-quotas/>.
//!
//! Counting down is the controller's: it sums up anew when something goes. A write that was decided before there was a quota,
//! and arrives after, would be counted by neither: the flag of a namespace changes with each new quota, and every write that can
//! count is guarded by it.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    sync::Arc,
};

use api::{
    kinds::{
        Kind, persistent_volume_claim::PERSISTENT_VOLUME_CLAIM, read::entries, resource_quota::RESOURCE_QUOTA,
        service::SERVICE,
    },
    meta, quota,
};
use serde_json::Value;
use store::{Freshness, Guard, Key, Op, View};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{object, pipeline::Request, shared::Shared, status::ApiError};

/// Writers of different namespaces rarely wait for each other.
const LANES: usize = 64;

/// Where the writers of namespaces with a quota wait for their turn: each changes the quota, and would run into the others.
#[derive(Debug)]
pub struct Lanes([Arc<Mutex<()>>; LANES]);

impl Default for Lanes {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Arc::default()))
    }
}

/// Waits for the other writers of this node whose objects of this kind the namespace's quotas count too; `None` where none does.
///
/// # Errors
/// Where the store cannot be read.
pub(crate) async fn turn(
    shared: &Shared,
    kind: &'static Kind,
    namespace: &str,
) -> Result<Option<OwnedMutexGuard<()>>, ApiError> {
    if !kind.namespaced {
        return Ok(None);
    }
    let view = shared.storage.read(Freshness::Any).await?;
    let counts = |limit: &Value| entries(limit, "/spec/hard").any(|(name, _)| quota::tracks(kind, name));
    let limited =
        view.range(&object::prefix(&RESOURCE_QUOTA, namespace), None).any(|record| counts(&object::decode(record)));
    drop(view);
    if !limited {
        return Ok(None);
    }
    let mut hasher = DefaultHasher::new();
    namespace.hash(&mut hasher);
    let lane = usize::try_from(hasher.finish() % (LANES as u64)).unwrap_or_default();
    Ok(Some(Arc::clone(&shared.lanes.0[lane]).lock_owned().await))
}

/// Whether a change of an object can count for more than before: that of a Service or a claim, and a pod's new size.
pub(crate) fn grows(kind: &Kind, part: &str) -> bool {
    let is = |known: &Kind| std::ptr::eq(kind, known);
    match part {
        "" => is(&SERVICE) || is(&PERSISTENT_VOLUME_CLAIM),
        // Tells what the claim has been given while it asked for more.
        "status" => is(&PERSISTENT_VOLUME_CLAIM),
        part => part == "resize",
    }
}

fn flag(namespace: &str) -> Key {
    format!("quota/{namespace}").into()
}

/// Counts a written object, served form; `old` is what it was. What was read becomes guards, what is counted operations.
///
/// # Errors
/// 403 where it does not fit.
pub fn charge(
    view: &View,
    request: &Request,
    kind: &'static Kind,
    old: Option<&Value>,
    new: &Value,
) -> Result<(Vec<Guard>, Vec<Op>), ApiError> {
    let namespace = meta::namespace(new);
    let part = request.target.sub.map_or("", |sub| sub.name);
    if !kind.namespaced || (old.is_some() && !grows(kind, part)) {
        return Ok((Vec::new(), Vec::new()));
    }
    let seen = view.flag(&flag(namespace));
    let mut guards = vec![Guard::Flag(flag(namespace), seen.into())];
    let mut ops = Vec::new();
    if old.is_none() && std::ptr::eq(kind, &RESOURCE_QUOTA) {
        ops.push(Op::SetFlag(flag(namespace), meta::uid(new).into()));
    }
    for record in view.range(&object::prefix(&RESOURCE_QUOTA, namespace), None) {
        let limit = object::decode(record);
        let refused = |why| ApiError::forbidden(kind, meta::name(new), why);
        if let Some(counted) = quota::charge(&limit, kind, old, new, request.now).map_err(refused)? {
            guards.push(Guard::Unchanged(Arc::clone(&record.key), record.modified));
            ops.push(object::put(&RESOURCE_QUOTA, Arc::clone(&record.key), &counted));
        }
    }
    Ok((guards, ops))
}
