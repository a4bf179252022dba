//! How a LimitRange acts on a new pod: what it fills in, and what it refuses; and on a volume claim. Main functions: [`fill`],
//! [`check`], [`check_claim`]. Spec: <https://kubernetes.io/docs/concepts/policy/limit-range/>.

use std::{cmp::Ordering, collections::BTreeMap};

use serde_json::Value;

use crate::{
    kinds::{
        pod::amounts,
        read::{child, entries, items, text},
    },
    quantity::Quantity,
};

/// Tells what was filled in.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

const LISTS: [&str; 2] = ["containers", "initContainers"];

type Amounts<'a> = BTreeMap<&'a str, Quantity>;

/// Gives containers that say nothing what the range has for them.
pub fn fill(range: &Value, pod: &mut Value) {
    let items = || items(range, "/spec/limits").iter().filter(|item| text(item, "/type") == "Container");
    let collect = |part: &str| -> BTreeMap<String, Value> {
        items().flat_map(|item| entries(item, part)).map(|(name, amount)| (name.into(), amount.clone())).collect()
    };
    let (requests, limits) = (collect("/defaultRequest"), collect("/default"));
    let mut told = Vec::new();
    for (list, word) in LISTS.iter().zip(["container", "init container"]) {
        let containers = pod.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let name = text(container, "/name").to_owned();
            for (part, what, amounts) in [("requests", "request", &requests), ("limits", "limit", &limits)] {
                let set = fill_in(container, part, amounts);
                if !set.is_empty() {
                    told.push(format!("{} {what} for {word} {name}", set.join(", ")));
                }
            }
        }
    }
    if !told.is_empty()
        && let Some(annotations) = child(&mut pod["metadata"], "annotations")
    {
        annotations.insert(ANNOTATION.into(), format!("LimitRanger plugin set: {}", told.join("; ")).into());
    }
}

/// The names of what was filled in.
fn fill_in(container: &mut Value, part: &str, amounts: &BTreeMap<String, Value>) -> Vec<String> {
    let open =
        |name: &&String| container.pointer(&format!("/resources/{part}")).and_then(|own| own.get(*name)).is_none();
    let names: Vec<String> = amounts.keys().filter(open).cloned().collect();
    if names.is_empty() {
        return names;
    }
    child(container, "resources");
    if let Some(own) = child(&mut container["resources"], part) {
        names.iter().for_each(|name| _ = own.insert(name.clone(), amounts[name].clone()));
    }
    names
}

/// Whether a pod keeps to a range.
///
/// # Errors
/// What it does not keep to, as clients are told.
pub fn check(range: &Value, pod: &Value) -> Result<(), String> {
    let mut wrong = Vec::new();
    let spec = pod.get("spec").unwrap_or(&Value::Null);
    for item in items(range, "/spec/limits") {
        match text(item, "/type") {
            "Container" => {
                for container in LISTS.iter().flat_map(|list| items(spec, &format!("/{list}"))) {
                    let own = |part| named(container, part);
                    keep(item, &own("/resources/requests"), &own("/resources/limits"), &mut wrong);
                }
            }
            "Pod" => keep(item, &amounts::requests(spec), &amounts::limits(spec), &mut wrong),
            _ => {}
        }
    }
    told(&wrong)
}

fn told(wrong: &[String]) -> Result<(), String> {
    match wrong {
        [] => Ok(()),
        [one] => Err(one.clone()),
        several => Err(format!("[{}]", several.join(", "))),
    }
}

/// Whether a claim for a volume keeps to a range; only what it asks for counts.
///
/// # Errors
/// What it does not keep to, as clients are told.
pub fn check_claim(range: &Value, claim: &Value) -> Result<(), String> {
    const KIND: &str = "PersistentVolumeClaim";
    let requests = named(claim, "/spec/resources/requests");
    let mut wrong = Vec::new();
    for item in items(range, "/spec/limits").iter().filter(|item| text(item, "/type") == KIND) {
        for (part, word, over) in [("/min", "minimum", Ordering::Less), ("/max", "maximum", Ordering::Greater)] {
            for (name, bound) in named(item, part) {
                let rule = format!("{word} {name} usage per {KIND} is {bound}");
                match requests.get(name) {
                    None => wrong.push(format!("{rule}.  No request is specified")),
                    Some(request) if request.cmp(&bound) == over => {
                        wrong.push(format!("{rule}, but request is {request}"))
                    }
                    Some(_) => {}
                }
            }
        }
    }
    told(&wrong)
}

fn named<'a>(object: &'a Value, pointer: &str) -> Amounts<'a> {
    entries(object, pointer).filter_map(|(name, amount)| Some((name, Quantity::from_json(amount).ok()?))).collect()
}

fn keep(item: &Value, requests: &Amounts<'_>, limits: &Amounts<'_>, wrong: &mut Vec<String>) {
    let kind = text(item, "/type");
    for (name, least) in named(item, "/min") {
        let told = format!("minimum {name} usage per {kind} is {least}");
        match (requests.get(name), limits.get(name)) {
            (None, _) => wrong.push(format!("{told}.  No request is specified")),
            (Some(request), _) if *request < least => wrong.push(format!("{told}, but request is {request}")),
            (_, Some(limit)) if *limit < least => wrong.push(format!("{told}, but limit is {limit}")),
            _ => {}
        }
    }
    for (name, most) in named(item, "/max") {
        let told = format!("maximum {name} usage per {kind} is {most}");
        match (limits.get(name), requests.get(name)) {
            (None, _) => wrong.push(format!("{told}.  No limit is specified")),
            (Some(limit), _) if *limit > most => wrong.push(format!("{told}, but limit is {limit}")),
            (_, Some(request)) if *request > most => wrong.push(format!("{told}, but request is {request}")),
            _ => {}
        }
    }
    for (name, most) in named(item, "/maxLimitRequestRatio") {
        wrong.extend(ratio(name, kind, &most, requests.get(name), limits.get(name)));
    }
}

// Upstream divides so, and clients see the digits.
fn ratio(
    name: &str,
    kind: &str,
    most: &Quantity,
    request: Option<&Quantity>,
    limit: Option<&Quantity>,
) -> Option<String> {
    let told = format!("{name} max limit to request ratio per {kind} is {most}");
    let (Some(request), Some(limit)) = (request, limit) else {
        let missing = if request.is_none() { "request" } else { "limit" };
        return Some(format!("{told}, but no {missing} is specified or {missing} is 0"));
    };
    if let Some(missing) = [(request, "request"), (limit, "limit")].iter().find(|(amount, _)| amount.is_zero()) {
        let missing = missing.1;
        return Some(format!("{told}, but no {missing} is specified or {missing} is 0"));
    }
    let actual = limit.milli_value() as f64 / request.milli_value() as f64;
    (actual * 1000.0 > most.milli_value() as f64).then(|| format!("{told}, but provided ratio is {actual:.6}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(requests: Value, limits: Value) -> Value {
        json!({ "metadata": {}, "spec": { "containers": [{ "name": "c", "resources": { "requests": requests, "limits": limits } }] } })
    }

    fn range(item: Value) -> Value {
        json!({ "spec": { "limits": [item] } })
    }

    #[test]
    fn open_amounts_are_filled_in_and_told() {
        let mut open = pod(json!({ "cpu": "1" }), json!({}));
        let item = json!({ "type": "Container", "default": { "cpu": "2", "memory": "2Gi" }, "defaultRequest": { "cpu": "500m", "memory": "1Gi" } });
        fill(&range(item), &mut open);
        let resources = &open["spec"]["containers"][0]["resources"];
        assert_eq!(resources["requests"], json!({ "cpu": "1", "memory": "1Gi" }));
        assert_eq!(resources["limits"], json!({ "cpu": "2", "memory": "2Gi" }));
        let told = "LimitRanger plugin set: memory request for container c; cpu, memory limit for container c";
        assert_eq!(open["metadata"]["annotations"][ANNOTATION], told);
    }

    fn refused(item: Value, pod: &Value, expect: &str) {
        assert_eq!(check(&range(item), pod).err().unwrap_or_default(), expect);
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let one = pod(json!({ "cpu": "1" }), json!({ "cpu": "2" }));
        let item = |part: &str, amount: &str| json!({ "type": "Container", part: { "cpu": amount } });
        refused(item("min", "1"), &one, "");
        refused(item("min", "2"), &one, "minimum cpu usage per Container is 2, but request is 1");
        refused(item("max", "1500m"), &one, "maximum cpu usage per Container is 1500m, but limit is 2");
        refused(
            item("maxLimitRequestRatio", "1500m"),
            &one,
            "cpu max limit to request ratio per Container is 1500m, but provided ratio is 2.000000",
        );
        let none = pod(json!({}), json!({}));
        refused(item("max", "1"), &none, "maximum cpu usage per Container is 1.  No limit is specified");
        let both = json!({ "type": "Pod", "max": { "cpu": "1", "memory": "1Gi" } });
        refused(
            both,
            &one,
            "[maximum cpu usage per Pod is 1, but limit is 2, maximum memory usage per Pod is 1Gi.  No limit is specified]",
        );
    }

    #[test]
    fn claims_keep_to_what_they_may_ask_for() {
        let bounds =
            json!({ "type": "PersistentVolumeClaim", "min": { "storage": "1Gi" }, "max": { "storage": "2Gi" } });
        let check = |requests: Value, expect: &str| {
            let claim = json!({ "spec": { "resources": { "requests": requests } } });
            assert_eq!(check_claim(&range(bounds.clone()), &claim).err().unwrap_or_default(), expect);
        };
        check(json!({ "storage": "2Gi" }), "");
        let less = "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 512Mi";
        check(json!({ "storage": "512Mi" }), less);
        let more = "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi";
        check(json!({ "storage": "3Gi" }), more);
        let least = "minimum storage usage per PersistentVolumeClaim is 1Gi.  No request is specified";
        let most = "maximum storage usage per PersistentVolumeClaim is 2Gi.  No request is specified";
        check(json!({}), &format!("[{least}, {most}]"));
    }
}
