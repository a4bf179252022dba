//! Checks of a Service. Main functions: [`validate`], [`validate_update`]. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/#ServiceSpec>.
//!
//! Runs before addresses and ports are given, so none of those is missed here.

use serde_json::{Value, json};

use super::{
    families,
    fields::{
        health_check_port, is_external, is_headless, needs_health_check, needs_node_ports, number, ports, service_type,
    },
};
use crate::{
    address,
    field::{Errors, Path},
    kinds::{
        port,
        read::{entries, items, text},
    },
    meta, names,
};

const SPEC: Path<'static> = Path::new("spec");
const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const AFFINITIES: &[&str] = &["ClientIP", "None"];
const POLICIES: &[&str] = &["Cluster", "Local"];
const DISTRIBUTIONS: &[&str] = &["PreferClose", "PreferSameNode", "PreferSameZone"];

/// Longest time a client may stay with its endpoint, in seconds: a day.
const AFFINITY_MAX: i64 = 86_400;

const RANGES_ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const HINTS_ANNOTATION: &str = "service.kubernetes.io/topology-aware-hints";
const MODE_ANNOTATION: &str = "service.kubernetes.io/topology-mode";

/// Checks a Service by itself.
pub(super) fn validate(service: &Value, errors: &mut Errors) {
    check_topology(service, errors);
    check_type_fields(service, errors);
    check_ports(service, errors);
    check_selector(service, errors);
    check_affinity(service, errors);
    families::check(service, errors);
    check_external_ips(service, errors);
    match service_type(service) {
        "" => errors.required(&SPEC.child("type"), ""),
        known if TYPES.contains(&known) => {}
        other => errors.not_supported(&SPEC.child("type"), other, TYPES),
    }
    check_node_ports(service, errors);
    check_duplicate_ports(service, errors);
    check_balancer(service, errors);
    check_traffic(service, errors);
}

/// Checks a change.
pub(super) fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    families::check_change(new, old, errors);
    let class = |service: &Value| service.pointer("/spec/loadBalancerClass").cloned().unwrap_or_default();
    let balanced = |service: &Value| service_type(service) == "LoadBalancer";
    if balanced(new) && balanced(old) && class(new) != class(old) {
        errors.invalid(&SPEC.child("loadBalancerClass"), class(new), "may not change once set");
    }
    if needs_health_check(new) && needs_health_check(old) && health_check_port(new) != health_check_port(old) {
        errors.forbidden(&SPEC.child("healthCheckNodePort"), "field is immutable");
    }
}

fn check_topology(service: &Value, errors: &mut Errors) {
    let (mode, hints) = (meta::annotation(service, MODE_ANNOTATION), meta::annotation(service, HINTS_ANNOTATION));
    if let (Some(mode), Some(hints)) = (mode, hints)
        && mode != hints
    {
        let why = format!("must match annotations[{HINTS_ANNOTATION}] when both are specified");
        errors.invalid(&Path::new("metadata").child("annotations").key(MODE_ANNOTATION), mode, why);
    }
}

fn check_type_fields(service: &Value, errors: &mut Errors) {
    let of = service_type(service);
    if ports(service).is_empty() && !is_headless(service) && of != "ExternalName" {
        errors.required(&SPEC.child("ports"), "");
    }
    if needs_node_ports(service) && is_headless(service) {
        let why = format!("may not be set to 'None' for {of} services");
        errors.invalid(&SPEC.child("clusterIPs").index(0), "None", why);
    }
    if of == "ExternalName" {
        check_external_name(service, errors);
    }
}

fn check_external_name(service: &Value, errors: &mut Errors) {
    const WHY: &str = "may not be set for ExternalName services";
    for field in ["clusterIPs", "ipFamilies"] {
        if !items(service, &format!("/spec/{field}")).is_empty() {
            errors.forbidden(&SPEC.child(field), WHY);
        }
    }
    if !text(service, "/spec/ipFamilyPolicy").is_empty() {
        errors.forbidden(&SPEC.child("ipFamilyPolicy"), WHY);
    }
    let (path, name) = (SPEC.child("externalName"), text(service, "/spec/externalName"));
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return errors.required(&path, "");
    }
    names::dns1123_subdomain(name).into_iter().for_each(|message| errors.invalid(&path, name, message));
}

fn check_ports(service: &Value, errors: &mut Errors) {
    let (path, all) = (SPEC.child("ports"), ports(service));
    for (index, one) in all.iter().enumerate() {
        let path = path.index(index);
        let earlier = all[..index].iter().map(|port| text(port, "/name"));
        port::check_name(text(one, "/name"), all.len() > 1, earlier, &path.child("name"), errors);
        port::check_number(number(one, "port"), &path.child("port"), errors);
        port::check_protocol(text(one, "/protocol"), &path.child("protocol"), errors);
        port::check_number_or_name(one.get("targetPort"), &path.child("targetPort"), errors);
        port::check_app_protocol(one, &path.child("appProtocol"), errors);
    }
}

fn check_selector(service: &Value, errors: &mut Errors) {
    let path = SPEC.child("selector");
    for (key, value) in entries(service, "/spec/selector") {
        names::qualified_name(key).into_iter().for_each(|message| errors.invalid(&path, key, message));
        let value = value.as_str().unwrap_or_default();
        names::label_value(value).into_iter().for_each(|message| errors.invalid(&path.key(key), value, message));
    }
}

fn check_affinity(service: &Value, errors: &mut Errors) {
    let path = SPEC.child("sessionAffinityConfig");
    let config = service.pointer("/spec/sessionAffinityConfig").filter(|config| !config.is_null());
    match text(service, "/spec/sessionAffinity") {
        "" => errors.required(&SPEC.child("sessionAffinity"), ""),
        "None" if config.is_some() => errors.forbidden(&path, "must not be set when session affinity is None"),
        "None" => {}
        "ClientIP" => {
            let seconds = config.and_then(|config| config.pointer("/clientIP/timeoutSeconds")).and_then(Value::as_i64);
            let path = path.child("clientIP");
            let path = path.child("timeoutSeconds");
            match seconds {
                None => errors.required(&SPEC.child("sessionAffinityConfig"), "when session affinity type is ClientIP"),
                Some(1..=AFFINITY_MAX) => {}
                Some(seconds) => {
                    errors.invalid(&path, seconds, format!("must be greater than 0 and less than {AFFINITY_MAX}"));
                }
            }
        }
        other => errors.not_supported(&SPEC.child("sessionAffinity"), other, AFFINITIES),
    }
}

fn check_external_ips(service: &Value, errors: &mut Errors) {
    let path = SPEC.child("externalIPs");
    for (index, ip) in items(service, "/spec/externalIPs").iter().filter_map(Value::as_str).enumerate() {
        match address::ip(ip) {
            Err(why) => errors.invalid(&path.index(index), ip, why),
            Ok(address) => {
                address::special(address).into_iter().for_each(|why| errors.invalid(&path.index(index), ip, why));
            }
        }
    }
}

fn check_node_ports(service: &Value, errors: &mut Errors) {
    let (path, all) = (SPEC.child("ports"), ports(service));
    for (index, one) in all.iter().enumerate().filter(|(_, one)| number(one, "nodePort") != 0) {
        if service_type(service) == "ClusterIP" {
            let path = path.index(index);
            errors.forbidden(&path.child("nodePort"), "may not be used when `type` is 'ClusterIP'");
        }
        let same = |other: &Value| {
            number(other, "nodePort") == number(one, "nodePort") && text(other, "/protocol") == text(one, "/protocol")
        };
        if all[..index].iter().any(same) {
            errors.duplicate(&path.index(index).child("nodePort"), number(one, "nodePort"));
        }
    }
}

fn check_duplicate_ports(service: &Value, errors: &mut Errors) {
    let (path, all) = (SPEC.child("ports"), ports(service));
    let key = |port: &Value| (number(port, "port"), text(port, "/protocol").to_owned());
    for (index, one) in all.iter().enumerate() {
        if all[..index].iter().any(|other| key(other) == key(one)) {
            let (number, protocol) = key(one);
            let shown = json!({
                "AppProtocol": null, "Name": "", "NodePort": 0, "Port": number, "Protocol": protocol, "TargetPort": 0,
            });
            errors.duplicate(&path.index(index), shown);
        }
    }
}

fn check_balancer(service: &Value, errors: &mut Errors) {
    const WHY: &str = "may only be used when `type` is 'LoadBalancer'";
    let balanced = service_type(service) == "LoadBalancer";
    let ranges = items(service, "/spec/loadBalancerSourceRanges");
    let path = SPEC.child("LoadBalancerSourceRanges");
    if !ranges.is_empty() {
        if !balanced {
            errors.forbidden(&path, WHY);
        }
        for (index, range) in ranges.iter().filter_map(Value::as_str).map(str::trim).enumerate() {
            check_range(range, &path.index(index), errors);
        }
    } else if let Some(ranges) = meta::annotation(service, RANGES_ANNOTATION) {
        let path = Path::new("metadata");
        let path = path.child("annotations");
        let path = path.key(RANGES_ANNOTATION);
        if !balanced {
            errors.forbidden(&path, WHY);
        }
        let ranges = ranges.trim();
        ranges.split(',').filter(|_| !ranges.is_empty()).for_each(|range| check_range(range.trim(), &path, errors));
    }
    if !balanced && service.pointer("/spec/allocateLoadBalancerNodePorts").is_some_and(|value| !value.is_null()) {
        errors.forbidden(&SPEC.child("allocateLoadBalancerNodePorts"), WHY);
    }
    let class = service.pointer("/spec/loadBalancerClass").and_then(Value::as_str);
    match class {
        Some(class) if balanced => names::qualified_name(class)
            .into_iter()
            .for_each(|message| errors.invalid(&SPEC.child("loadBalancerClass"), class, message)),
        Some(_) => errors.forbidden(&SPEC.child("loadBalancerClass"), WHY),
        None => {}
    }
}

fn check_range(range: &str, path: &Path<'_>, errors: &mut Errors) {
    if let Err(why) = address::range(range) {
        errors.invalid(path, range, why);
    }
}

fn check_traffic(service: &Value, errors: &mut Errors) {
    let (path, external) = (SPEC.child("externalTrafficPolicy"), text(service, "/spec/externalTrafficPolicy"));
    match (is_external(service), external) {
        (false, "") => {}
        (false, other) => errors.invalid(&path, other, "may only be set for externally-accessible services"),
        (true, "") => errors.required(&path, ""),
        (true, known) if POLICIES.contains(&known) => {}
        (true, other) => errors.not_supported(&path, other, POLICIES),
    }
    let (path, check) = (SPEC.child("healthCheckNodePort"), health_check_port(service));
    if check != 0 && !needs_health_check(service) {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.invalid(&path, check, why);
    } else if check != 0 {
        port::check_number(check, &path, errors);
    }
    for (field, allowed) in [("internalTrafficPolicy", POLICIES), ("trafficDistribution", DISTRIBUTIONS)] {
        let value = service.get("spec").and_then(|spec| spec.get(field)).and_then(Value::as_str);
        if let Some(value) = value.filter(|value| !allowed.contains(value)) {
            errors.not_supported(&SPEC.child(field), value, allowed);
        }
    }
}
