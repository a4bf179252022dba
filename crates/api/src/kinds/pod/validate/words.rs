//! Small checks that occur all over a pod, in upstream's words. Each adds its errors at the path it is given.

use serde_json::Value;

use crate::{
    field::{Errors, Path},
    names,
};

/// Longest name of a port, RFC 6335.
const PORT_NAME_MAX: usize = 15;

/// Largest user or group id.
const ID_MAX: i64 = i32::MAX as i64;

/// One error per message.
pub(super) fn all(messages: Vec<String>, value: &str, path: &Path<'_>, errors: &mut Errors) {
    messages.into_iter().for_each(|message| errors.invalid(path, value, message));
}

/// RFC 1123 label.
pub(super) fn label(value: &str, path: &Path<'_>, errors: &mut Errors) {
    all(names::dns1123_label(value), value, path, errors);
}

/// RFC 1123 subdomain.
pub(in super::super) fn subdomain(value: &str, path: &Path<'_>, errors: &mut Errors) {
    all(names::dns1123_subdomain(value), value, path, errors);
}

/// Label key.
pub(in crate::kinds) fn qualified(value: &str, path: &Path<'_>, errors: &mut Errors) {
    all(names::qualified_name(value), value, path, errors);
}

/// Address.
pub(in super::super) fn address(value: &str, path: &Path<'_>, errors: &mut Errors) {
    if let Err(why) = crate::address::ip(value) {
        errors.invalid(path, value, why);
    }
}

/// The text is there.
pub(super) fn present(value: &str, path: &Path<'_>, errors: &mut Errors) {
    if value.is_empty() {
        errors.required(path, "");
    }
}

/// One of some words, which has to be there.
pub(super) fn choice(value: &str, allowed: &[&str], path: &Path<'_>, errors: &mut Errors) {
    match value {
        "" => errors.required(path, ""),
        known if allowed.contains(&known) => {}
        other => errors.not_supported(path, other, allowed),
    }
}

/// One of some words, if it is there.
pub(super) fn optional(value: Option<&Value>, allowed: &[&str], path: &Path<'_>, errors: &mut Errors) {
    if let Some(word) = value.and_then(Value::as_str).filter(|word| !allowed.contains(word)) {
        errors.not_supported(path, word, allowed);
    }
}

/// A number within bounds, both inclusive.
pub(super) fn within(value: i64, (low, high): (i64, i64), path: &Path<'_>, errors: &mut Errors) {
    if !(low..=high).contains(&value) {
        errors.invalid(path, value, format!("must be between {low} and {high}, inclusive"));
    }
}

/// User or group id.
pub(super) fn id(value: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(number) = value.and_then(Value::as_i64) {
        within(number, (0, ID_MAX), path, errors);
    }
}

/// Not below zero.
pub(super) fn not_negative(value: i64, path: &Path<'_>, errors: &mut Errors) {
    if value < 0 {
        errors.invalid(path, value, "must be greater than or equal to 0");
    }
}

/// Mode of a file.
pub(super) fn mode(value: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(mode) = value.and_then(Value::as_i64).filter(|mode| !(0..=0o777).contains(mode)) {
        errors.invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}

/// Number of a port.
pub(super) fn port_number(number: i64, path: &Path<'_>, errors: &mut Errors) {
    within(number, (1, 65535), path, errors);
}

/// Number or name of a port.
pub(super) fn port(value: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    match value {
        Some(Value::String(name)) => all(port_name(name), name, path, errors),
        other => port_number(other.and_then(Value::as_i64).unwrap_or_default(), path, errors),
    }
}

/// What is wrong with the name of a port.
pub(super) fn port_name(name: &str) -> Vec<String> {
    let charset = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let rules = [
        (name.len() <= PORT_NAME_MAX, format!("must be no more than {PORT_NAME_MAX} characters")),
        (
            !name.is_empty() && name.chars().all(charset),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned(),
        ),
        (name.contains(|c: char| c.is_ascii_lowercase()), "must contain at least one letter (a-z)".to_owned()),
        (!name.contains("--"), "must not contain consecutive hyphens".to_owned()),
        (!name.starts_with('-') && !name.ends_with('-'), "must not begin or end with a hyphen".to_owned()),
    ];
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, message)| message).collect()
}

/// A relative path that stays below where it starts.
pub(super) fn descending(target: &str, path: &Path<'_>, errors: &mut Errors) {
    if target.starts_with('/') {
        errors.invalid(path, target, "must be a relative path");
    }
    no_backsteps(target, path, errors);
}

/// A path without `..`.
pub(super) fn no_backsteps(target: &str, path: &Path<'_>, errors: &mut Errors) {
    if target.split('/').any(|step| step == "..") {
        errors.invalid(path, target, "must not contain '..'");
    }
}

/// A path for a file in a volume, where names that begin with `..` are the kubelet's own.
pub(super) fn unreserved(target: &str, path: &Path<'_>, errors: &mut Errors) {
    descending(target, path, errors);
    if target.starts_with("..") && target != ".." && !target.starts_with("../") {
        errors.invalid(path, target, "must not start with '..'");
    }
}

/// Name of an HTTP header.
pub(super) fn header(name: &str) -> Option<&'static str> {
    const WHY: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
    let sound = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    (!sound).then_some(WHY)
}
