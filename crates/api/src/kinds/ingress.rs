//! Ingress: which requests from outside go to which Service. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-v1/>.
//! As in Kubernetes an ingress controller of the user's own acts on it.

mod validate;

use serde_json::{Value, json};

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME, NONE, addresses},
    read::{carry_over, items, text},
    workload,
};
use crate::meta;

/// Ingress of networking.k8s.io/v1.
pub static INGRESS: Kind = Kind {
    group: "networking.k8s.io",
    version: "v1",
    kind: "Ingress",
    list_kind: "IngressList",
    plural: "ingresses",
    singular: "ingress",
    short_names: &["ing"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[workload::status("Ingress", TYPE, |new, old| carry_over(new, old, "spec"))],
    type_name: TYPE,
    storage: Some(Storage { prefix: "networking.k8s.io/ingresses", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: COLUMNS,
    hooks: Hooks {
        prepare_create,
        prepare_update: workload::prepare_update,
        validate: validate::ingress,
        validate_part: Some(validate::status),
        warnings,
        ..Hooks::NONE
    },
};

const TYPE: &str = "io.k8s.api.networking.v1.Ingress";

const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Class", "The class that acts on it.", 0, |ingress, _| {
        match text(ingress, "/spec/ingressClassName") {
            "" => NONE.into(),
            class => class.into(),
        }
    }),
    Column::text("Hosts", "Hosts that its rules are about.", 0, |ingress, _| hosts(ingress).into()),
    Column::text("Address", "Where it is reached.", 0, |ingress, _| address(ingress).into()),
    Column::text("Ports", "Ports that it is reached at.", 0, |ingress, _| match items(ingress, "/spec/tls") {
        [] => "80".into(),
        _ => "80, 443".into(),
    }),
    AGE,
];

/// The class was named by this annotation before there was a field.
pub const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Hosts shown of many.
const HOSTS_SHOWN: usize = 3;

/// Characters shown of addresses, the dots included.
const ADDRESS_SHOWN: usize = 16;

/// As kubectl shows them: three, and how many more rules there are.
fn hosts(ingress: &Value) -> String {
    let rules = items(ingress, "/spec/rules");
    let named = rules.iter().enumerate().map(|(index, rule)| (index + 1, text(rule, "/host")));
    let shown: Vec<(usize, &str)> = named.filter(|(_, host)| !host.is_empty()).take(HOSTS_SHOWN).collect();
    let list = shown.iter().map(|(_, host)| *host).collect::<Vec<_>>().join(",");
    match shown.last() {
        None => "*".to_owned(),
        Some((seen, _)) if shown.len() == HOSTS_SHOWN && rules.len() > *seen => {
            format!("{list} + {} more...", rules.len() - HOSTS_SHOWN)
        }
        Some(_) => list,
    }
}

fn address(ingress: &Value) -> String {
    let all = addresses(ingress).join(",");
    match all.char_indices().nth(ADDRESS_SHOWN) {
        None => all,
        Some(_) => format!("{}...", all.chars().take(ADDRESS_SHOWN - 3).collect::<String>()),
    }
}

fn prepare_create(ingress: &mut Value, _: &Ctx) {
    workload::prepare_create(ingress, json!({ "loadBalancer": {} }));
}

fn warnings(ingress: &Value) -> Vec<String> {
    let old = meta::annotation(ingress, CLASS_ANNOTATION).is_some();
    let text = format!("annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead");
    old.then_some(text).into_iter().collect()
}

#[cfg(test)]
mod tests;
