//! PersistentVolumeClaim: a wish for storage. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/>.

use super::{
    ALL_VERBS, Hooks, Kind, NameRule, Storage,
    columns::{AGE, NAME},
    read::carry_over,
    workload,
};

pub mod index;

const TYPE: &str = "io.k8s.api.core.v1.PersistentVolumeClaim";

/// PersistentVolumeClaim of core v1.
pub static PERSISTENT_VOLUME_CLAIM: Kind = Kind {
    group: "",
    version: "v1",
    kind: "PersistentVolumeClaim",
    list_kind: "PersistentVolumeClaimList",
    plural: "persistentvolumeclaims",
    singular: "persistentvolumeclaim",
    short_names: &["pvc"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[workload::status("PersistentVolumeClaim", TYPE, |new, old| carry_over(new, old, "spec"))],
    type_name: TYPE,
    storage: Some(Storage { prefix: "core/persistentvolumeclaims", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: index::ALL,
    columns: &[NAME, AGE],
    hooks: Hooks::NONE,
};

/// Annotation: both sides of its binding are written.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";

/// Annotation: its volume was chosen here, not by its author.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";

/// Annotation: the node that its first pod will run on, chosen by the scheduler.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// Annotation: who is to make its volume.
pub const STORAGE_PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";

/// As [`STORAGE_PROVISIONER`], of old.
pub const STORAGE_PROVISIONER_BETA: &str = "volume.beta.kubernetes.io/storage-provisioner";

/// Finalizer: a pod uses it.
pub const PROTECTION: &str = "kubernetes.io/pvc-protection";
