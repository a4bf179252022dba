//! ServiceCIDR: a range that Services' addresses come from. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/service-cidr-v1/>.

use serde_json::Value;

use crate::field::{Errors, Path};

use super::{
    ALL_VERBS, Column, Hooks, Kind, NameRule, OWNER_INDEXES, STATUS_VERBS, Storage, Subresource,
    columns::{AGE, NAME},
    read::{carry_over, items},
};

/// ServiceCIDR of networking.k8s.io/v1.
pub static SERVICE_CIDR: Kind = Kind {
    group: "networking.k8s.io",
    version: "v1",
    kind: "ServiceCIDR",
    list_kind: "ServiceCIDRList",
    plural: "servicecidrs",
    singular: "servicecidr",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[STATUS],
    type_name: "io.k8s.api.networking.v1.ServiceCIDR",
    storage: Some(Storage { prefix: "networking.k8s.io/servicecidrs", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: &[NAME, CIDRS, AGE],
    hooks: Hooks { prepare_create, prepare_update, validate, validate_update, ..Hooks::NONE },
};

const STATUS: Subresource = Subresource {
    name: "status",
    group: "",
    version: "",
    kind: "ServiceCIDR",
    type_name: "io.k8s.api.networking.v1.ServiceCIDR",
    verbs: STATUS_VERBS,
    prepare_update: |new, old| carry_over(new, old, "spec"),
};

const CIDRS: Column = Column::text("CIDRs", "Its ranges.", 0, |range, _| {
    items(range, "/spec/cidrs").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",").into()
});

fn prepare_create(range: &mut Value, _: &super::Ctx) {
    if let Some(fields) = range.as_object_mut() {
        fields.remove("status");
    }
}

fn prepare_update(new: &mut Value, old: &Value) {
    carry_over(new, old, "status");
}

const SPEC: Path<'static> = Path::new("spec");

/// Most ranges: one of each family.
const MAX_RANGES: usize = 2;

fn validate(range: &Value, errors: &mut Errors) {
    let path = SPEC.child("cidrs");
    let ranges = items(range, "/spec/cidrs");
    if ranges.is_empty() {
        return errors.required(&path, "at least one CIDR required");
    }
    if ranges.len() > MAX_RANGES {
        let why = "may only hold up to 2 values";
        return errors.invalid(&path, ranges.to_vec(), why);
    }
    for (index, range) in ranges.iter().filter_map(Value::as_str).enumerate() {
        if let Err(why) = crate::address::range(range) {
            errors.invalid(&path.index(index), range, why);
        }
    }
    let six = |range: &Value| range.as_str().unwrap_or_default().contains(':');
    if let [first, second] = ranges
        && six(first) == six(second)
    {
        errors.invalid(
            &path,
            ranges.to_vec(),
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96",
        );
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    if items(new, "/spec/cidrs") != items(old, "/spec/cidrs") {
        errors.invalid(&SPEC.child("cidrs"), items(new, "/spec/cidrs").to_vec(), "field is immutable");
    }
}
