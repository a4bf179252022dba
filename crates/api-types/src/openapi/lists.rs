//! The schema of a kind's list. The type crate has one generic list without a schema.

use super::{Dialect, Resource, group_version_kind, type_name};
use serde_json::{Value, json};

/// Type of a list's metadata.
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// Full type name of a resource's list, if the kind has a schema.
pub(super) fn name(resource: &Resource) -> Option<String> {
    type_name(resource.group, resource.version, resource.kind).map(|name| format!("{name}List"))
}

/// Name and schema of a resource's list, if the kind has a schema.
pub(super) fn definition(resource: &Resource, dialect: Dialect) -> Option<(String, Value)> {
    let item = type_name(resource.group, resource.version, resource.kind)?;
    let kind = format!("{}List", resource.kind);
    let schema = json!({
        "description": format!("A list of {}.", resource.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": { "type": "string", "description": "Group and version of the list." },
            "kind": { "type": "string", "description": format!("Always {kind}.") },
            "metadata": dialect.reference(LIST_META),
            "items": { "type": "array", "items": dialect.reference(item), "description": "The objects." },
        },
        "x-kubernetes-group-version-kind": [group_version_kind(resource.group, resource.version, &kind)],
    });
    Some((name(resource)?, schema))
}
