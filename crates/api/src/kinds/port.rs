//! Checks of ports, in the words of upstream: numbers, names, protocols. Shared by Services, endpoints and their kin.

use serde_json::Value;

use crate::{
    field::{Errors, Path},
    names,
};

/// Highest port number.
pub const PORT_MAX: i64 = 65_535;

/// Longest name of a port of a container, in bytes.
const NAME_MAX: usize = 15;

/// Protocols there are.
pub const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

/// A port number is from 1 to 65535.
pub fn check_number(number: i64, path: &Path<'_>, errors: &mut Errors) {
    if !(1..=PORT_MAX).contains(&number) {
        errors.invalid(path, number, "must be between 1 and 65535, inclusive");
    }
}

/// A name of a port is a label that no earlier port has; it may be absent of an only port.
pub fn check_name<'a>(
    name: &str,
    required: bool,
    mut earlier: impl Iterator<Item = &'a str>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    if name.is_empty() {
        if required {
            errors.required(path, "");
        }
        return;
    }
    names::dns1123_label(name).into_iter().for_each(|message| errors.invalid(path, name, message));
    if earlier.any(|other| other == name) {
        errors.duplicate(path, name);
    }
}

/// A protocol is one of [`PROTOCOLS`].
pub fn check_protocol(protocol: &str, path: &Path<'_>, errors: &mut Errors) {
    match protocol {
        "" => errors.required(path, ""),
        known if PROTOCOLS.contains(&known) => {}
        other => errors.not_supported(path, other, PROTOCOLS),
    }
}

/// A target is a number or the name of a container's port.
pub fn check_number_or_name(target: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    match target {
        Some(Value::String(name)) => {
            port_name(name).into_iter().for_each(|message| errors.invalid(path, name.as_str(), message));
        }
        other => check_number(other.and_then(Value::as_i64).unwrap_or_default(), path, errors),
    }
}

/// What is wrong with the name of a container's port (RFC 6335); nothing if it is sound.
#[must_use]
pub fn port_name(name: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if name.len() > NAME_MAX {
        errors.push(format!("must be no more than {NAME_MAX} characters"));
    }
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') || name.is_empty() {
        errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if name.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if name.starts_with('-') || name.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

/// The protocol spoken on a port is a qualified name.
pub fn check_app_protocol(port: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(protocol) = port.get("appProtocol").and_then(Value::as_str) {
        names::qualified_name(protocol).into_iter().for_each(|message| errors.invalid(path, protocol, message));
    }
}
