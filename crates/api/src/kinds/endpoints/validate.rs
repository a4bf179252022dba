//! Checks of Endpoints.

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

/// Checks every subset.
pub(super) fn validate(endpoints: &Value, errors: &mut Errors) {
    let path = Path::new("subsets");
    for (index, subset) in items(endpoints, "/subsets").iter().enumerate() {
        check_subset(subset, &path.index(index), errors);
    }
}

fn check_subset(subset: &Value, path: &Path<'_>, errors: &mut Errors) {
    if items(subset, "/addresses").is_empty() && items(subset, "/notReadyAddresses").is_empty() {
        errors.required(path, "must specify `addresses` or `notReadyAddresses`");
    }
    for field in ["addresses", "notReadyAddresses"] {
        let path = path.child(field);
        for (index, address) in items(subset, &format!("/{field}")).iter().enumerate() {
            check_address(address, &path.index(index), errors);
        }
    }
    let (path, ports) = (path.child("ports"), items(subset, "/ports"));
    for (index, one) in ports.iter().enumerate() {
        let path = path.index(index);
        // Names may repeat here, unlike those of a Service.
        port::check_name(text(one, "/name"), ports.len() > 1, std::iter::empty(), &path.child("name"), errors);
        let number = one.get("port").and_then(Value::as_i64).unwrap_or_default();
        port::check_number(number, &path.child("port"), errors);
        port::check_protocol(text(one, "/protocol"), &path.child("protocol"), errors);
        port::check_app_protocol(one, &path.child("appProtocol"), errors);
    }
}

fn check_address(endpoint: &Value, path: &Path<'_>, errors: &mut Errors) {
    let ip = text(endpoint, "/ip");
    check_ip(ip, &path.child("ip"), errors);
    let hostname = text(endpoint, "/hostname");
    if !hostname.is_empty() {
        let path = path.child("hostname");
        names::dns1123_label(hostname).into_iter().for_each(|message| errors.invalid(&path, hostname, message));
    }
    if let Some(node) = endpoint.get("nodeName").and_then(Value::as_str) {
        let path = path.child("nodeName");
        names::dns1123_subdomain(node).into_iter().for_each(|message| errors.invalid(&path, node, message));
    }
}

fn check_ip(ip: &str, path: &Path<'_>, errors: &mut Errors) {
    match address::ip(ip) {
        Err(why) => errors.invalid(path, ip, why),
        Ok(known) => address::special(known).into_iter().for_each(|why| errors.invalid(path, ip, why)),
    }
}
