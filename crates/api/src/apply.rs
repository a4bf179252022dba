//! Server-side apply: a manager states what it wants; its fields are merged in, and those it no longer states go.
//!
//! Main function: [`apply`]. Spec: <https://kubernetes.io/docs/reference/using-api/server-side-apply/>.
//! Leaves out: conversion between versions of a kind; defaults and checks of the result (the pipeline does both).

#![allow(clippy::result_large_err, reason = "a refusal ends the request: it is moved once, and boxing it helps nobody")]

use serde_json::{Value, json};

use crate::{
    facts::Type,
    managed::{self, Entry, Operation, Set, Writer, fields_of, walk},
    meta,
    schema::{Kind, Node},
    status::{Cause, Status},
};

mod merge;

/// The object that applying makes of `live` (`None`: it is created), `managedFields` included.
/// `force` takes fields that others own; without it they are conflicts. Applying the same again changes nothing.
///
/// # Errors
/// 400 where the configuration carries `managedFields`, or an item twice in a list of unique items; 409 listing the
/// conflicts.
pub fn apply(
    live: Option<&Value>,
    config: &Value,
    ty: &'static Type,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, Status> {
    let node = Node::root(ty);
    if !meta::managed_fields(config).is_empty() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    merge::check_unique(config, node, "").map_err(Status::bad_request)?;
    let entries = live.and_then(managed::decode).unwrap_or_default();
    let before = live.map(managed::without_entries).unwrap_or_else(|| json!({}));
    let (mine, others): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| entry.is_of(writer, Operation::Apply));
    let last = mine.into_iter().next();
    let stated = fields_of(config, node).without_fields(writer.ignored);
    let mut after = merge::merge(Some(&before), Some(config), node).unwrap_or_else(|| json!({}));
    if let Some(last) = &last {
        after = prune(&after, &last.fields, &stated, &others, node);
    }
    let others = settle(&before, &after, node, others, writer, force)?;
    finish(live, before, after, stated, last, others, writer)
}

/// Removes what was stated last time, is not stated now, and nobody else owns.
fn prune(merged: &Value, last: &Set, stated: &Set, others: &[Entry], node: Node) -> Value {
    let mut owned = others.iter().fold(stated.clone(), |all, entry| all.union(&entry.fields));
    owned.insert(&["f:metadata"]);
    let gone = named(last, node).difference(&named(&owned, node));
    walk::remove(merged, &gone, node).unwrap_or_else(|| json!({}))
}

/// The set with every declared field on the way to a member made a member, so that emptied objects can go.
fn named(set: &Set, node: Node) -> Set {
    set.map_members(&|path| declared(path, node))
}

fn declared(path: &[&str], node: Node) -> bool {
    let mut at = node;
    let mut declared = false;
    for element in path {
        match element.strip_prefix("f:") {
            Some(name) => {
                declared = at.declares(name);
                at = at.child(name);
            }
            None => {
                declared = false;
                at = at.item();
            }
        }
    }
    declared
}

/// Finds conflicts; where forced (or there are none) the others lose what changed.
fn settle(
    before: &Value,
    after: &Value,
    node: Node,
    others: Vec<Entry>,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Vec<Entry>, Status> {
    let changes = walk::compare(Some(before), Some(after), node).without_fields(writer.ignored);
    let touched = changes.added.union(&changes.modified);
    let conflicts: Vec<(&Entry, Set)> = others
        .iter()
        .map(|entry| (entry, entry.fields.intersection(&touched)))
        .filter(|(_, shared)| !shared.is_empty())
        .collect();
    if !force && !conflicts.is_empty() {
        return Err(refusal(&conflicts));
    }
    let left = others.into_iter().map(|mut entry| {
        entry.fields = entry.fields.difference(&touched).difference(&changes.removed);
        entry
    });
    Ok(left.filter(|entry| !entry.fields.is_empty()).collect())
}

fn finish(
    live: Option<&Value>,
    before: Value,
    mut after: Value,
    stated: Set,
    last: Option<Entry>,
    others: Vec<Entry>,
    writer: &Writer<'_>,
) -> Result<Value, Status> {
    let fields = managed::owned(&stated);
    let unchanged = last.as_ref().is_some_and(|last| last.fields == fields) && live.is_some() && before == after;
    let time = match &last {
        Some(last) if unchanged => last.time.clone(),
        _ => writer.time.to_owned(),
    };
    let mut entries = others;
    if !fields.is_empty() {
        entries.push(Entry {
            manager: writer.manager.to_owned(),
            operation: Operation::Apply,
            api_version: writer.api_version.to_owned(),
            time,
            subresource: writer.subresource.to_owned(),
            fields,
        });
    }
    meta::set(&mut after, "managedFields", managed::encode(entries));
    Ok(after)
}

/// The 409, in the words kubectl shows.
fn refusal(conflicts: &[(&Entry, Set)]) -> Status {
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    for (entry, shared) in conflicts {
        let who = describe(entry);
        lines.push(format!("conflicts with {who}:"));
        for path in shared.paths() {
            lines.push(format!("- {path}"));
            let message = format!("conflict with {who}");
            causes.push(Cause { reason: "FieldManagerConflict".to_owned(), message, field: path });
        }
    }
    let message = match causes.as_slice() {
        [one] => format!("Apply failed with 1 conflict: {}: {}", one.message, one.field),
        many => format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n")),
    };
    Status::apply_conflict(causes, message)
}

fn describe(entry: &Entry) -> String {
    let mut who = format!("{:?}", entry.manager);
    if !entry.subresource.is_empty() {
        who = format!("{who} with subresource {:?}", entry.subresource);
    }
    match (entry.operation, entry.time.as_str()) {
        (Operation::Apply, _) => who,
        (Operation::Update, "") => format!("{who} using {}", entry.api_version),
        (Operation::Update, time) => format!("{who} using {} at {time}", entry.api_version),
    }
}

/// Whether a place merges item by item or field by field.
pub(crate) const fn is_granular(node: Node) -> bool {
    !matches!(node.kind, Kind::Leaf(_))
}

#[cfg(test)]
mod tests;
