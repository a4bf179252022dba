//! PriorityClass: names for how much a pod matters. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/priority-class-v1/>.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    field::{Errors, Path},
    meta,
};

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME},
    read::{is_true, text},
};

/// scheduling.k8s.io/v1 PriorityClass.
pub static PRIORITY_CLASS: Kind = Kind {
    group: "scheduling.k8s.io",
    version: "v1",
    kind: "PriorityClass",
    list_kind: "PriorityClassList",
    plural: "priorityclasses",
    singular: "priorityclass",
    short_names: &["pc"],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.scheduling.v1.PriorityClass",
    storage: Some(Storage { prefix: "scheduling.k8s.io/priorityclasses", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: &[
        NAME,
        Column {
            r#type: "integer",
            ..Column::text("Value", "How much its pods matter.", 0, |class, _| value(class).into())
        },
        Column {
            r#type: "boolean",
            ..Column::text("Global-Default", "Whether it is that of pods that name none.", 0, |class, _| {
                is_true(class, "/globalDefault").into()
            })
        },
        AGE,
        Column::text("PreemptionPolicy", "Whether its pods push others aside.", 0, policy),
    ],
    hooks: Hooks { default, prepare_create, prepare_update, validate, validate_update, ..Hooks::NONE },
};

/// Beginning of the names of classes that are Kubernetes' own.
const SYSTEM_PREFIX: &str = "system-";

/// Largest value that a class of a user's may have.
pub const USER_VALUE_MAX: i64 = 1_000_000_000;

/// The classes that are there from the start: name, value, description.
pub const SYSTEM: [(&str, i64, &str); 2] = [
    (
        "system-cluster-critical",
        2 * USER_VALUE_MAX,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2 * USER_VALUE_MAX + 1000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
];

const POLICIES: &[&str] = &["PreemptLowerPriority", "Never"];

/// The value of a class.
#[must_use]
pub fn value(class: &Value) -> i64 {
    class.get("value").and_then(Value::as_i64).unwrap_or_default()
}

fn policy(class: &Value, _: Timestamp) -> Value {
    text(class, "/preemptionPolicy").into()
}

fn default(class: &mut Value) {
    let open = text(class, "/preemptionPolicy").is_empty();
    let Some(fields) = class.as_object_mut() else { return };
    fields.entry("value").or_insert_with(|| json!(0));
    if open {
        fields.insert("preemptionPolicy".to_owned(), "PreemptLowerPriority".into());
    }
}

fn prepare_create(class: &mut Value, _: &Ctx) {
    meta::set_generation(class, 1);
}

fn prepare_update(new: &mut Value, old: &Value) {
    meta::set_generation(new, meta::generation(old));
}

fn validate(class: &Value, errors: &mut Errors) {
    let name = meta::name(class);
    if name.starts_with(SYSTEM_PREFIX) {
        let known = SYSTEM.iter().find(|(known, ..)| *known == name);
        let why = match known {
            Some((_, wanted, _)) if *wanted != value(class) => {
                format!("value of {name} PriorityClass must be {wanted}")
            }
            Some(_) if is_true(class, "/globalDefault") => {
                format!("globalDefault of {name} PriorityClass must be false")
            }
            Some(_) => return,
            None => format!("{name} is not a known system priority class"),
        };
        let message = format!(
            "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {why}"
        );
        let path = Path::new("metadata");
        errors.forbidden(&path.child("name"), message);
    } else if value(class) > USER_VALUE_MAX {
        let why = format!("maximum allowed value of a user defined priority is {USER_VALUE_MAX}");
        errors.forbidden(&Path::new("value"), why);
    }
    match text(class, "/preemptionPolicy") {
        known if POLICIES.contains(&known) => {}
        other => errors.not_supported(&Path::new("preemptionPolicy"), other, POLICIES),
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    if value(new) != value(old) {
        errors.forbidden(&Path::new("value"), "may not be changed in an update.");
    }
    let policy = |class| text(class, "/preemptionPolicy");
    if policy(new) != policy(old) {
        errors.invalid(&Path::new("preemptionPolicy"), policy(new), "field is immutable");
    }
}
