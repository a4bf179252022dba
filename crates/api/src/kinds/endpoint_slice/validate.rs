//! Checks of an EndpointSlice.

use serde_json::Value;

use crate::{
    address,
    field::{Errors, Path},
    kinds::{
        port,
        read::{items, text},
    },
    names,
};

const ADDRESS_TYPES: &[&str] = &["FQDN", "IPv4", "IPv6"];

/// Limits of the API.
const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20_000;
const MAX_HINTS: usize = 8;
const MAX_TOPOLOGY: usize = 16;

/// Checks a slice by itself.
pub(super) fn validate(slice: &Value, errors: &mut Errors) {
    let path = Path::new("addressType");
    match text(slice, "/addressType") {
        "" => errors.required(&path, ""),
        known if ADDRESS_TYPES.contains(&known) => {}
        other => errors.not_supported(&path, other, ADDRESS_TYPES),
    }
    check_endpoints(slice, errors);
    check_ports(slice, errors);
}

/// The kind of addresses stays.
pub(super) fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    if text(new, "/addressType") != text(old, "/addressType") {
        errors.invalid(&Path::new("addressType"), text(new, "/addressType"), "field is immutable");
    }
}

fn check_endpoints(slice: &Value, errors: &mut Errors) {
    let (path, all) = (Path::new("endpoints"), items(slice, "/endpoints"));
    if all.len() > MAX_ENDPOINTS {
        return errors.too_many(&path, all.len(), MAX_ENDPOINTS);
    }
    for (index, endpoint) in all.iter().enumerate() {
        check_endpoint(endpoint, text(slice, "/addressType"), &path.index(index), errors);
    }
}

fn check_endpoint(endpoint: &Value, kind: &str, path: &Path<'_>, errors: &mut Errors) {
    let (at, addresses) = (path.child("addresses"), items(endpoint, "/addresses"));
    match addresses.len() {
        0 => errors.required(&at, "must contain at least 1 address"),
        1..=MAX_ADDRESSES => {}
        more => errors.too_many(&at, more, MAX_ADDRESSES),
    }
    for (index, address) in addresses.iter().filter_map(Value::as_str).enumerate() {
        check_address(address, kind, &at.index(index), errors);
    }
    if let Some(node) = endpoint.get("nodeName").and_then(Value::as_str) {
        let path = path.child("nodeName");
        names::dns1123_subdomain(node).into_iter().for_each(|message| errors.invalid(&path, node, message));
    }
    let topology = endpoint.get("deprecatedTopology").and_then(Value::as_object).map_or(0, serde_json::Map::len);
    if topology > MAX_TOPOLOGY {
        errors.too_many(&path.child("deprecatedTopology"), topology, MAX_TOPOLOGY);
    }
    if let Some(hostname) = endpoint.get("hostname").and_then(Value::as_str) {
        let path = path.child("hostname");
        names::dns1123_label(hostname).into_iter().for_each(|message| errors.invalid(&path, hostname, message));
    }
    check_hints(endpoint, &path.child("hints"), errors);
}

fn check_address(text: &str, kind: &str, path: &Path<'_>, errors: &mut Errors) {
    if kind == "FQDN" {
        if text.is_empty() {
            return errors.required(path, "");
        }
        names::dns1123_subdomain(text.strip_suffix('.').unwrap_or(text))
            .into_iter()
            .for_each(|message| errors.invalid(path, text, message));
        if text.split('.').filter(|label| !label.is_empty()).count() < 2 {
            errors.invalid(path, text, "should be a domain with at least two segments separated by dots");
        }
        return;
    }
    let (four, why) = match kind {
        "IPv4" => (true, "must be a valid IPv4 address"),
        "IPv6" => (false, "must be a valid IPv6 address"),
        _ => return,
    };
    match address::ip(text) {
        Ok(ip) => {
            if ip.is_ipv4() != four {
                errors.invalid(path, text, why);
            }
            address::special(ip).into_iter().for_each(|why| errors.invalid(path, text, why));
        }
        Err(_) => errors.invalid(path, text, why),
    }
}

fn check_hints(endpoint: &Value, path: &Path<'_>, errors: &mut Errors) {
    for field in ["forZones", "forNodes"] {
        let (path, hints) = (path.child(field), items(endpoint, &format!("/hints/{field}")));
        if hints.len() > MAX_HINTS {
            return errors.too_many(&path, hints.len(), MAX_HINTS);
        }
        for (index, hint) in hints.iter().enumerate() {
            let name = text(hint, "/name");
            let path = path.index(index);
            if hints[..index].iter().any(|other| text(other, "/name") == name) {
                errors.duplicate(&path.child("name"), name);
            }
            names::dns1123_subdomain(name)
                .into_iter()
                .for_each(|message| errors.invalid(&path.child("name"), name, message));
        }
    }
}

fn check_ports(slice: &Value, errors: &mut Errors) {
    let (path, all) = (Path::new("ports"), items(slice, "/ports"));
    if all.len() > MAX_PORTS {
        return errors.too_many(&path, all.len(), MAX_PORTS);
    }
    let mut names = std::collections::BTreeSet::new();
    for (index, one) in all.iter().enumerate() {
        let (path, name) = (path.index(index), text(one, "/name"));
        port::check_name(name, false, std::iter::empty(), &path.child("name"), errors);
        if !names.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        port::check_protocol(text(one, "/protocol"), &path.child("protocol"), errors);
        port::check_app_protocol(one, &path.child("appProtocol"), errors);
    }
}
