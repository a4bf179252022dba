//! What the containers of a pod ask for together, and may use. Main functions: [`requests`] and [`limits`]. Spec:
//! <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers>.
//! Leaves out overhead, and what the pod asks for as a whole (`spec.resources`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::read::{entries, items, text};
use crate::quantity::Quantity;

/// What containers ask for at their most: all regular ones with all sidecars, or one init container with the sidecars before it.
#[must_use]
pub fn requests(spec: &Value) -> BTreeMap<&str, Quantity> {
    together(spec, "/resources/requests")
}

/// What containers may use at their most, counted likewise; those without a limit add nothing.
#[must_use]
pub fn limits(spec: &Value) -> BTreeMap<&str, Quantity> {
    together(spec, "/resources/limits")
}

fn together<'a>(spec: &'a Value, which: &str) -> BTreeMap<&'a str, Quantity> {
    let mut sum: BTreeMap<&str, Quantity> = BTreeMap::new();
    let mut sidecars = sum.clone();
    let mut peak = sum.clone();
    for container in items(spec, "/containers") {
        add(&mut sum, container, which);
    }
    for container in items(spec, "/initContainers") {
        if text(container, "/restartPolicy") == "Always" {
            add(&mut sum, container, which);
            add(&mut sidecars, container, which);
        }
        let mut now = sidecars.clone();
        if text(container, "/restartPolicy") != "Always" {
            add(&mut now, container, which);
        }
        raise(&mut peak, now);
    }
    raise(&mut sum, peak);
    sum
}

fn add<'a>(sum: &mut BTreeMap<&'a str, Quantity>, container: &'a Value, which: &str) {
    for (name, amount) in entries(container, which) {
        let Ok(amount) = Quantity::from_json(amount) else { continue };
        let total = sum.get(name).map_or_else(|| amount.clone(), |known| known.plus(&amount));
        sum.insert(name, total);
    }
}

fn raise<'a>(most: &mut BTreeMap<&'a str, Quantity>, other: BTreeMap<&'a str, Quantity>) {
    for (name, amount) in other {
        if most.get(name).is_none_or(|known| amount > *known) {
            most.insert(name, amount);
        }
    }
}
