//! Merges an applied configuration into the live object, by the type facts.
//!
//! Main function: [`merge`]. Spec: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use super::is_granular;
use crate::{
    managed::walk::{element, group},
    schema::{Kind, Node},
};

/// Both together; what the configuration says wins. `None` only of nothing and nothing.
pub(super) fn merge(live: Option<&Value>, config: Option<&Value>, node: Node) -> Option<Value> {
    match (node.kind, live, config) {
        (_, None, other) | (_, other, None) => other.cloned(),
        (Kind::Object(_) | Kind::Map(_), Some(Value::Object(live)), Some(Value::Object(config))) => {
            Some(Value::Object(merge_maps(live, config, node)))
        }
        (Kind::Set(_) | Kind::Keyed(..), Some(Value::Array(live)), Some(Value::Array(config))) => {
            Some(Value::Array(merge_lists(live, config, node)))
        }
        (_, _, Some(config)) => Some(config.clone()),
    }
}

fn merge_maps(live: &Map<String, Value>, config: &Map<String, Value>, node: Node) -> Map<String, Value> {
    let names: BTreeSet<&String> = live.keys().chain(config.keys()).collect();
    let merged = names
        .into_iter()
        .filter_map(|name| Some((name.clone(), merge(live.get(name), config.get(name), node.child(name))?)));
    merged.collect()
}

/// Items in the configuration's order, the others where they stand among them. Each turn takes one item.
fn merge_lists(live: &[Value], config: &[Value], node: Node) -> Vec<Value> {
    let name = |(index, item): (usize, &Value)| element(item, index, node);
    let left: Vec<String> = live.iter().enumerate().map(name).collect();
    let right: Vec<String> = config.iter().enumerate().map(name).collect();
    let (in_live, in_config) = (group(live, node), group(config, node));
    let mut shared: VecDeque<&String> = right.iter().filter(|one| in_live.contains_key(*one)).collect();
    let mut next = shared.pop_front();
    let (mut l, mut r, mut done) = (0, 0, BTreeSet::new());
    let mut merged = Vec::with_capacity(live.len().max(config.len()));
    while l < left.len() || r < right.len() {
        let (ours, theirs) = (left.get(l), right.get(r));
        if let Some(ours) = ours {
            if Some(ours) != theirs && !in_config.contains_key(ours) {
                merged.push(live[l].clone());
                l += 1;
                continue;
            }
            if Some(ours) != theirs
                && (done.contains(ours) || (theirs.is_some() && next.is_some_and(|next| next != ours)))
            {
                l += 1;
                continue;
            }
        }
        let Some(theirs) = theirs else {
            l += 1;
            continue;
        };
        merged.extend(merge(single(&in_live, theirs), Some(&config[r]), node.item()));
        done.insert(theirs.clone());
        if next == Some(theirs) {
            next = shared.pop_front();
        }
        l += usize::from(ours == Some(theirs));
        r += 1;
    }
    merged
}

fn single<'a>(items: &BTreeMap<String, Vec<&'a Value>>, element: &str) -> Option<&'a Value> {
    items.get(element).and_then(|items| items.first()).copied()
}

/// Refuses a configuration that names one item twice.
pub(super) fn check_unique(config: &Value, node: Node, path: &str) -> Result<(), String> {
    if !is_granular(node) {
        return Ok(());
    }
    match config {
        Value::Object(map) => {
            map.iter().try_for_each(|(name, value)| check_unique(value, node.child(name), &format!("{path}.{name}")))
        }
        Value::Array(items) => {
            let mut seen = BTreeSet::new();
            for (index, item) in items.iter().enumerate() {
                let name = element(item, index, node);
                let at = format!("{path}[{}]", name.split_once(':').map_or("", |(_, rest)| rest));
                if !seen.insert(name) {
                    return Err(format!("failed to create typed patch object: {at}: duplicate entries for key"));
                }
                check_unique(item, node.item(), &at)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
