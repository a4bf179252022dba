//! Checks of a Service's status, which load balancers write. Main function: [`validate`].

use std::net::IpAddr;

use serde_json::Value;

use super::fields::service_type;
use crate::{
    address,
    field::{Errors, Path},
    kinds::read::{items, text},
    names,
};

const MODES: &[&str] = &["Proxy", "VIP"];

/// `(part, new, old)`: checks what came through the status.
pub(super) fn validate(_: &str, new: &Value, _: &Value, errors: &mut Errors) {
    let (path, points) = (Path::new("status"), items(new, "/status/loadBalancer/ingress"));
    let path = path.child("loadBalancer");
    let path = path.child("ingress");
    if service_type(new) != "LoadBalancer" && !points.is_empty() {
        return errors.forbidden(&path, "may only be used when `spec.type` is 'LoadBalancer'");
    }
    for (index, point) in points.iter().enumerate() {
        check(point, &path.index(index), errors);
    }
}

fn check(point: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (ip, hostname) = (text(point, "/ip"), text(point, "/hostname"));
    if let (false, Err(why)) = (ip.is_empty(), address::ip(ip)) {
        errors.invalid(&path.child("ip"), ip, why);
    }
    let mode = path.child("ipMode");
    match text(point, "/ipMode") {
        "" if ip.is_empty() => {}
        "" => errors.required(&mode, "must be specified when `ip` is set"),
        _ if ip.is_empty() => errors.forbidden(&mode, "may not be specified when `ip` is not set"),
        known if MODES.contains(&known) => {}
        other => errors.not_supported(&mode, other, MODES),
    }
    if hostname.is_empty() {
        return;
    }
    let path = path.child("hostname");
    names::dns1123_subdomain(hostname).into_iter().for_each(|message| errors.invalid(&path, hostname, message));
    if hostname.parse::<IpAddr>().is_ok() {
        errors.invalid(&path, hostname, "must be a DNS name, not an IP address");
    }
}
