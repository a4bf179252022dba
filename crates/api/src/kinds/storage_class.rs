//! StorageClass: a sort of storage, and who makes volumes of it. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/storage-class-v1/>; its checks are in
//! `validate`.

use std::{borrow::Borrow, cmp::Reverse};

use serde_json::Value;

use super::{
    ALL_VERBS, Column, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME},
    pod::warnings::RENAMED,
    read::{is_true, items, text},
};
use crate::{field::Path, meta};

mod validate;

/// StorageClass of storage.k8s.io/v1.
pub static STORAGE_CLASS: Kind = Kind {
    group: "storage.k8s.io",
    version: "v1",
    kind: "StorageClass",
    list_kind: "StorageClassList",
    plural: "storageclasses",
    singular: "storageclass",
    short_names: &["sc"],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.storage.v1.StorageClass",
    storage: Some(Storage { prefix: "storage.k8s.io/storageclasses", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: COLUMNS,
    hooks: Hooks { default, validate: validate::whole, validate_update: validate::update, warnings, ..Hooks::NONE },
};

/// On the class of claims that name none.
pub const DEFAULT_ANNOTATION: &str = "storageclass.kubernetes.io/is-default-class";

/// As [`DEFAULT_ANNOTATION`], of old.
const DEFAULT_ANNOTATION_BETA: &str = "storageclass.beta.kubernetes.io/is-default-class";

/// Provisioner of classes whose volumes are made by hand.
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// The provisioner of Mesh, and the CSI driver of its volumes: folders on the node of the first pod.
pub const LOCAL: &str = "local.mesh.dev";

/// Name of the class of [`LOCAL`] that every cluster has.
pub const LOCAL_CLASS: &str = "local";

const COLUMNS: &[Column] = &[
    Column { cell: |class, _| name(class).into(), ..NAME },
    Column::text("Provisioner", "Who makes its volumes.", 0, |class, _| text(class, "/provisioner").into()),
    Column::text("ReclaimPolicy", "What becomes of its volumes after their claims.", 0, |class, _| {
        text(class, "/reclaimPolicy").into()
    }),
    Column::text("VolumeBindingMode", "When its claims get volumes.", 0, |class, _| {
        text(class, "/volumeBindingMode").into()
    }),
    Column::text("AllowVolumeExpansion", "Whether its volumes may grow.", 0, |class, _| {
        is_true(class, "/allowVolumeExpansion").into()
    }),
    AGE,
];

/// Whether claims that name no class are of this one.
#[must_use]
pub fn is_default(class: &Value) -> bool {
    let says = |annotation| meta::annotation(class, annotation) == Some("true");
    says(DEFAULT_ANNOTATION) || says(DEFAULT_ANNOTATION_BETA)
}

/// The class of claims that name none: the newest of those that say so.
#[must_use]
pub fn default_of<C: Borrow<Value>>(classes: impl IntoIterator<Item = C>) -> Option<C> {
    let rank = |class: &C| {
        let class = class.borrow();
        (Reverse(meta::creation_timestamp(class).to_owned()), meta::name(class).to_owned())
    };
    classes.into_iter().filter(|class| is_default(class.borrow())).min_by_key(rank)
}

fn name(class: &Value) -> String {
    format!("{}{}", meta::name(class), if is_default(class) { " (default)" } else { "" })
}

fn default(class: &mut Value) {
    let Some(fields) = class.as_object_mut() else { return };
    fields.entry("reclaimPolicy").or_insert_with(|| "Delete".into());
    fields.entry("volumeBindingMode").or_insert_with(|| "Immediate".into());
}

fn warnings(class: &Value) -> Vec<String> {
    let (mut told, root) = (Vec::new(), Path::new("allowedTopologies"));
    for (index, term) in items(class, "/allowedTopologies").iter().enumerate() {
        let path = root.index(index);
        let list = path.child("matchLabelExpressions");
        for (index, one) in items(term, "/matchLabelExpressions").iter().enumerate() {
            for (_, since, now) in RENAMED.iter().filter(|(label, ..)| text(one, "/key") == *label) {
                told.push(format!("{}: deprecated since {since}; use {now:?} instead", list.index(index)));
            }
        }
    }
    told
}

#[cfg(test)]
mod tests;
