//! StorageClass: a sort of storage, and who makes volumes of it. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/storage-class-v1/>.

use super::{
    ALL_VERBS, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME},
};

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
    columns: &[NAME, AGE],
    hooks: Hooks::NONE,
};

/// On the class of claims that name none.
pub const DEFAULT_ANNOTATION: &str = "storageclass.kubernetes.io/is-default-class";

/// Provisioner of classes whose volumes are made by hand.
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// The provisioner of Mesh, and the CSI driver of its volumes: folders on the node of the first pod.
pub const LOCAL: &str = "local.mesh.dev";

/// Name of the class of [`LOCAL`] that every cluster has.
pub const LOCAL_CLASS: &str = "local";
