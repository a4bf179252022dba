//! What a Node may say, and how it may change. Main functions: [`node`] and [`update`]. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/>.
//!
//! Leaves out: annotations of alpha schedulers.

use std::net::IpAddr;

use serde_json::Value;

use crate::{
    address,
    field::{Errors, Kind as Wrong, Path},
    kinds::{
        pod::validate::resources,
        read::{entries, items, text},
    },
    names,
};

const METADATA: Path<'static> = Path::new("metadata");
const SPEC: Path<'static> = Path::new("spec");
const STATUS: Path<'static> = Path::new("status");

const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Characters of the name of a feature.
const FEATURE_MAX: usize = 253;

/// Checks a node by itself.
pub(super) fn node(node: &Value, errors: &mut Errors) {
    taints(node, errors);
    amounts(node, errors);
    if let Some(bytes) = node.pointer("/status/nodeInfo/swap/capacity").and_then(Value::as_i64).filter(|n| *n <= 0) {
        let swap = METADATA.child("nodeSwapStatus");
        errors.invalid(&swap.child("capacity"), bytes, "must be greater than zero");
    }
    features(node, errors);
    ranges(node, errors);
}

/// Checks a change, of the node or of its status. Metadata, taints, whether it takes pods, and the status may change; the rest of the
/// spec is set once.
pub(super) fn update(new: &Value, old: &Value, errors: &mut Errors) {
    let addresses = items(new, "/status/addresses");
    let path = STATUS.child("addresses");
    for (index, address) in addresses.iter().enumerate() {
        if addresses[..index].contains(address) {
            errors.duplicate(&path.index(index), address.clone());
        }
    }
    set_ranges(new, old, errors);
    let provider = |node| text(node, "/spec/providerID");
    if !provider(old).is_empty() && provider(new) != provider(old) {
        let why = "node updates may not change providerID except from \"\" to valid";
        errors.forbidden(&SPEC.child("providerID"), why);
    }
    if text(new, "/spec/externalID") != text(old, "/spec/externalID") {
        errors.forbidden(&SPEC.child("externalID"), "may not be updated");
    }
}

/// Ranges of pods stay once they are there: one error for each that differs.
fn set_ranges(new: &Value, old: &Value, errors: &mut Errors) {
    let (new, old) = (items(new, "/spec/podCIDRs"), items(old, "/spec/podCIDRs"));
    let differing = match old {
        [] => 0,
        _ if new.len() != old.len() => 1,
        _ => old.iter().zip(new).filter(|(old, new)| old != new).count(),
    };
    for _ in 0..differing {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        errors.forbidden(&SPEC.child("podCIDRs"), why);
    }
}

/// The path is upstream's, although they are in the spec.
fn taints(node: &Value, errors: &mut Errors) {
    let path = METADATA.child("taints");
    let taints = items(node, "/spec/taints");
    for (index, taint) in taints.iter().enumerate() {
        let path = path.index(index);
        let (key, value, effect) = (text(taint, "/key"), text(taint, "/value"), text(taint, "/effect"));
        for message in names::qualified_name(key) {
            errors.invalid(&path.child("key"), key, message);
        }
        let messages = names::label_value(value);
        if !messages.is_empty() {
            errors.invalid(&path.child("value"), value, messages.join(";"));
        }
        match effect {
            "" => errors.required(&path.child("effect"), ""),
            known if EFFECTS.contains(&known) => {}
            other => errors.not_supported(&path.child("effect"), other, EFFECTS),
        }
        let same = |other: &Value| text(other, "/key") == key && text(other, "/effect") == effect;
        if taints[..index].iter().any(same) {
            let why = "taints must be unique by key and effect pair";
            errors.push(Wrong::Duplicate, &path, Some(taint.clone()), why);
        }
    }
}

fn amounts(node: &Value, errors: &mut Errors) {
    for part in ["capacity", "allocatable"] {
        let path = STATUS.child(part);
        for (name, amount) in entries(node, &format!("/status/{part}")) {
            resources::amount_value(name, amount, &path.child(name), errors);
        }
    }
}

/// Sorted, each once.
fn features(node: &Value, errors: &mut Errors) {
    let path = STATUS.child("declaredFeatures");
    let names: Vec<&str> =
        items(node, "/status/declaredFeatures").iter().map(|name| name.as_str().unwrap_or_default()).collect();
    for (index, name) in names.iter().enumerate() {
        if let Some(why) = feature(name) {
            errors.invalid(&path.index(index), *name, why);
        }
        match names.get(index + 1) {
            Some(next) if next == name => errors.duplicate(&path.index(index + 1), *next),
            Some(next) if next < name => {
                errors.invalid(&path.index(index + 1), *next, "list must be sorted alphabetically");
            }
            _ => {}
        }
    }
}

/// What is wrong with the name of a feature: `MyFeature` or `MyFeature/mySubFeature` it should be.
fn feature(name: &str) -> Option<String> {
    let what = format!("invalid feature name {}:", crate::gotext::quote(name));
    if name.len() > FEATURE_MAX {
        return Some(format!("{what} must be no more than {FEATURE_MAX} characters"));
    }
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let sound = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.split('/').all(part);
    let why = "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes";
    (!sound).then(|| format!("{what} {why}"))
}

/// One range of each family at most.
fn ranges(node: &Value, errors: &mut Errors) {
    let path = SPEC.child("podCIDRs");
    let all = items(node, "/spec/podCIDRs");
    let mut families = Vec::new();
    for (index, range) in all.iter().enumerate() {
        let range = range.as_str().unwrap_or_default();
        match address::range(range) {
            Ok((address, _)) => families.push(address),
            Err(why) => errors.invalid(&path.index(index), range, why),
        }
    }
    let dual = matches!(families[..], [first, second] if IpAddr::is_ipv4(&first) != IpAddr::is_ipv4(&second));
    if all.len() > 1 && !(dual && all.len() == 2) {
        errors.invalid(&path, all.to_vec(), "may specify no more than one CIDR for each IP family");
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::kinds::{Ctx, node::NODE};

    fn told(errors: &Errors) -> Vec<String> {
        errors.0.iter().map(ToString::to_string).collect()
    }

    fn check(object: Value, expect: &[&str]) {
        let mut errors = Errors::new();
        node(&object, &mut errors);
        assert_eq!(told(&errors), expect, "{object}");
    }

    fn change(old: Value, new: Value, expect: &[&str]) {
        let mut errors = Errors::new();
        update(&new, &old, &mut errors);
        assert_eq!(told(&errors), expect, "{new}");
    }

    #[test]
    fn taints_are_sound_and_unique() {
        let taint = json!({ "key": "a", "effect": "NoSchedule" });
        check(
            json!({ "spec": { "taints": [taint, { "key": "a", "effect": "Never" }, { "key": "a" }, taint] } }),
            &[
                r#"metadata.taints[1].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute""#,
                "metadata.taints[2].effect: Required value",
                r#"metadata.taints[3]: Duplicate value: {"effect":"NoSchedule","key":"a"}: taints must be unique by key and effect pair"#,
            ],
        );
    }

    #[test]
    fn ranges_are_one_of_each_family_at_most() {
        let ranges = |ranges: &[&str]| json!({ "spec": { "podCIDRs": ranges } });
        check(ranges(&["10.0.0.0/24", "fd00::/64"]), &[]);
        check(
            ranges(&["10.0.0.0/33"]),
            &[
                r#"spec.podCIDRs[0]: Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"#,
            ],
        );
        check(
            ranges(&["10.0.0.0/24", "10.0.1.0/24"]),
            &[
                r#"spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for each IP family"#,
            ],
        );
    }

    #[test]
    fn there_is_some_or_none_of_a_resource() {
        check(json!({ "status": { "capacity": { "cpu": "1500m", "example.com/gpu": 2, "hugepages-2Mi": "0" } } }), &[]);
        check(
            json!({ "status": { "capacity": { "cpu": "-1", "pods": "1500m" }, "allocatable": { "example.com/gpu": "500m" },
                "nodeInfo": { "swap": { "capacity": 0 } } } }),
            &[
                r#"status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0"#,
                r#"status.capacity.pods: Invalid value: "1500m": must be an integer"#,
                r#"status.allocatable.example.com/gpu: Invalid value: "500m": must be an integer"#,
                "metadata.nodeSwapStatus.capacity: Invalid value: 0: must be greater than zero",
            ],
        );
    }

    #[test]
    fn features_are_sorted_and_well_named() {
        let features = |names: &[&str]| json!({ "status": { "declaredFeatures": names } });
        check(features(&["A", "B/some1"]), &[]);
        check(
            features(&["B", "A", "A", "b"]),
            &[
                r#"status.declaredFeatures[1]: Invalid value: "A": list must be sorted alphabetically"#,
                r#"status.declaredFeatures[2]: Duplicate value: "A""#,
                r#"status.declaredFeatures[3]: Invalid value: "b": invalid feature name "b": must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"#,
            ],
        );
    }

    #[test]
    fn what_is_set_once_stays() {
        let spec = |spec: Value| json!({ "spec": spec });
        let ranges = r#"spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid"#;
        change(spec(json!({})), spec(json!({ "podCIDRs": ["10.0.0.0/24"], "providerID": "x" })), &[]);
        change(spec(json!({ "podCIDRs": ["10.0.0.0/24"] })), spec(json!({})), &[ranges]);
        change(spec(json!({ "podCIDRs": ["a", "b"] })), spec(json!({ "podCIDRs": ["c", "d"] })), &[ranges, ranges]);
        let provider = r#"spec.providerID: Forbidden: node updates may not change providerID except from "" to valid"#;
        change(spec(json!({ "providerID": "x" })), spec(json!({ "unschedulable": true })), &[provider]);
        let external = "spec.externalID: Forbidden: may not be updated";
        change(spec(json!({})), spec(json!({ "externalID": "x" })), &[external]);
        let address = json!({ "type": "InternalIP", "address": "10.0.0.1" });
        change(
            json!({}),
            json!({ "status": { "addresses": [address, { "type": "Hostname", "address": "10.0.0.1" }, address] } }),
            &[r#"status.addresses[2]: Duplicate value: {"address":"10.0.0.1","type":"InternalIP"}"#],
        );
    }

    #[test]
    fn configuration_through_the_api_is_no_more() {
        let whole = || json!({ "spec": { "configSource": {} }, "status": { "config": {} } });
        let mut made = whole();
        (NODE.hooks.prepare_create)(&mut made, &Ctx { now: Timestamp::UNIX_EPOCH });
        assert_eq!(made, json!({ "spec": {}, "status": {} }));
        let mut changed = whole();
        (NODE.hooks.prepare_update)(&mut changed, &whole());
        assert_eq!(changed, whole());
    }
}
