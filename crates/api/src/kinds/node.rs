//! Node. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/>.

use serde_json::{Value, json};

use crate::{
    field::{Errors, Kind as Wrong, Path},
    names,
};

use super::{
    ALL_VERBS, Column, Hooks, Kind, NameRule, OWNER_INDEXES, STATUS_VERBS, SelectableField, Storage, Subresource,
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
    hooks: Hooks { default, prepare_update, validate, validate_update, ..Hooks::NONE },
};

const KUBELET_VERSION: &str = "/status/nodeInfo/kubeletVersion";

const STATUS: Subresource = Subresource {
    name: "status",
    group: "",
    version: "",
    kind: "Node",
    type_name: "io.k8s.api.core.v1.Node",
    verbs: STATUS_VERBS,
    prepare_update: |new, old| carry_over(new, old, "spec"),
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

const SPEC: Path<'static> = Path::new("spec");

const EFFECTS: &[&str] = &["NoExecute", "NoSchedule", "PreferNoSchedule"];

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

fn prepare_update(new: &mut Value, old: &Value) {
    carry_over(new, old, "status");
}

fn validate(node: &Value, errors: &mut Errors) {
    let path = SPEC.child("taints");
    let taints = items(node, "/spec/taints");
    for (index, taint) in taints.iter().enumerate() {
        let path = path.index(index);
        let (key, value, effect) = (text(taint, "/key"), text(taint, "/value"), text(taint, "/effect"));
        for message in names::qualified_name(key) {
            errors.invalid(&path.child("key"), key, message);
        }
        let messages = names::label_value(value);
        if !messages.is_empty() {
            errors.invalid(&path.child("value"), value, messages.join(";"));
        }
        match effect {
            "" => errors.required(&path.child("effect"), ""),
            known if EFFECTS.contains(&known) => {}
            other => errors.not_supported(&path.child("effect"), other, EFFECTS),
        }
        let same = |other: &Value| text(other, "/key") == key && text(other, "/effect") == effect;
        if taints[..index].iter().any(same) {
            let why = "taints must be unique by key and effect pair";
            errors.push(Wrong::Duplicate, &path, Some(taint.clone()), why);
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    let ranges = |node: &Value| items(node, "/spec/podCIDRs").to_vec();
    if !ranges(old).is_empty() && ranges(new) != ranges(old) {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        errors.forbidden(&SPEC.child("podCIDRs"), why);
    }
    let provider = |node| text(node, "/spec/providerID");
    if !provider(old).is_empty() && provider(new) != provider(old) {
        let why = "node updates may not change providerID except from \"\" to valid";
        errors.forbidden(&SPEC.child("providerID"), why);
    }
}
