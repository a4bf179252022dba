//! Path and query parameters of operations. kubectl looks `dryRun` and `fieldValidation` up in the document before it uses them.
//!
//! Main type: [`Parameter`]. Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/>.

use super::Dialect;
use serde_json::{Value, json};

/// A query parameter and the actions that take it.
pub(super) struct Parameter {
    name: &'static str,
    kind: &'static str,
    description: &'static str,
    actions: &'static [&'static str],
}

const EVERY: &[&str] = &["list", "get", "post", "put", "patch", "delete", "deletecollection"];
const WRITES: &[&str] = &["post", "put", "patch"];
const DELETES: &[&str] = &["delete", "deletecollection"];
const SELECTS: &[&str] = &["list", "deletecollection"];
const CHANGES: &[&str] = &["post", "put", "patch", "delete", "deletecollection"];
const LIST: &[&str] = &["list"];
const PATCH: &[&str] = &["patch"];

const fn row(
    name: &'static str,
    kind: &'static str,
    actions: &'static [&'static str],
    description: &'static str,
) -> Parameter {
    Parameter { name, kind, description, actions }
}

/// All query parameters.
const QUERY: &[Parameter] = &[
    row("pretty", "string", EVERY, "'true' indents the answer."),
    row("allowWatchBookmarks", "boolean", LIST, "Whether a watch may send BOOKMARK events."),
    row("continue", "string", SELECTS, "Where the next page begins, as the last page said."),
    row("fieldSelector", "string", SELECTS, "Only objects with these field values."),
    row("labelSelector", "string", SELECTS, "Only objects with these labels."),
    row("limit", "integer", SELECTS, "Objects per page at most."),
    row("resourceVersion", "string", SELECTS, "How recent the answer has to be; where a watch begins."),
    row("resourceVersionMatch", "string", SELECTS, "How resourceVersion is meant: NotOlderThan or Exact."),
    row("sendInitialEvents", "boolean", LIST, "Whether a watch begins with the objects that are there."),
    row("timeoutSeconds", "integer", SELECTS, "After how many seconds the call ends."),
    row("watch", "boolean", LIST, "Whether to send changes as they happen."),
    row("dryRun", "string", CHANGES, "'All' checks the request and stores nothing."),
    row("fieldManager", "string", WRITES, "Who makes the change, for managedFields."),
    row("fieldValidation", "string", WRITES, "What unknown and duplicate fields do: Ignore, Warn or Strict."),
    row("force", "boolean", PATCH, "Whether an apply takes over fields that others manage."),
    row("gracePeriodSeconds", "integer", DELETES, "Seconds the object may take to end."),
    row("orphanDependents", "boolean", DELETES, "Deprecated: use propagationPolicy."),
    row("propagationPolicy", "string", DELETES, "What happens to dependents: Orphan, Background or Foreground."),
];

/// The query parameters of an action.
pub(super) fn query(action: &str, dialect: Dialect) -> Vec<Value> {
    let rows = QUERY.iter().filter(|row| row.actions.contains(&action));
    rows.map(|row| parameter(row.name, "query", row.kind, row.description, dialect)).collect()
}

/// The parameters in a path.
pub(super) fn path(namespaced: bool, named: bool, dialect: Dialect) -> Vec<Value> {
    let rows = [("namespace", namespaced, "Namespace of the object."), ("name", named, "Name of the object.")];
    let rows = rows.into_iter().filter(|(_, present, _)| *present);
    rows.map(|(name, _, description)| parameter(name, "path", "string", description, dialect)).collect()
}

fn parameter(name: &str, place: &str, kind: &str, description: &str, dialect: Dialect) -> Value {
    let mut parameter = json!({ "name": name, "in": place, "description": description });
    match dialect {
        Dialect::V2 => parameter["type"] = json!(kind),
        Dialect::V3 => parameter["schema"] = json!({ "type": kind, "uniqueItems": true }),
    }
    match place {
        "path" => parameter["required"] = json!(true),
        _ if dialect == Dialect::V2 => parameter["uniqueItems"] = json!(true),
        _ => {}
    }
    parameter
}
