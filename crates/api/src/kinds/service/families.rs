//! Addresses and address families of a Service: checks, and the choice of families that a cluster's ranges allow.
//! Main functions: [`check`], [`choose`]. Spec: <https://kubernetes.io/docs/concepts/services-networking/dual-stack/>.

use serde_json::{Value, json};

use super::fields::{HEADLESS, cluster_ips, families, has_selector, is_headless, needs_cluster_ip, service_type};
use crate::{
    address,
    field::{Errors, Path},
    kinds::read::text,
};

const SPEC: Path<'static> = Path::new("spec");

/// Families there are.
pub const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];

const POLICIES: &[&str] = &["PreferDualStack", "RequireDualStack", "SingleStack"];

/// Most addresses: one of each family.
const MAX: usize = 2;

/// The family of an address.
#[must_use]
pub fn family_of(ip: &str) -> &'static str {
    if ip.contains(':') { "IPv6" } else { "IPv4" }
}

fn policy(service: &Value) -> &str {
    text(service, "/spec/ipFamilyPolicy")
}

fn list(values: &[&str]) -> Value {
    json!(values)
}

/// Checks addresses, families and policy against each other.
pub fn check(service: &Value, errors: &mut Errors) {
    if !needs_cluster_ip(service) {
        return;
    }
    check_single(service, errors);
    let path = SPEC.child("ipFamilies");
    let all = families(service);
    for (index, family) in all.iter().enumerate() {
        if !FAMILIES.contains(family) {
            errors.not_supported(&path.index(index), *family, &FAMILIES);
        }
        if all[..index].contains(family) {
            errors.duplicate(&path.index(index), *family);
        }
    }
    let policy = policy(service);
    if !policy.is_empty() && !POLICIES.contains(&policy) {
        errors.not_supported(&SPEC.child("ipFamilyPolicy"), policy, POLICIES);
    }
    check_addresses(service, errors);
}

/// The single address is the first of the list.
fn check_single(service: &Value, errors: &mut Errors) {
    let (path, single, all) = (SPEC.child("clusterIPs"), text(service, "/spec/clusterIP"), cluster_ips(service));
    match (single, all.first()) {
        ("", None) => {}
        ("", Some(_)) => errors.invalid(&path, list(&all), "must be empty when `clusterIP` is not specified"),
        (_, None) => errors.required(&path, ""),
        (single, Some(first)) if single != *first => {
            errors.invalid(&path, list(&all), "first value must match `clusterIP`");
        }
        _ => {}
    }
}

fn check_addresses(service: &Value, errors: &mut Errors) {
    let (path, all, mut sound) = (SPEC.child("clusterIPs"), cluster_ips(service), true);
    for (index, ip) in all.iter().enumerate() {
        if index == 0 && *ip == HEADLESS {
            if all.len() > 1 {
                sound = false;
                errors.invalid(&path, list(&all), "'None' must be the first and only value");
            }
        } else if let Err(why) = address::ip(ip) {
            sound = false;
            errors.invalid(&path.index(index), *ip, why);
        }
    }
    if all.len() > MAX {
        errors.invalid(&path, list(&all), "may only hold up to 2 values");
    }
    if !sound {
        return;
    }
    let single = all.iter().all(|ip| family_of(ip) == family_of(all[0]));
    if all.len() > 1 && (single || all.len() > MAX) {
        errors.invalid(&path, list(&all), "may specify no more than one IP for each IP family");
    }
    if !is_headless(service) {
        for (index, (ip, family)) in all.iter().zip(families(service)).enumerate() {
            if FAMILIES.contains(&family) && family_of(ip) != family {
                let why = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
                errors.invalid(&path.index(index), *ip, why);
            }
        }
    }
}

/// Chooses policy and families as the cluster's ranges (`ours`, the primary family first) allow.
pub fn choose(new: &mut Value, old: Option<&Value>, ours: &[&'static str], errors: &mut Errors) {
    if !needs_cluster_ip(new) || old.is_some_and(|old| is_settled(new, old)) {
        return;
    }
    if policy(new).is_empty() {
        let chosen = old.map(policy).filter(|policy| !policy.is_empty()).unwrap_or(match free(new) {
            true => "RequireDualStack",
            false => "SingleStack",
        });
        let chosen = chosen.to_owned();
        new["spec"]["ipFamilyPolicy"] = chosen.into();
    }
    if let Some(old) = old {
        shrink(new, old, errors);
    }
    check_policy(new, errors);
    infer(new, ours, errors);
    if errors.is_empty() && !free(new) {
        check_configured(new, ours, errors);
    }
    if errors.is_empty() {
        complete(new, ours);
    }
}

/// Headless and without a selector: no range limits its families.
fn free(service: &Value) -> bool {
    text(service, "/spec/clusterIP") == HEADLESS && !has_selector(service)
}

/// A PreferDualStack Service that the update leaves as it was stays so, whatever the cluster has become.
fn is_settled(new: &Value, old: &Value) -> bool {
    service_type(new) == service_type(old)
        && policy(new) == "PreferDualStack"
        && matches!(policy(old), "" | "PreferDualStack")
        && cluster_ips(new) == cluster_ips(old)
        && families(new) == families(old)
}

/// Giving up the second family has to be asked for by the policy.
fn shrink(new: &mut Value, old: &Value, errors: &mut Errors) {
    let path = SPEC.child("ipFamilyPolicy");
    if policy(new) == "SingleStack" {
        for field in ["clusterIPs", "ipFamilies"] {
            let same = new["spec"].get(field) == old["spec"].get(field);
            if let Some(all) = new["spec"].get_mut(field).and_then(Value::as_array_mut).filter(|_| same) {
                all.truncate(1);
            }
        }
        return;
    }
    let fewer = |of: fn(&Value) -> Vec<&str>| !of(new).is_empty() && of(new).len() < of(old).len();
    if fewer(cluster_ips) {
        errors.invalid(&path, policy(new), "must be 'SingleStack' to release the secondary cluster IP");
    }
    if fewer(families) {
        errors.invalid(&path, policy(new), "must be 'SingleStack' to release the secondary IP family");
    }
}

fn check_policy(service: &Value, errors: &mut Errors) {
    const WHY: &str = "must be 'RequireDualStack' or 'PreferDualStack' when multiple";
    let path = SPEC.child("ipFamilyPolicy");
    if policy(service) != "SingleStack" {
        return;
    }
    if cluster_ips(service).len() == 2 {
        errors.invalid(&path, policy(service), format!("{WHY} cluster IPs are specified"));
    }
    if families(service).len() == 2 {
        errors.invalid(&path, policy(service), format!("{WHY} IP families are specified"));
    }
}

/// The families of addresses that are named tell the rest.
fn infer(service: &mut Value, ours: &[&'static str], errors: &mut Errors) {
    let mut found: Vec<String> = families(service).into_iter().map(str::to_owned).collect();
    let all: Vec<String> = cluster_ips(service).into_iter().map(str::to_owned).collect();
    for (index, ip) in all.iter().enumerate().skip(found.len()).filter(|(_, ip)| *ip != HEADLESS) {
        let family = family_of(ip);
        if ours.contains(&family) {
            found.push(family.to_owned());
        } else {
            let why = format!("{family} is not configured on this cluster");
            errors.invalid(&SPEC.child("clusterIPs").index(index), all.clone(), why);
        }
    }
    if !found.is_empty() {
        service["spec"]["ipFamilies"] = found.into();
    }
}

fn check_configured(service: &Value, ours: &[&'static str], errors: &mut Errors) {
    if policy(service) == "RequireDualStack" && ours.len() < 2 {
        let why = "this cluster is not configured for dual-stack services";
        errors.invalid(&SPEC.child("ipFamilyPolicy"), policy(service), why);
    }
    for (index, family) in families(service).iter().enumerate().filter(|(_, family)| !ours.contains(family)) {
        errors.invalid(&SPEC.child("ipFamilies").index(index), *family, "not configured on this cluster");
    }
}

fn complete(service: &mut Value, ours: &[&'static str]) {
    let mut found: Vec<&str> = families(service);
    if found.is_empty() {
        found.extend(ours.first());
    }
    let both = free(service) || ours.len() == 2;
    if both && policy(service) != "SingleStack" && found.len() == 1 {
        found.extend(FAMILIES.iter().find(|family| **family != found[0]));
    }
    let found = list(&found);
    service["spec"]["ipFamilies"] = found;
}

/// Checks a change: the first address and family stay; the second comes and goes by the policy.
pub fn check_change(new: &Value, old: &Value, errors: &mut Errors) {
    if !needs_cluster_ip(new) || !needs_cluster_ip(old) {
        return;
    }
    if !(is_headless(new) && is_headless(old)) {
        check_kept("clusterIPs", "primary clusterIP can not be unset", "clusterIP", cluster_ips, new, old, errors);
    }
    if !is_headless(new) && !is_headless(old) {
        check_kept("ipFamilies", "primary ipFamily can not be unset", "ipFamily", families, new, old, errors);
    }
}

fn check_kept(
    field: &str,
    unset: &str,
    what: &str,
    of: fn(&Value) -> Vec<&str>,
    new: &Value,
    old: &Value,
    errors: &mut Errors,
) {
    let (path, is, was) = (SPEC.child(field), of(new), of(old));
    // The list is filled in later, where it is absent.
    if was.is_empty() || (is.is_empty() && field == "ipFamilies") {
        return;
    }
    if is.is_empty() {
        return errors.invalid(&path.index(0), list(&is), unset);
    }
    let kept = if is.len() == was.len() { was.len() } else { 1 };
    for index in (0..kept).filter(|index| is[*index] != was[*index]) {
        errors.invalid(&path.index(index), list(&is), "may not change once set");
    }
    if is.len() < was.len() && policy(new) != "SingleStack" {
        let why = format!("must be set to 'SingleStack' when releasing the secondary {what}");
        errors.invalid(&SPEC.child("ipFamilyPolicy"), new["spec"]["ipFamilyPolicy"].clone(), why);
    }
}
