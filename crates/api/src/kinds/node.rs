//! Node. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/>.

use serde_json::{Value, json};

mod validate;

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, STATUS_VERBS, SelectableField, Storage, Subresource,
    columns::{AGE, NAME, NONE, UNKNOWN},
    read::{carry_over, entries, is_true, items, text},
};

/// Core v1 Node.
pub static NODE: Kind = Kind {
    group: "",
    version: "v1",
    kind: "Node",
    list_kind: "NodeList",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[STATUS],
    type_name: "io.k8s.api.core.v1.Node",
    storage: Some(Storage { prefix: "core/nodes", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[SelectableField {
        label: "spec.unschedulable",
        stored: "spec.unschedulable",
        pointers: &["/spec/unschedulable"],
        default: "false",
    }],
    indexes: OWNER_INDEXES,
    columns: &[
        NAME,
        Column::text("Status", "Whether it takes pods.", 0, |object, _| status(object).into()),
        Column::text("Roles", "Roles by its labels.", 0, |object, _| roles(object).into()),
        AGE,
        Column::text("Version", "Version of its kubelet.", 0, |object, _| or_unknown(text(object, KUBELET_VERSION))),
        Column::text("Internal-IP", "First internal address.", 1, |object, _| address(object, "InternalIP").into()),
        Column::text("External-IP", "First external address.", 1, |object, _| address(object, "ExternalIP").into()),
        Column::text("OS-Image", "Operating system.", 1, |object, _| {
            or_unknown(text(object, "/status/nodeInfo/osImage"))
        }),
        Column::text("Kernel-Version", "Kernel.", 1, |object, _| {
            or_unknown(text(object, "/status/nodeInfo/kernelVersion"))
        }),
        Column::text("Container-Runtime", "Container runtime.", 1, |object, _| {
            or_unknown(text(object, "/status/nodeInfo/containerRuntimeVersion"))
        }),
    ],
    hooks: Hooks {
        default,
        prepare_create,
        prepare_update,
        validate: validate::node,
        validate_update: validate::update,
        ..Hooks::NONE
    },
};

const KUBELET_VERSION: &str = "/status/nodeInfo/kubeletVersion";

const STATUS: Subresource = Subresource {
    name: "status",
    group: "",
    version: "",
    kind: "Node",
    type_name: "io.k8s.api.core.v1.Node",
    verbs: STATUS_VERBS,
    prepare_update: |new, old| {
        carry_over(new, old, "spec");
        drop_config(new, old);
    },
};

/// Prefix of labels that name a role.
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";

/// Label whose value names a role.
const ROLE_LABEL: &str = "kubernetes.io/role";

fn status(node: &Value) -> String {
    let ready = items(node, "/status/conditions").iter().find(|condition| text(condition, "/type") == "Ready");
    let word = match ready.map(|condition| text(condition, "/status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let cordon = if is_true(node, "/spec/unschedulable") { ",SchedulingDisabled" } else { "" };
    format!("{word}{cordon}")
}

fn roles(node: &Value) -> String {
    let mut roles: Vec<&str> = entries(node, "/metadata/labels").filter_map(role).collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { NONE.to_owned() } else { roles.join(",") }
}

fn role<'a>((label, value): (&'a str, &'a Value)) -> Option<&'a str> {
    let named = label.strip_prefix(ROLE_PREFIX);
    let valued = (label == ROLE_LABEL).then(|| value.as_str().unwrap_or_default());
    named.or(valued).filter(|role| !role.is_empty())
}

fn address(node: &Value, kind: &str) -> String {
    let found = items(node, "/status/addresses").iter().find(|address| text(address, "/type") == kind);
    found.map_or(NONE, |address| text(address, "/address")).to_owned()
}

fn or_unknown(value: &str) -> Value {
    if value.is_empty() { UNKNOWN } else { value }.into()
}

/// The old single range and the list of ranges tell the same.
fn default(node: &mut Value) {
    let first = items(node, "/spec/podCIDRs").first().cloned();
    let single = text(node, "/spec/podCIDR").to_owned();
    match (first, single.is_empty()) {
        (Some(first), true) => node["spec"]["podCIDR"] = first,
        (None, false) => node["spec"]["podCIDRs"] = json!([single]),
        _ => {}
    }
}

fn prepare_create(node: &mut Value, _: &Ctx) {
    drop_config(node, &Value::Null);
}

fn prepare_update(new: &mut Value, old: &Value) {
    carry_over(new, old, "status");
    drop_config(new, old);
}

/// Configuration of kubelets through the API is no more: what says so is not taken, unless it was there before.
fn drop_config(new: &mut Value, old: &Value) {
    for (part, field) in [("spec", "configSource"), ("status", "config")] {
        let before = old.get(part).and_then(|part| part.get(field)).is_some_and(|field| !field.is_null());
        if let Some(part) = new.get_mut(part).and_then(Value::as_object_mut).filter(|_| !before) {
            part.remove(field);
        }
    }
}
