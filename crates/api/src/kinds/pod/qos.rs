//! Quality of service: who is evicted first when a node runs short.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/>.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::read::{entries, items};
use crate::quantity::Quantity;

/// Resources that count.
const COUNTED: [&str; 2] = ["cpu", "memory"];

type Amounts<'a> = BTreeMap<&'a str, Quantity>;

/// `Guaranteed`, `Burstable` or `BestEffort`.
#[must_use]
pub fn class(pod: &Value) -> &'static str {
    let whole = pod.pointer("/spec/resources");
    let parts = ["/spec/containers", "/spec/initContainers"].iter().flat_map(|list| items(pod, list));
    let parts: Vec<&Value> = match whole {
        Some(whole) => vec![whole],
        None => parts.filter_map(|container| container.get("resources").or(Some(&Value::Null))).collect(),
    };
    let (mut requests, mut limits, mut guaranteed) = (Amounts::new(), Amounts::new(), true);
    for part in parts {
        add(&mut requests, part, "/requests");
        guaranteed &= add(&mut limits, part, "/limits") == COUNTED.len();
    }
    match () {
        () if requests.is_empty() && limits.is_empty() => "BestEffort",
        () if guaranteed && requests == limits => "Guaranteed",
        () => "Burstable",
    }
}

/// Adds what a part asks for; how many of the resources that count it names.
fn add<'a>(sum: &mut Amounts<'a>, part: &'a Value, which: &str) -> usize {
    let mut named = 0;
    for (name, amount) in entries(part, which).filter(|(name, _)| COUNTED.contains(name)) {
        let Some(amount) = Quantity::from_json(amount).ok().filter(|amount| !amount.is_zero()) else { continue };
        named += 1;
        let total = sum.get(name).map_or_else(|| amount.clone(), |known| known.plus(&amount));
        sum.insert(name, total);
    }
    named
}
