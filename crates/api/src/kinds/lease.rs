//! Lease. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/>.

use serde_json::Value;

use crate::field::{Errors, Path};

use super::{
    ALL_VERBS, Column, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME},
    read::text,
};

/// Lease of coordination.k8s.io/v1.
pub static LEASE: Kind = Kind {
    group: "coordination.k8s.io",
    version: "v1",
    kind: "Lease",
    list_kind: "LeaseList",
    plural: "leases",
    singular: "lease",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.coordination.v1.Lease",
    storage: Some(Storage { prefix: "coordination.k8s.io/leases", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: &[NAME, HOLDER, AGE],
    hooks: Hooks { validate, ..Hooks::NONE },
};

const HOLDER: Column =
    Column::text("Holder", "Who holds it.", 0, |object, _| text(object, "/spec/holderIdentity").into());

fn validate(lease: &Value, errors: &mut Errors) {
    let spec = Path::new("spec");
    let number = |pointer: &str| lease.pointer(pointer).and_then(Value::as_i64);
    if let Some(seconds) = number("/spec/leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
        errors.invalid(&spec.child("leaseDurationSeconds"), seconds, "must be greater than 0");
    }
    if let Some(count) = number("/spec/leaseTransitions").filter(|count| *count < 0) {
        errors.invalid(&spec.child("leaseTransitions"), count, "must be greater than or equal to 0");
    }
    if lease.pointer("/spec/holderIdentity").and_then(Value::as_str) == Some("") {
        errors.invalid(&spec.child("holderIdentity"), "", "must not be empty");
    }
}
