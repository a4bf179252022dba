//! IPAddress: an address of a Service range that is taken, and by whom. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/ip-address-v1/>.

use std::net::IpAddr;

use serde_json::Value;

use crate::field::{Errors, Path};

use super::{
    ALL_VERBS, Column, Hooks, Kind, NameRule, OWNER_INDEXES, SelectableField, Storage,
    columns::{AGE, NAME, NONE},
    read::text,
};

/// IPAddress of networking.k8s.io/v1.
pub static IP_ADDRESS: Kind = Kind {
    group: "networking.k8s.io",
    version: "v1",
    kind: "IPAddress",
    list_kind: "IPAddressList",
    plural: "ipaddresses",
    singular: "ipaddress",
    short_names: &["ip"],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.networking.v1.IPAddress",
    storage: Some(Storage { prefix: "networking.k8s.io/ipaddresses", other: None }),
    name_rule: NameRule::Any,
    fields: PARENT_FIELDS,
    indexes: OWNER_INDEXES,
    columns: &[NAME, PARENT, AGE],
    hooks: Hooks { validate, validate_update, ..Hooks::NONE },
};

const PARENT_FIELDS: &[SelectableField] = &[];

const PARENT: Column = Column::text("ParentRef", "What uses it.", 0, |address, _| parent(address).into());

fn parent(address: &Value) -> String {
    if address.pointer("/spec/parentRef").is_none_or(Value::is_null) {
        return NONE.to_owned();
    }
    let part = |name: &str| text(address, &format!("/spec/parentRef/{name}"));
    let resource = match part("group") {
        "" => part("resource").to_lowercase(),
        group => format!("{}.{group}", part("resource")).to_lowercase(),
    };
    format!("{resource}/{}/{}", part("namespace"), part("name"))
}

const SPEC: Path<'static> = Path::new("spec");

fn validate(address: &Value, errors: &mut Errors) {
    let name = text(address, "/metadata/name");
    if name.parse::<IpAddr>().map(|ip| ip.to_string()).ok().as_deref() != Some(name) {
        errors.invalid(&Path::new("metadata").child("name"), name, "must be a valid IP address in canonical form");
    }
    let path = SPEC.child("parentRef");
    let Some(parent) = address.pointer("/spec/parentRef").filter(|parent| !parent.is_null()) else {
        return errors.required(&path, "");
    };
    for field in ["resource", "name"] {
        if text(parent, &format!("/{field}")).is_empty() {
            errors.required(&path.child(field), "");
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    let parent = |address: &Value| address.pointer("/spec/parentRef").cloned().unwrap_or_default();
    if parent(new) != parent(old) {
        errors.invalid(&SPEC.child("parentRef"), parent(new), "field is immutable");
    }
}
