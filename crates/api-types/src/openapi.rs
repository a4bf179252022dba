//! OpenAPI documents of what is served, in the shape kube-apiserver gives them: `/openapi/v3` (an index and a document
//! per group version) and `/openapi/v2` (one document).
//!
//! Main entries: [`v3`], [`index`], [`v2`]. Pure and deterministic, so that a content hash can name a document; a document
//! takes some milliseconds, so callers keep what they rendered. Spec:
//! <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition>.
//!
//! Leaves out: the deprecated `/watch/` paths, custom resources, security schemes.

mod enrich;
mod gnostic;
mod lists;
mod operations;
mod parameters;

use crate::schemas;
use serde_json::{Map, Value, json};

/// What is served at one path: a kind and its verbs.
#[derive(Clone, Debug)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version within the group.
    pub version: &'static str,
    /// Kind of its objects.
    pub kind: &'static str,
    /// Name in paths.
    pub plural: &'static str,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Verbs served.
    pub verbs: &'static [&'static str],
    /// Parts with a path of their own.
    pub subresources: Vec<Subresource>,
}

/// A part of an object with a path of its own.
#[derive(Clone, Debug)]
pub struct Subresource {
    /// Last segment of its path.
    pub name: &'static str,
    /// Group, version and kind of its body.
    pub body: (&'static str, &'static str, &'static str),
    /// Verbs served.
    pub verbs: &'static [&'static str],
}

/// The two document formats and where they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    V2,
    V3,
}

impl Dialect {
    /// What a reference to a schema begins with.
    fn ref_prefix(self) -> &'static str {
        match self {
            Self::V2 => "#/definitions/",
            Self::V3 => "#/components/schemas/",
        }
    }

    fn reference(self, name: &str) -> Value {
        json!({ "$ref": format!("{}{name}", self.ref_prefix()) })
    }
}

/// The document at `/openapi/v3/<path>`: the resources of one group version. `release` is our version, as `/version` tells it.
#[must_use]
pub fn v3(resources: &[Resource], release: &str) -> Value {
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": release },
        "paths": paths(resources, Dialect::V3),
        "components": { "schemas": definitions(resources, Dialect::V3) },
    })
}

/// The document at `/openapi/v2`: all resources.
#[must_use]
pub fn v2(resources: &[Resource], release: &str) -> Value {
    json!({
        "swagger": "2.0",
        "info": { "title": "Kubernetes", "version": release },
        "paths": paths(resources, Dialect::V2),
        "definitions": definitions(resources, Dialect::V2),
    })
}

/// Media types under which clients ask for [`v2_protobuf`]. kubectl asks for the first.
pub const V2_PROTOBUF_ACCEPTED: &[&str] =
    &["application/com.github.proto-openapi.spec.v2@v1.0+protobuf", V2_PROTOBUF_MEDIA];

/// The `Content-Type` of an answer with [`v2_protobuf`]. Not what kubectl asked for: that has an `@`, which is no valid media
/// type, and client-go fails to parse the answer.
pub const V2_PROTOBUF_MEDIA: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// A document made by [`v2`], in protobuf.
#[must_use]
pub fn v2_protobuf(document: &Value) -> Vec<u8> {
    gnostic::encode(document)
}

/// The document at `/openapi/v3`. `documents`: path of each group version (see [`path`]) and the hash of its document.
pub fn index(documents: impl IntoIterator<Item = (String, String)>) -> Value {
    let entries = documents.into_iter().map(|(path, hash)| {
        let url = json!({ "serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}") });
        (path, url)
    });
    json!({ "paths": entries.collect::<Map<_, _>>() })
}

/// Path of a group version: `api/v1`, `apis/apps/v1`.
#[must_use]
pub fn path(group: &str, version: &str) -> String {
    match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    }
}

/// All that the kinds table serves.
#[must_use]
pub fn served() -> Vec<Resource> {
    api::kinds::KINDS.iter().map(|kind| Resource::from(*kind)).collect()
}

impl From<&'static api::kinds::Kind> for Resource {
    fn from(kind: &'static api::kinds::Kind) -> Self {
        let or_own = |other: &'static str, own: &'static str| if other.is_empty() { own } else { other };
        let subresource = |sub: &'static api::kinds::Subresource| {
            // A body of the core group is told by its version: the group is empty either way.
            let group = if sub.version.is_empty() { kind.group } else { sub.group };
            Subresource { name: sub.name, body: (group, or_own(sub.version, kind.version), sub.kind), verbs: sub.verbs }
        };
        Self {
            group: kind.group,
            version: kind.version,
            kind: kind.kind,
            plural: kind.plural,
            namespaced: kind.namespaced,
            verbs: kind.verbs,
            subresources: kind.subresources.iter().map(subresource).collect(),
        }
    }
}

fn paths(resources: &[Resource], dialect: Dialect) -> Map<String, Value> {
    resources.iter().flat_map(|resource| operations::paths(resource, dialect)).collect()
}

fn definitions(resources: &[Resource], dialect: Dialect) -> Map<String, Value> {
    let own = resources.iter().map(|one| (one.group, one.version, one.kind));
    let bodies = resources.iter().flat_map(|one| one.subresources.iter().map(|sub| sub.body));
    let rows = own.chain(bodies).filter_map(|(group, version, kind)| schemas::find(group, version, kind));
    let mut definitions = schemas::definitions(rows, dialect.ref_prefix());
    for (name, schema) in &mut definitions {
        enrich::definition(name, schema, dialect);
    }
    let lists = resources.iter().filter(|one| one.verbs.contains(&"list"));
    definitions.extend(lists.filter_map(|resource| lists::definition(resource, dialect)));
    definitions
}

/// Full type name of a kind, if it has a schema.
fn type_name(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    schemas::find(group, version, kind).and(api::facts::of_kind(group, version, kind)).map(|ty| ty.name)
}

/// How a document tells which kind a schema or operation is about.
fn group_version_kind(group: &str, version: &str, kind: &str) -> Value {
    json!({ "group": group, "version": version, "kind": kind })
}

#[cfg(test)]
mod tests;
