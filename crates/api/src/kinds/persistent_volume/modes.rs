//! How volumes are used, which volumes, claims and templates of claims say alike. Main functions: [`check`], [`shown`].
//! Spec: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes>.

use serde_json::Value;

use super::super::read::items;
use crate::{
    field::{Errors, Path},
    names,
};

/// Access modes and what they are called in short, in the order shown.
const SHORT: &[(&str, &str)] =
    &[("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];

/// As messages list them.
const MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// The one that goes with no other.
const ALONE: &str = "ReadWriteOncePod";

/// What a volume is to a container.
const VOLUME_MODES: &[&str] = &["Block", "Filesystem"];

/// What a volume is that does not say.
pub(in crate::kinds) const FILESYSTEM: &str = "Filesystem";

/// Cell of a value that was never said.
pub(in crate::kinds) const UNSET: &str = "<unset>";

/// `RWO,ROX`.
#[must_use]
pub(in crate::kinds) fn shown(object: &Value, pointer: &str) -> String {
    let modes = items(object, pointer);
    let has = |mode: &str| modes.iter().any(|one| one == mode);
    SHORT.iter().filter(|(mode, _)| has(mode)).map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

/// Access modes of a spec: those there are.
pub(in crate::kinds) fn check(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("accessModes");
    let modes = items(spec, "/accessModes").iter().filter_map(Value::as_str);
    modes.clone().filter(|mode| !MODES.contains(mode)).for_each(|mode| errors.not_supported(&path, mode, MODES));
    let mut known = modes.filter(|mode| MODES.contains(mode));
    if known.clone().any(|mode| mode == ALONE) && known.any(|mode| mode != ALONE) {
        errors.forbidden(&path, "may not use ReadWriteOncePod with other access modes");
    }
}

/// `volumeMode` of a spec.
pub(in crate::kinds) fn check_volume_mode(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mode = spec.get("volumeMode").and_then(Value::as_str).filter(|mode| !VOLUME_MODES.contains(mode));
    mode.into_iter().for_each(|mode| errors.not_supported(&path.child("volumeMode"), mode, VOLUME_MODES));
}

/// The name of a class of some kind, where a field of a spec has one.
pub(in crate::kinds) fn check_class(spec: &Value, field: &str, path: &Path<'_>, errors: &mut Errors) {
    let name = spec.get(field).and_then(Value::as_str).unwrap_or_default();
    let wrong = if name.is_empty() { Vec::new() } else { names::dns1123_subdomain(name) };
    wrong.into_iter().for_each(|why| errors.invalid(&path.child(field), name, why));
}
