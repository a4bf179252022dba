//! Lease. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/>.

use serde_json::Value;

use crate::{
    field::{Errors, Path},
    names,
};

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
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
    hooks: Hooks { prepare_create, prepare_update, validate, ..Hooks::NONE },
};

const HOLDER: Column =
    Column::text("Holder", "Who holds it.", 0, |object, _| text(object, "/spec/holderIdentity").into());

const SPEC: Path<'static> = Path::new("spec");

/// Fields of coordinated leader election: nobody here elects leaders for others, so they are not taken from clients, as upstream has it
/// unless that feature is on.
const COORDINATED: [&str; 2] = ["strategy", "preferredHolder"];

const STRATEGIES: &[&str] = &["OldestEmulationVersion"];

fn prepare_create(lease: &mut Value, _: &Ctx) {
    prepare_update(lease, &Value::Null);
}

/// What the old one has may be kept or changed.
fn prepare_update(lease: &mut Value, old: &Value) {
    let Some(spec) = lease.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for field in COORDINATED.iter().filter(|field| old.pointer(&format!("/spec/{field}")).is_none_or(Value::is_null)) {
        spec.remove(*field);
    }
}

fn validate(lease: &Value, errors: &mut Errors) {
    let number = |pointer: &str| lease.pointer(pointer).and_then(Value::as_i64);
    if let Some(seconds) = number("/spec/leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
        errors.invalid(&SPEC.child("leaseDurationSeconds"), seconds, "must be greater than 0");
    }
    if let Some(count) = number("/spec/leaseTransitions").filter(|count| *count < 0) {
        errors.invalid(&SPEC.child("leaseTransitions"), count, "must be greater than or equal to 0");
    }
    if let Some(strategy) = lease.pointer("/spec/strategy").and_then(Value::as_str) {
        validate_strategy(strategy, errors);
    }
    if !text(lease, "/spec/preferredHolder").is_empty() && text(lease, "/spec/strategy").is_empty() {
        errors.forbidden(&SPEC.child("preferredHolder"), "may only be specified if `strategy` is defined");
    }
}

/// Of Kubernetes' own, or somebody's with a domain. The path is upstream's, one `strategy` too many.
fn validate_strategy(strategy: &str, errors: &mut Errors) {
    let field = SPEC.child("strategy");
    let path = field.child("strategy");
    if strategy.contains('/') {
        names::qualified_name(strategy).into_iter().for_each(|message| errors.invalid(&path, strategy, message));
    } else if !STRATEGIES.contains(&strategy) {
        errors.not_supported(&path, strategy, STRATEGIES);
    }
}
