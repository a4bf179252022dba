//! Whether a pod that was bound to this node may run here: the last word, after the scheduler's. Main function: [`admit`].
//! Reasons and messages are upstream's. Leaves out: topology, devices, and what only some schedulers know.

use std::collections::BTreeMap;

use api::{
    kinds::read,
    meta,
    quantity::Quantity,
    selector::{Operator, Requirement},
};
use serde_json::Value;

use super::ResourceList;
use crate::{
    history::Verdict,
    model::{Container, Pod},
    resources::quantity,
};

/// Before the message in the status of a Pod that was refused; its event goes without.
pub const REJECTED: &str = "Pod was rejected: ";

/// Reasons that events may have: those of the resources that every node has, and of the rules.
const REASONS: [&str; 9] = [
    "OutOfcpu",
    "OutOfmemory",
    "OutOfephemeral-storage",
    "OutOfpods",
    "NodeAffinity",
    "NodeName",
    "NodePorts",
    "TaintToleration",
    "AppArmor",
];

/// A reason as events need it.
#[must_use]
pub fn reason(reason: &str) -> &'static str {
    REASONS.into_iter().find(|known| *known == reason).unwrap_or("UnexpectedAdmissionError")
}

/// Whether a pod that was bound to this node may run here beside those that do.
///
/// # Errors
/// Where it may not: `status.reason` and `status.message` of the failed Pod.
pub fn admit(pod: &Pod, others: &[Pod], node: &Value) -> Result<(), Verdict> {
    resources(pod, others, node)?;
    let predicate = |name: &str, why: &str| Err(refusal(name, format!("Predicate {name} failed: {why}")));
    if !selected(pod, node) {
        return predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector");
    }
    if !pod.spec.node_name.is_empty() && pod.spec.node_name != meta::name(node) {
        return predicate("NodeName", "node(s) didn't match the requested node name");
    }
    if others.iter().any(|other| ports(other).any(|taken| ports(pod).any(|wanted| clash(&taken, &wanted)))) {
        return predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports");
    }
    if read::items(node, "/spec/taints").iter().any(|taint| repels(taint, pod)) {
        return predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate");
    }
    Ok(())
}

fn refusal(reason: &str, message: String) -> Verdict {
    Verdict { reason: reason.to_owned(), message: format!("{REJECTED}{message}") }
}

/// What a pod asks for, by resource, in billionths.
fn requests(pod: &Pod) -> BTreeMap<String, i128> {
    type Sum = BTreeMap<String, i128>;
    let add = |sum: &mut Sum, list: &ResourceList| {
        for name in list.keys() {
            *sum.entry(name.clone()).or_default() += quantity(list, name).map_or(0, |amount| amount.nanos());
        }
    };
    let raise = |most: &mut Sum, other: &Sum| {
        for (name, amount) in other {
            let old = most.entry(name.clone()).or_default();
            *old = (*old).max(*amount);
        }
    };
    let (mut running, mut sidecars, mut most) = (Sum::new(), Sum::new(), Sum::new());
    for one in &pod.spec.containers {
        add(&mut running, &one.resources.requests);
    }
    for one in &pod.spec.init_containers {
        if one.is_sidecar() {
            add(&mut running, &one.resources.requests);
            add(&mut sidecars, &one.resources.requests);
            raise(&mut most, &sidecars);
        } else {
            // It runs beside the sidecars that were started before it.
            let mut beside = sidecars.clone();
            add(&mut beside, &one.resources.requests);
            raise(&mut most, &beside);
        }
    }
    raise(&mut most, &running);
    if let Some(whole) = &pod.spec.resources {
        for name in whole.requests.keys() {
            most.insert(name.clone(), quantity(&whole.requests, name).map_or(0, |amount| amount.nanos()));
        }
    }
    add(&mut most, &pod.spec.overhead);
    most
}

fn resources(pod: &Pod, others: &[Pod], node: &Value) -> Result<(), Verdict> {
    let allocatable = |name: &str| {
        let amount = node.pointer("/status/allocatable").and_then(|list| list.get(name));
        amount.and_then(|amount| Quantity::from_json(amount).ok()).map_or(0, |amount| amount.nanos())
    };
    const ONE: i128 = 1_000_000_000;
    let lacks = |name: &str, requested: i128, used: i128, capacity: i128| {
        // CPU is told in thousandths, all else in units.
        let unit = if name == "cpu" { ONE / 1_000 } else { ONE };
        let reason = format!("OutOf{name}");
        let message = format!(
            "Node didn't have enough resource: {name}, requested: {}, used: {}, capacity: {}",
            requested / unit,
            used / unit,
            capacity / unit
        );
        Err(refusal(&reason, message))
    };
    let count = i128::try_from(others.len()).unwrap_or(i128::MAX / ONE) * ONE;
    if count + ONE > allocatable("pods") {
        return lacks("pods", ONE, count, allocatable("pods"));
    }
    let used: Vec<BTreeMap<String, i128>> = others.iter().map(requests).collect();
    let wanted = requests(pod);
    // The usual ones first, as upstream looks at them.
    let mut names: Vec<&String> = wanted.keys().collect();
    names.sort_by_key(|name| {
        ["cpu", "memory", "ephemeral-storage"].iter().position(|usual| usual == name).unwrap_or(usize::MAX)
    });
    // What the node does not know at all (`example.com/gpu`) is for the scheduler to know.
    let known = |name: &str| {
        !name.contains('/') || node.pointer("/status/allocatable").is_some_and(|all| all.get(name).is_some())
    };
    for name in names.into_iter().filter(|name| wanted[*name] > 0 && known(name)) {
        let used: i128 = used.iter().filter_map(|one| one.get(name)).sum();
        if used + wanted[name] > allocatable(name) {
            return lacks(name, wanted[name], used, allocatable(name));
        }
    }
    Ok(())
}

/// Port, protocol and address on the node.
fn ports(pod: &Pod) -> impl Iterator<Item = (u16, String, String)> + use<'_> {
    let sidecars = pod.spec.init_containers.iter().filter(|one| one.is_sidecar());
    let all = pod.spec.containers.iter().chain(sidecars).flat_map(|one: &Container| &one.ports);
    let host = pod.spec.host_network;
    all.filter_map(move |port| {
        let number = if port.host_port > 0 { port.host_port } else { port.container_port };
        let protocol = if port.protocol.is_empty() { "TCP" } else { &port.protocol };
        let address = if port.host_ip.is_empty() { "0.0.0.0" } else { &port.host_ip };
        (host || port.host_port > 0).then(|| (number, protocol.to_owned(), address.to_owned()))
    })
}

fn clash(a: &(u16, String, String), b: &(u16, String, String)) -> bool {
    let any = |address: &str| address == "0.0.0.0" || address == "::";
    (a.0, &a.1) == (b.0, &b.1) && (a.2 == b.2 || any(&a.2) || any(&b.2))
}

/// Whether `nodeSelector` and the required node affinity hold.
fn selected(pod: &Pod, node: &Value) -> bool {
    let labels: Vec<(&str, &str)> = meta::labels(node).collect();
    let has = |(key, value): (&String, &String)| labels.contains(&(key.as_str(), value.as_str()));
    if !pod.spec.node_selector.iter().all(has) {
        return false;
    }
    let required = "/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    if pod.spec.affinity.pointer(required).is_none() {
        return true;
    }
    let fields = [("metadata.name", meta::name(node))];
    read::items(&pod.spec.affinity, &format!("{required}/nodeSelectorTerms")).iter().any(|term| {
        let (expressions, of_fields) = (read::items(term, "/matchExpressions"), read::items(term, "/matchFields"));
        // A term that says nothing selects nothing.
        !(expressions.is_empty() && of_fields.is_empty())
            && expressions.iter().all(|one| holds(one, &labels))
            && of_fields.iter().all(|one| holds(one, &fields))
    })
}

fn holds(requirement: &Value, labels: &[(&str, &str)]) -> bool {
    let key = read::text(requirement, "/key");
    let value = labels.iter().find(|(one, _)| *one == key).map(|(_, value)| *value);
    let values: Vec<String> = read::items(requirement, "/values").iter().map(read::plain).collect();
    let operator = match read::text(requirement, "/operator") {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::GreaterThan,
        "Lt" => Operator::LessThan,
        _ => return false,
    };
    Requirement::new(key, operator, values).is_ok_and(|requirement| requirement.holds(value))
}

/// Whether a taint keeps the pod from running here; those against scheduling only do not.
fn repels(taint: &Value, pod: &Pod) -> bool {
    read::text(taint, "/effect") == "NoExecute" && !pod.spec.tolerations.iter().any(|one| tolerates(one, taint))
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let (of, is) = (|field: &str| read::text(toleration, field), |field: &str| read::text(taint, field));
    let key = of("/key").is_empty() && of("/operator") == "Exists" || of("/key") == is("/key");
    let effect = of("/effect").is_empty() || of("/effect") == is("/effect");
    let number = |text: &str| text.parse::<i64>().ok();
    let value = match of("/operator") {
        "Exists" => true,
        "" | "Equal" => of("/value") == is("/value"),
        "Gt" => number(is("/value")).zip(number(of("/value"))).is_some_and(|(taint, bound)| taint > bound),
        "Lt" => number(is("/value")).zip(number(of("/value"))).is_some_and(|(taint, bound)| taint < bound),
        _ => false,
    };
    key && effect && value
}
