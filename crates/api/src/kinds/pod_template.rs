//! PodTemplate: a template kept by itself. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-template-v1/>.

use serde_json::Value;

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME, NONE},
    pod::template,
    read::{entries, items, text},
};
use crate::{
    field::{Errors, Path},
    meta,
};

/// Core v1 PodTemplate.
pub static POD_TEMPLATE: Kind = Kind {
    group: "",
    version: "v1",
    kind: "PodTemplate",
    list_kind: "PodTemplateList",
    plural: "podtemplates",
    singular: "podtemplate",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.core.v1.PodTemplate",
    storage: Some(Storage { prefix: "core/podtemplates", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: &[
        NAME,
        Column::text("Containers", "Names of its containers.", 0, |object, _| containers(object, "/name").into()),
        Column::text("Images", "Images of its containers.", 0, |object, _| containers(object, "/image").into()),
        Column::text("Pod Labels", "Labels of its pods.", 0, |object, _| labels(object).into()),
        AGE,
    ],
    hooks: Hooks { default, prepare_create, prepare_update, validate, ..Hooks::NONE },
};

fn containers(object: &Value, pointer: &str) -> String {
    let all = items(object, "/template/spec/containers").iter().map(|one| text(one, pointer));
    all.collect::<Vec<_>>().join(",")
}

fn labels(object: &Value) -> String {
    let all = entries(object, "/template/metadata/labels");
    let all: Vec<String> = all.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    if all.is_empty() { NONE.to_owned() } else { all.join(",") }
}

fn default(object: &mut Value) {
    if let Some(template) = object.get_mut("template") {
        template::default(template);
    }
}

fn prepare_create(object: &mut Value, _: &Ctx) {
    meta::set_generation(object, 1);
}

fn prepare_update(new: &mut Value, old: &Value) {
    let changed = new.get("template") != old.get("template");
    meta::set_generation(new, meta::generation(old) + i64::from(changed));
}

fn validate(object: &Value, errors: &mut Errors) {
    let none = Value::Null;
    template::validate(object.get("template").unwrap_or(&none), &Path::new("template"), errors);
}
