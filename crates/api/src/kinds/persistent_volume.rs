//! PersistentVolume: storage of the cluster. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-v1/>.

use super::{
    ALL_VERBS, Hooks, Kind, NameRule, Storage,
    columns::{AGE, NAME},
    read::carry_over,
    workload,
};

pub mod fit;
pub mod index;

const TYPE: &str = "io.k8s.api.core.v1.PersistentVolume";

/// PersistentVolume of core v1.
pub static PERSISTENT_VOLUME: Kind = Kind {
    group: "",
    version: "v1",
    kind: "PersistentVolume",
    list_kind: "PersistentVolumeList",
    plural: "persistentvolumes",
    singular: "persistentvolume",
    short_names: &["pv"],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[workload::status("PersistentVolume", TYPE, |new, old| carry_over(new, old, "spec"))],
    type_name: TYPE,
    storage: Some(Storage { prefix: "core/persistentvolumes", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: index::ALL,
    columns: &[NAME, AGE],
    hooks: Hooks::NONE,
};

/// Annotation: a claim was chosen for it here, not by its author.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";

/// Annotation: who made it.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// Finalizer: it is bound to a claim.
pub const PROTECTION: &str = "kubernetes.io/pv-protection";

/// Finalizer: what it holds is to be removed before it is forgotten.
pub const REMOVE_DATA: &str = "external-provisioner.volume.kubernetes.io/finalizer";
