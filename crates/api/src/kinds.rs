//! The kinds table: every resource the API serves, one row each. Routes, discovery, storage keys, Tables and the
//! write pipeline are driven by these rows; nothing else knows a kind by name.
//!
//! Main type: [`Kind`]. Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/> and the
//! [API conventions](https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md).
//! Leaves out: metadata common to all kinds ([`crate::meta`]), field types ([`crate::facts`]), custom resources.
//!
//! A new kind is one file under `kinds/` and one line in [`KINDS`].

use jiff::Timestamp;
use serde_json::Value;

use crate::field::Errors;

pub mod columns;
pub mod port;
pub mod read;

pub mod access_review;
pub mod config_map;
pub mod controller_revision;
pub mod cron_job;
pub mod daemon_set;
pub mod deployment;
pub mod endpoint_slice;
pub mod endpoints;
pub mod event;
pub mod ingress;
pub mod ingress_class;
pub mod ip_address;
pub mod job;
pub mod lease;
pub mod limit_range;
pub mod namespace;
pub mod node;
pub mod persistent_volume;
pub mod persistent_volume_claim;
pub mod pod;
pub mod pod_disruption_budget;
pub mod pod_template;
pub mod priority_class;
pub mod rbac;
pub mod replica_set;
pub mod replication_controller;
pub mod resource_quota;
pub mod secret;
pub mod self_subject_review;
pub mod service;
pub mod service_account;
pub mod service_cidr;
pub mod stateful_set;
pub mod storage_class;
pub mod token;
pub mod workload;

/// One resource at one served version.
#[derive(Debug)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version within the group.
    pub version: &'static str,
    /// Kind, as in an object's `kind`.
    pub kind: &'static str,
    /// Kind of a list of them.
    pub list_kind: &'static str,
    /// Resource name in paths and RBAC rules.
    pub plural: &'static str,
    /// Resource name for one.
    pub singular: &'static str,
    /// Names kubectl also accepts.
    pub short_names: &'static [&'static str],
    /// Sets of resources it belongs to (`all`).
    pub categories: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Verbs served, sorted, as discovery tells them.
    pub verbs: &'static [&'static str],
    /// Parts with a path of their own.
    pub subresources: &'static [Subresource],
    /// Key into the type facts, such as `io.k8s.api.core.v1.ConfigMap`.
    pub type_name: &'static str,
    /// Where and how it is stored; `None` for a question that is answered and forgotten.
    pub storage: Option<Storage>,
    /// What `metadata.name` may be.
    pub name_rule: NameRule,
    /// Fields a field selector may name, beside `metadata.name` and `metadata.namespace`.
    pub fields: &'static [SelectableField],
    /// Lookups kept by the store for it.
    pub indexes: &'static [Index],
    /// Columns of its Table.
    pub columns: &'static [Column],
    /// What is peculiar to it on the way in.
    pub hooks: Hooks,
}

/// A part of an object with a path of its own, such as `status`.
#[derive(Debug)]
pub struct Subresource {
    /// Last segment of its path.
    pub name: &'static str,
    /// Group of the body's kind, where it is another than the resource's; empty: the resource's own.
    pub group: &'static str,
    /// Version of the body's kind; empty: the resource's own.
    pub version: &'static str,
    /// Kind of the body.
    pub kind: &'static str,
    /// Key into the type facts of the body's kind.
    pub type_name: &'static str,
    /// Verbs served, sorted.
    pub verbs: &'static [&'static str],
    /// Keeps everything but the subresource as it was: `(new, old)`. Called before validation of an update.
    pub prepare_update: fn(&mut Value, &Value),
}

/// How objects of a kind are stored. Versions that share a prefix are views of the same objects.
#[derive(Debug)]
pub struct Storage {
    /// First segments of the key: `<group or "core">/<plural>`, no slash at either end.
    pub prefix: &'static str,
    /// The version whose form is stored, where it is another.
    pub other: Option<OtherVersion>,
}

/// How a served version that is not the stored one maps to it.
#[derive(Debug)]
pub struct OtherVersion {
    /// The stored version.
    pub kind: &'static Kind,
    /// Makes the stored form of the served one, in place, `apiVersion` included.
    pub to_storage: fn(&mut Value),
    /// The reverse.
    pub from_storage: fn(&mut Value),
}

/// What a name may be. Spec: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// RFC 1123 label, 63 bytes at most.
    DnsLabel,
    /// RFC 1123 subdomain, 253 bytes at most.
    DnsSubdomain,
    /// Anything that fits in one path segment.
    PathSegment,
    /// Not looked at: virtual kinds.
    Any,
}

/// A field that a field selector may name.
#[derive(Debug)]
pub struct SelectableField {
    /// As the selector of this version writes it.
    pub label: &'static str,
    /// As the store knows it: the label of the stored version.
    pub stored: &'static str,
    /// JSON pointers into the **stored** form; the first that holds a non-empty value counts.
    pub pointers: &'static [&'static str],
    /// What an absent field is equal to.
    pub default: &'static str,
}

/// A lookup kept by the store.
#[derive(Debug)]
pub struct Index {
    /// Name of the index.
    pub name: &'static str,
    /// Values under which an object (stored form) is found.
    pub values: fn(&Value) -> Vec<String>,
}

/// One column of a server-side Table. The cell is made from the **served** form.
#[derive(Debug)]
pub struct Column {
    /// Heading.
    pub name: &'static str,
    /// OpenAPI type.
    pub r#type: &'static str,
    /// OpenAPI format; `name` marks the identifying column.
    pub format: &'static str,
    /// For people.
    pub description: &'static str,
    /// 0 is always shown, above that only in wide output.
    pub priority: i32,
    /// The cell of an object as seen at a time.
    pub cell: fn(&Value, Timestamp) -> Value,
}

/// What is peculiar to a kind on the way in. All are pure; [`Hooks::NONE`] does nothing.
/// Order: decode, `default`, `prepare_*`, common metadata, `validate` (and `validate_update` on updates).
#[derive(Debug)]
pub struct Hooks {
    /// Fills in defaults that type facts cannot express. Also run on objects read back, so it must be idempotent.
    pub default: fn(&mut Value),
    /// Drops or sets what a client may not say on create. The name is final.
    pub prepare_create: fn(&mut Value, &Ctx),
    /// `(new, old)`: carries over what an update of the main resource may not change.
    pub prepare_update: fn(&mut Value, &Value),
    /// `(new, old)`: sets what tells when an update was, of the object or a part; runs after what carries over.
    pub stamp: fn(&mut Value, &Value, &Ctx),
    /// Checks an object by itself. Common metadata is checked elsewhere.
    pub validate: fn(&Value, &mut Errors),
    /// `(new, old)`: checks a change; runs beside `validate`.
    pub validate_update: fn(&Value, &Value, &mut Errors),
    /// `(part, new, old)`: checks a change that came through a part, in place of `validate_update`; `None`: the same checks.
    pub validate_part: Option<fn(&str, &Value, &Value, &mut Errors)>,
    /// What to tell the creator of an object that is fine, yet hardly meant so.
    pub warnings: fn(&Value) -> Vec<String>,
    /// Seconds an object is given to end by itself, of what was asked for; `None`: the kind knows no grace, an object is
    /// gone as soon as no finalizer holds it.
    pub grace: Option<fn(&Value, Option<i64>) -> i64>,
}

/// What a write knows beside the object.
#[derive(Clone, Copy, Debug)]
pub struct Ctx {
    /// Time of the request.
    pub now: Timestamp,
}

impl Hooks {
    /// Does nothing.
    pub const NONE: Self = Self {
        default: |_| {},
        prepare_create: |_, _| {},
        prepare_update: |_, _| {},
        stamp: |_, _, _| {},
        validate: |_, _| {},
        validate_update: |_, _, _| {},
        validate_part: None,
        warnings: |_| Vec::new(),
        grace: None,
    };
}

impl Kind {
    /// Group and version as in `apiVersion`.
    #[must_use]
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Group and resource as messages name them: `configmaps`, `leases.coordination.k8s.io`.
    #[must_use]
    pub fn group_resource(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// The row whose form is stored: itself, unless it is a view of another version.
    #[must_use]
    pub fn stored(&'static self) -> &'static Self {
        self.storage.as_ref().and_then(|storage| storage.other.as_ref()).map_or(self, |other| other.kind)
    }

    /// Makes the stored form of a served object, in place.
    pub fn to_storage(&self, object: &mut Value) {
        if let Some(other) = self.storage.as_ref().and_then(|storage| storage.other.as_ref()) {
            (other.to_storage)(object);
        }
    }

    /// Makes the served form of a stored object, in place.
    pub fn from_storage(&self, object: &mut Value) {
        if let Some(other) = self.storage.as_ref().and_then(|storage| storage.other.as_ref()) {
            (other.from_storage)(object);
        }
    }

    /// The subresource of this name.
    #[must_use]
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|sub| sub.name == name)
    }

    /// The selectable field of this label.
    #[must_use]
    pub fn field(&self, label: &str) -> Option<&'static SelectableField> {
        self.fields.iter().find(|field| field.label == label)
    }
}

impl SelectableField {
    /// The field's value in a **stored** object.
    #[must_use]
    pub fn value(&self, object: &Value) -> String {
        let found = self.pointers.iter().filter_map(|pointer| object.pointer(pointer)).map(read::plain);
        found.into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| self.default.to_owned())
    }
}

/// An API group, its served versions in order of preference.
#[derive(Debug)]
pub struct Group {
    /// Name; empty for the core group.
    pub name: &'static str,
    /// Versions; the first is the preferred one.
    pub versions: &'static [&'static str],
}

/// Groups in the order discovery tells them.
pub const GROUPS: &[Group] = &[
    Group { name: "", versions: &["v1"] },
    Group { name: "apps", versions: &["v1"] },
    Group { name: "events.k8s.io", versions: &["v1"] },
    Group { name: "authentication.k8s.io", versions: &["v1"] },
    Group { name: "authorization.k8s.io", versions: &["v1"] },
    Group { name: "batch", versions: &["v1"] },
    Group { name: "rbac.authorization.k8s.io", versions: &["v1"] },
    Group { name: "networking.k8s.io", versions: &["v1"] },
    Group { name: "policy", versions: &["v1"] },
    Group { name: "storage.k8s.io", versions: &["v1"] },
    Group { name: "scheduling.k8s.io", versions: &["v1"] },
    Group { name: "coordination.k8s.io", versions: &["v1"] },
    Group { name: "discovery.k8s.io", versions: &["v1"] },
];

/// Every kind served, in the order discovery tells them.
pub const KINDS: &[&Kind] = &[
    &config_map::CONFIG_MAP,
    &endpoints::ENDPOINTS,
    &event::CORE_EVENT,
    &limit_range::LIMIT_RANGE,
    &namespace::NAMESPACE,
    &node::NODE,
    &persistent_volume_claim::PERSISTENT_VOLUME_CLAIM,
    &persistent_volume::PERSISTENT_VOLUME,
    &pod::binding::BINDING,
    &pod::POD,
    &pod_template::POD_TEMPLATE,
    &replication_controller::REPLICATION_CONTROLLER,
    &resource_quota::RESOURCE_QUOTA,
    &secret::SECRET,
    &service::SERVICE,
    &service_account::SERVICE_ACCOUNT,
    &controller_revision::CONTROLLER_REVISION,
    &daemon_set::DAEMON_SET,
    &deployment::DEPLOYMENT,
    &replica_set::REPLICA_SET,
    &stateful_set::STATEFUL_SET,
    &event::EVENT,
    &self_subject_review::SELF_SUBJECT_REVIEW,
    &token::TOKEN_REVIEW,
    &access_review::LOCAL_SUBJECT_ACCESS_REVIEW,
    &access_review::SELF_SUBJECT_ACCESS_REVIEW,
    &access_review::SELF_SUBJECT_RULES_REVIEW,
    &access_review::SUBJECT_ACCESS_REVIEW,
    &cron_job::CRON_JOB,
    &job::JOB,
    &rbac::CLUSTER_ROLE_BINDING,
    &rbac::CLUSTER_ROLE,
    &rbac::ROLE_BINDING,
    &rbac::ROLE,
    &ingress::INGRESS,
    &ingress_class::INGRESS_CLASS,
    &ip_address::IP_ADDRESS,
    &service_cidr::SERVICE_CIDR,
    &pod_disruption_budget::POD_DISRUPTION_BUDGET,
    &storage_class::STORAGE_CLASS,
    &priority_class::PRIORITY_CLASS,
    &lease::LEASE,
    &endpoint_slice::ENDPOINT_SLICE,
];

/// The kind served at `/apis/<group>/<version>/<plural>` (core: `/api/<version>/<plural>`).
#[must_use]
pub fn by_resource(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|row| row.plural == plural && row.group == group && row.version == version).copied()
}

/// The kind that an object's `apiVersion` and `kind` name.
#[must_use]
pub fn by_kind(group: &str, version: &str, kind: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|row| row.kind == kind && row.group == group && row.version == version).copied()
}

/// The group of this name.
#[must_use]
pub fn group(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}

/// Verbs of a kind that is stored and can be deleted as a collection.
pub const ALL_VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Verbs of a question that is answered and forgotten.
pub const CREATE: &[&str] = &["create"];

/// Verbs of a `status` subresource.
pub const STATUS_VERBS: &[&str] = &["get", "patch", "update"];

/// Verbs of a `proxy` subresource: one for each method of HTTP.
pub const PROXY_VERBS: &[&str] = &["create", "delete", "get", "patch", "update"];

/// Name of the index that garbage collection walks: UIDs in `metadata.ownerReferences`.
pub const OWNER_INDEX: &str = "ownerUid";

/// Every stored kind is found by its owners.
pub const OWNER_INDEXES: &[Index] = &[Index { name: OWNER_INDEX, values: read::owner_uids }];

#[cfg(test)]
mod tests;
