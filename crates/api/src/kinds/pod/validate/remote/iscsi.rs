//! A disk on the network: where it is reached, and the names of both ends. Spec: <https://www.rfc-editor.org/rfc/rfc3721>.

use serde_json::Value;

use super::{
    super::{
        super::super::read::{is_true, text},
        volume::required,
        words::within,
    },
    UNITS, number, secret,
};
use crate::field::{Errors, Path};

/// Longest text of volume, colon and portal where the initiator has a name of its own.
const PORTAL_MAX: usize = 64;

/// `iscsi` of a pod.
pub(in super::super) fn of_pod(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    portal(source, " starting with iqn, eui, or naa", path, errors);
}

/// `iscsi` of a PersistentVolume.
pub(in crate::kinds) fn of_volume(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    portal(source, "", path, errors);
    secret(source, &["name"], path, errors);
}

/// What is wrong where the initiator has a name, and this volume is at this portal.
pub(in crate::kinds) fn portal_too_long(source: &Value, volume: &str) -> Option<&'static str> {
    const WHY: &str = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
    let length = volume.len() + 1 + text(source, "/targetPortal").len();
    (source.get("initiatorName").is_some() && length > PORTAL_MAX).then_some(WHY)
}

fn portal(source: &Value, beginnings: &str, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["targetPortal", "iqn"], path, errors);
    if !text(source, "/iqn").is_empty() {
        qualified(text(source, "/iqn"), beginnings, &path.child("iqn"), errors);
    }
    within(number(source, "lun"), UNITS, &path.child("lun"), errors);
    let asks = ["/chapAuthDiscovery", "/chapAuthSession"].iter().any(|field| is_true(source, field));
    if asks && source.get("secretRef").is_none() {
        errors.required(&path.child("secretRef"), "");
    }
    if let Some(name) = source.get("initiatorName").and_then(Value::as_str) {
        qualified(name, beginnings, &path.child("initiatorname"), errors);
    }
}

/// A name of iSCSI, in one of its three forms.
fn qualified(name: &str, beginnings: &str, path: &Path<'_>, errors: &mut Errors) {
    let known = ["iqn", "eui", "naa"].into_iter().find(|form| name.starts_with(form));
    let sound = match known {
        Some("iqn") => is_iqn(name),
        Some("eui") => is_hardware(name, 16),
        Some(_) => is_hardware(name, 32),
        None => return errors.invalid(path, name, format!("must be valid format{beginnings}")),
    };
    if !sound {
        errors.invalid(path, name, "must be valid format");
    }
}

/// `iqn.2001-04.com.example:storage`.
fn is_iqn(name: &str) -> bool {
    let Some((authority, own)) = name.strip_prefix("iqn.").and_then(|rest| rest.split_once(':')) else { return false };
    let Some((date, domain)) = authority.split_once('.') else { return false };
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let dated = date.split_once('-').is_some_and(|(year, month)| digits(year, 4) && digits(month, 2));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let odd = |c: char| ",;*&$|".contains(c) || c.is_ascii_whitespace();
    dated && !domain.is_empty() && domain.chars().all(plain) && !own.is_empty() && !own.contains(odd)
}

/// `eui.` or `naa.` and so many letters and digits.
fn is_hardware(name: &str, count: usize) -> bool {
    let mut rest = name.chars().skip(3);
    rest.next().is_some() && rest.clone().count() == count && rest.all(|c| c.is_ascii_alphanumeric())
}
