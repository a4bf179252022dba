//! What the cluster adds to new claims and volumes, and how large a claim may be, and become. Main functions: [`complete_claim`],
//! [`keep_to_ranges`], [`grow`]. Spec: <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/>
//! (DefaultStorageClass, StorageObjectInUseProtection, PersistentVolumeClaimResize, LimitRanger).

use api::{
    kinds::{
        limit_range::LIMIT_RANGE,
        persistent_volume::{self, fit},
        persistent_volume_claim::{self, PERSISTENT_VOLUME_CLAIM},
        read::{is_true, text},
        storage_class::{self, STORAGE_CLASS},
    },
    limits, meta,
    quantity::Quantity,
};
use serde_json::Value;
use store::{Guard, View};

use crate::{object, status::ApiError};

type Guards = Result<Vec<Guard>, ApiError>;

/// A claim that names no class is of the default one, where there is one, and goes only when no pod uses it.
///
/// # Errors
/// None: without a class a claim waits for one.
pub(super) fn complete_claim(view: &View, claim: &mut Value) -> Guards {
    protect(claim, persistent_volume_claim::PROTECTION);
    if fit::class(claim).is_none() {
        let prefix = object::prefix(&STORAGE_CLASS, "");
        let classes = view.range(&prefix, None).map(|record| object::decode(record));
        if let Some(class) = storage_class::default_of(classes) {
            claim["spec"]["storageClassName"] = meta::name(&class).into();
        }
    }
    Ok(Vec::new())
}

/// A volume goes only when no claim has it.
///
/// # Errors
/// None.
pub(super) fn complete_volume(_: &View, volume: &mut Value) -> Guards {
    protect(volume, persistent_volume::PROTECTION);
    Ok(Vec::new())
}

fn protect(object: &mut Value, finalizer: &str) {
    let mut all: Vec<Value> = meta::finalizers(object).map(Value::from).collect();
    if all.iter().all(|one| one != finalizer) {
        all.push(finalizer.into());
        meta::set(object, "finalizers", Some(all.into()));
    }
}

/// A claim keeps to the ranges of its namespace.
///
/// # Errors
/// 403 where not.
pub(super) fn keep_to_ranges(view: &View, claim: &Value) -> Guards {
    let prefix = object::prefix(&LIMIT_RANGE, meta::namespace(claim));
    let check = |record: &std::sync::Arc<store::Record>| {
        limits::check_claim(&object::decode(record), claim).map_err(|why| refused(claim, &why))?;
        Ok(Guard::Unchanged(record.key.clone(), record.modified))
    };
    view.range(&prefix, None).map(check).collect()
}

fn refused(claim: &Value, why: &str) -> ApiError {
    ApiError::forbidden(&PERSISTENT_VOLUME_CLAIM, meta::name(claim), why)
}

/// A claim that changes keeps to the ranges, and grows where its class lets it.
///
/// # Errors
/// 403 where not.
pub(super) fn grow(view: &View, old: &Value, new: &Value) -> Guards {
    if meta::is_being_deleted(old) {
        return Ok(Vec::new());
    }
    let mut guards = keep_to_ranges(view, new)?;
    let size = |claim: &Value| Quantity::from_json(claim.pointer("/spec/resources/requests/storage")?).ok();
    if size(new) <= size(old) {
        return Ok(guards);
    }
    if text(old, "/status/phase") != "Bound" {
        return Err(refused(new, "Only bound persistent volume claims can be expanded"));
    }
    let class = Some(fit::class(new).unwrap_or_default()).filter(|class| fit::class(old) == Some(class));
    let key = object::key(&STORAGE_CLASS, "", class.unwrap_or_default());
    let record = view.get(&key).filter(|record| is_true(&object::decode(record), "/allowVolumeExpansion"));
    let Some(record) = record else {
        const WHY: &str = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
        return Err(refused(new, WHY));
    };
    guards.push(Guard::Unchanged(key, record.modified));
    Ok(guards)
}
