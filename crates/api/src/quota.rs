//! What objects count for against a ResourceQuota, and whether one more fits. Main functions: [`usage`] and [`charge`].
//! Spec: <https://kubernetes.io/docs/concepts/policy/resource-quotas/>.
//!
//! Pure. Leaves out device classes, until there is that kind.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Span, Timestamp};
use serde_json::{Map, Value, json};

use crate::{
    kinds::{
        Kind,
        config_map::CONFIG_MAP,
        persistent_volume::fit,
        persistent_volume_claim::PERSISTENT_VOLUME_CLAIM,
        pod::{POD, amounts},
        read::{entries, items, text},
        resource_quota::RESOURCE_QUOTA,
        secret::SECRET,
        service::SERVICE,
    },
    meta,
    quantity::{Format, Quantity},
};

mod scope;

pub use scope::{CONFLICTING, SCOPES, Scope, in_scope, scope_fits};

/// Amounts by resource.
pub type Amounts = BTreeMap<String, Quantity>;

/// Resources of pods without a prefix of their own.
const OF_PODS: &[&str] = &[
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "pods",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// Resources that every container must name once a quota counts them: upstream's old rule.
const NAMED_BY_ALL: &[&str] = &["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];

/// Resources whose requests and limits are counted.
const COUNTED: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Resources of claims, of all or of those of a class.
const OF_CLAIMS: [&str; 2] = ["persistentvolumeclaims", "requests.storage"];

/// Between the name of a class and what its claims count for.
const CLASS_SUFFIX: &str = ".storageclass.storage.k8s.io/";

const OF_SERVICES: &[&str] = &["services", "services.loadbalancers", "services.nodeports"];

/// Kinds that are counted under their plain name too.
const COUNTED_BY_NAME: [&Kind; 3] = [&CONFIG_MAP, &RESOURCE_QUOTA, &SECRET];

/// Whether objects of a kind can count for a resource.
#[must_use]
pub fn tracks(kind: &Kind, resource: &str) -> bool {
    if resource.strip_prefix("count/").is_some_and(|counted| counted == kind.group_resource()) {
        return true;
    }
    match kind {
        kind if same(kind, &POD) => OF_PODS.contains(&resource) || is_extended(resource),
        kind if same(kind, &PERSISTENT_VOLUME_CLAIM) => {
            OF_CLAIMS.contains(&resource.rsplit_once(CLASS_SUFFIX).map_or(resource, |(_, of_class)| of_class))
        }
        kind if same(kind, &SERVICE) => OF_SERVICES.contains(&resource),
        kind => resource == kind.plural && COUNTED_BY_NAME.iter().any(|one| same(kind, one)),
    }
}

fn same(one: &Kind, other: &Kind) -> bool {
    std::ptr::eq(one, other)
}

fn is_extended(resource: &str) -> bool {
    let asked = resource.strip_prefix("requests.");
    let native = |name: &str| !name.contains('/') || name.contains("kubernetes.io/");
    asked.unwrap_or(resource).starts_with("hugepages-") || asked.is_some_and(|name| !native(name))
}

/// What an object counts for at a time.
#[must_use]
pub fn usage(kind: &Kind, object: &Value, now: Timestamp) -> Amounts {
    let mut used = Amounts::from([(format!("count/{}", kind.group_resource()), number(1))]);
    if same(kind, &POD) && ends(object).is_none_or(|end| end > now) {
        of_pod(object, &mut used);
    } else if same(kind, &PERSISTENT_VOLUME_CLAIM) {
        of_claim(object, &mut used);
    } else if same(kind, &SERVICE) {
        of_service(object, &mut used);
    } else if COUNTED_BY_NAME.iter().any(|one| same(kind, one)) {
        used.insert(kind.plural.to_owned(), number(1));
    }
    used
}

fn number(count: usize) -> Quantity {
    let nanos = i128::try_from(count).unwrap_or(i128::MAX).saturating_mul(1_000_000_000);
    Quantity::from_nanos(nanos, Format::DecimalSi)
}

/// When a pod stops to count: it has ended, or should have. `None`: not as far as is known.
#[must_use]
pub fn ends(pod: &Value) -> Option<Timestamp> {
    if ["Succeeded", "Failed"].contains(&text(pod, "/status/phase")) {
        return Some(Timestamp::MIN);
    }
    let deletion = meta::parse_time(text(pod, "/metadata/deletionTimestamp"))?;
    let grace = pod.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64)?;
    deletion.checked_add(Span::new().try_seconds(grace).ok()?).ok()
}

fn of_pod(pod: &Value, used: &mut Amounts) {
    let spec = pod.get("spec").unwrap_or(&Value::Null);
    used.insert("pods".into(), number(1));
    let (requests, limits) = (amounts::requests(spec), amounts::limits(spec));
    compute(requests.into_iter(), limits.into_iter(), used);
}

/// What requests and limits count for, by the names that quotas have for them.
fn compute<'a>(
    requests: impl Iterator<Item = (&'a str, Quantity)>,
    limits: impl Iterator<Item = (&'a str, Quantity)>,
    used: &mut Amounts,
) {
    for (name, amount) in requests {
        let huge = name.starts_with("hugepages-");
        if COUNTED.contains(&name) || huge {
            used.insert(name.to_owned(), amount.clone());
        }
        if COUNTED.contains(&name) || huge || is_extended(&format!("requests.{name}")) {
            used.insert(format!("requests.{name}"), amount);
        }
    }
    let counted = limits.filter(|(name, _)| COUNTED.contains(name));
    used.extend(counted.map(|(name, amount)| (format!("limits.{name}"), amount)));
}

/// For one, and what it asks for; once more for its class.
fn of_claim(claim: &Value, used: &mut Amounts) {
    let class = fit::class(claim).unwrap_or_default();
    let counts = [Some(number(1)), asked(claim)];
    for (name, amount) in OF_CLAIMS.iter().zip(counts).filter_map(|(name, amount)| Some((*name, amount?))) {
        if !class.is_empty() {
            used.insert(format!("{class}{CLASS_SUFFIX}{name}"), amount.clone());
        }
        used.insert(name.to_owned(), amount);
    }
}

/// Whole bytes that a claim asks for, or has been given while it asked for more.
fn asked(claim: &Value) -> Option<Quantity> {
    let amount = |pointer| Quantity::from_json(claim.pointer(pointer)?).ok();
    let request = amount("/spec/resources/requests/storage")?;
    let most = amount("/status/allocatedResources/storage").filter(|given| *given > request).unwrap_or(request);
    Some(match most.nanos() % 1_000_000_000 {
        0 => most,
        _ => Quantity::from_nanos(i128::from(most.value()) * 1_000_000_000, Format::DecimalSi),
    })
}

fn of_service(service: &Value, used: &mut Amounts) {
    used.insert("services".into(), number(1));
    let ports = items(service, "/spec/ports");
    let given = ports.iter().filter(|port| port.get("nodePort").and_then(Value::as_i64).is_some_and(|port| port > 0));
    let without = service.pointer("/spec/allocateLoadBalancerNodePorts") == Some(&Value::Bool(false));
    match text(service, "/spec/type") {
        "NodePort" => _ = used.insert("services.nodeports".into(), number(ports.len())),
        "LoadBalancer" => {
            used.insert("services.loadbalancers".into(), number(1));
            used.insert("services.nodeports".into(), number(if without { given.count() } else { ports.len() }));
        }
        _ => {}
    }
}

/// The quota with one more object counted, or an object that changed; `None` where it counts nothing of it. `old` is what
/// the object was.
///
/// # Errors
/// Why the object may not be written, as clients are told.
pub fn charge(
    quota: &Value,
    kind: &Kind,
    old: Option<&Value>,
    new: &Value,
    now: Timestamp,
) -> Result<Option<Value>, String> {
    let hard = amounts_at(quota, "/status/hard");
    // Before its controller has seen it, a quota is held to what it is to be.
    let named = if hard.is_empty() { amounts_at(quota, "/spec/hard") } else { hard.clone() };
    let tracked: BTreeSet<&str> = named.keys().map(String::as_str).filter(|name| tracks(kind, name)).collect();
    if tracked.is_empty() || !in_scope(quota, kind, new) {
        return Ok(None);
    }
    let name = meta::name(quota);
    if same(kind, &POD) {
        all_name(new, &tracked).map_err(|why| format!("failed quota: {name}: {why}"))?;
    }
    let used = amounts_at(quota, "/status/used");
    if !tracked.iter().all(|name| used.contains_key(*name)) {
        let list = tracked.into_iter().collect::<Vec<_>>().join(",");
        return Err(format!("status unknown for quota: {name}, resources: {list}"));
    }
    let before = old.filter(|old| in_scope(quota, kind, old)).map(|old| usage(kind, old, now)).unwrap_or_default();
    let more = difference(usage(kind, new, now), &before, &hard);
    fits(name, &more, &used, &hard)?;
    Ok((!more.is_empty()).then(|| counted(quota, used, &more)))
}

fn amounts_at(quota: &Value, pointer: &str) -> Amounts {
    entries(quota, pointer)
        .filter_map(|(name, amount)| Some((name.into(), Quantity::from_json(amount).ok()?)))
        .collect()
}

/// Every container must say how much it wants of what is counted.
fn all_name(pod: &Value, tracked: &BTreeSet<&str>) -> Result<(), String> {
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for list in ["/spec/containers", "/spec/initContainers"] {
        for container in items(pod, list) {
            let named = |pointer: &'static str| {
                entries(container, pointer).filter_map(|(name, amount)| Some((name, Quantity::from_json(amount).ok()?)))
            };
            let mut own = Amounts::new();
            compute(named("/resources/requests"), named("/resources/limits"), &mut own);
            for name in tracked.iter().filter(|name| NAMED_BY_ALL.contains(name) && !own.contains_key(**name)) {
                missing.entry(name).or_default().insert(text(container, "/name"));
            }
        }
    }
    let told = missing
        .iter()
        .map(|(name, containers)| format!("{name} for: {}", containers.iter().copied().collect::<Vec<_>>().join(",")));
    match told.collect::<Vec<_>>().join("; ") {
        told if told.is_empty() => Ok(()),
        told => Err(format!("must specify {told}")),
    }
}

/// What is used more than before, of what is limited.
fn difference(now: Amounts, before: &Amounts, hard: &Amounts) -> Amounts {
    let more = now.into_iter().filter(|(name, _)| hard.contains_key(name)).map(|(name, amount)| {
        let amount = before.get(&name).map_or(amount.clone(), |before| amount.minus(before));
        (name, amount)
    });
    more.filter(|(_, amount)| amount.nanos() > 0).collect()
}

fn fits(name: &str, more: &Amounts, used: &Amounts, hard: &Amounts) -> Result<(), String> {
    let over = |(name, more): &(&String, &Quantity)| used[*name].plus(more) > hard[*name];
    let exceeded: Vec<&String> = more.iter().filter(over).map(|(name, _)| name).collect();
    if exceeded.is_empty() {
        return Ok(());
    }
    let told = |amounts: &Amounts| {
        let pairs = exceeded.iter().map(|name| format!("{name}={}", amounts[*name]));
        pairs.collect::<Vec<_>>().join(",")
    };
    Err(format!("exceeded quota: {name}, requested: {}, used: {}, limited: {}", told(more), told(used), told(hard)))
}

fn counted(quota: &Value, mut used: Amounts, more: &Amounts) -> Value {
    for (name, more) in more {
        let sum = used.get(name).map_or_else(|| more.clone(), |used| used.plus(more));
        used.insert(name.clone(), sum);
    }
    let mut quota = quota.clone();
    quota["status"]["used"] = to_json(&used);
    quota
}

/// As a status has them.
#[must_use]
pub fn to_json(amounts: &Amounts) -> Value {
    let fields: Map<String, Value> =
        amounts.iter().map(|(name, amount)| (name.clone(), json!(amount.to_string()))).collect();
    fields.into()
}

#[cfg(test)]
mod tests;
