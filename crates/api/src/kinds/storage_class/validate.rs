//! What a StorageClass may say, all of it once. Main functions: [`whole`], [`update`]; paths and words are upstream's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::read::{entries, items, text};
use crate::{
    field::{Errors, Path},
    names,
};

/// Most parameters.
const PARAMETERS_MAX: usize = 512;

/// Most bytes of their keys and values.
const PARAMETER_BYTES_MAX: usize = 256 * 1024;

const POLICIES: &[&str] = &["Delete", "Retain"];

const BINDING_MODES: &[&str] = &["Immediate", "WaitForFirstConsumer"];

/// Checks a class by itself.
pub(super) fn whole(class: &Value, errors: &mut Errors) {
    let (provisioner, path) = (text(class, "/provisioner"), Path::new("provisioner"));
    match provisioner.to_lowercase().as_str() {
        "" => errors.required(&path, ""),
        name => names::qualified_name(name).into_iter().for_each(|why| errors.invalid(&path, name, why)),
    }
    parameters(class, &Path::new("parameters"), errors);
    let policy = text(class, "/reclaimPolicy");
    if !policy.is_empty() && !POLICIES.contains(&policy) {
        errors.not_supported(&Path::new("reclaimPolicy"), policy, POLICIES);
    }
    let mode = text(class, "/volumeBindingMode");
    if !BINDING_MODES.contains(&mode) {
        errors.not_supported(&Path::new("volumeBindingMode"), mode, BINDING_MODES);
    }
    topologies(items(class, "/allowedTopologies"), &Path::new("allowedTopologies"), errors);
}

fn parameters(class: &Value, path: &Path<'_>, errors: &mut Errors) {
    if entries(class, "/parameters").count() > PARAMETERS_MAX {
        return errors.too_long(path, PARAMETERS_MAX);
    }
    let mut bytes = 0;
    for (key, value) in entries(class, "/parameters") {
        if key.is_empty() {
            errors.invalid(path, key, "field can not be empty.");
        }
        bytes += key.len() + value.as_str().map_or(0, str::len);
    }
    if bytes > PARAMETER_BYTES_MAX {
        errors.too_long(path, PARAMETER_BYTES_MAX);
    }
}

/// Values that a label may have, by label.
type Term<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Terms that are all other, and say something.
fn topologies(terms: &[Value], path: &Path<'_>, errors: &mut Errors) {
    let mut seen: Vec<Term<'_>> = Vec::new();
    for (index, one) in terms.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("matchLabelExpressions");
        let term = term(one, &path, errors);
        // Upstream says the same of one that is empty as of one that was there before.
        if term.is_empty() || seen.contains(&term) {
            errors.duplicate(&path, "");
        }
        seen.push(term);
    }
}

fn term<'a>(term: &'a Value, path: &Path<'_>, errors: &mut Errors) -> Term<'a> {
    let mut labels = Term::new();
    for (index, one) in items(term, "/matchLabelExpressions").iter().enumerate() {
        let (path, key) = (path.index(index), text(one, "/key"));
        let values = values(one, &path.child("values"), errors);
        names::qualified_name(key).into_iter().for_each(|why| errors.invalid(&path.child("key"), key, why));
        if labels.insert(key, values).is_some() {
            errors.duplicate(&path.child("key"), key);
        }
    }
    labels
}

fn values<'a>(requirement: &'a Value, path: &Path<'_>, errors: &mut Errors) -> BTreeSet<&'a str> {
    let (mut seen, values) = (BTreeSet::new(), items(requirement, "/values"));
    if values.is_empty() {
        errors.required(path, "");
    }
    for (index, value) in values.iter().filter_map(Value::as_str).enumerate() {
        if !seen.insert(value) {
            errors.duplicate(&path.index(index), value);
        }
    }
    seen
}

/// `(new, old)`: what volumes are made by stays.
pub(super) fn update(new: &Value, old: &Value, errors: &mut Errors) {
    for field in ["parameters", "provisioner", "reclaimPolicy"] {
        let said = |class: &Value| class.get(field).filter(|value| **value != json!({})).cloned();
        if said(new) != said(old) {
            errors.forbidden(&Path::new(field), format!("updates to {field} are forbidden."));
        }
    }
    let mode = |class: &Value| text(class, "/volumeBindingMode").to_owned();
    if mode(new) != mode(old) {
        errors.invalid(&Path::new("volumeBindingMode"), mode(new), "field is immutable");
    }
}
