//! Which object, collection or document a path names, and the verb a method means there.
//! Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris>.

use api::kinds::{self, Kind, Subresource};
use http::Method;

use crate::http::query::{Query, decode};

/// Segments of a path that are looked at; the longest API path has eight.
const MAX_SEGMENTS: usize = 16;

/// The part of a pod or Service that has paths of its own below it.
pub const PROXY: &str = "proxy";

/// What is done, as RBAC names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// One object is read.
    Get,
    /// A collection is read.
    List,
    /// A collection is followed.
    Watch,
    /// An object is made.
    Create,
    /// An object is replaced.
    Update,
    /// An object is changed in part.
    Patch,
    /// An object is removed.
    Delete,
    /// A collection is emptied.
    DeleteCollection,
    /// A pod is asked, through `proxy`, what may be asked of it. RBAC has no word for that: only a rule for all verbs has it.
    Options,
}

impl Verb {
    /// As RBAC rules and discovery write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Options => "",
        }
    }

    /// Does it change nothing?
    #[must_use]
    pub fn reads(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// An object, a collection or a part of an object.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its row.
    pub kind: &'static Kind,
    /// The part, if it is one.
    pub sub: Option<&'static Subresource>,
    /// Its namespace; empty for all of them, and for kinds that have none.
    pub namespace: String,
    /// Its name; empty for the collection.
    pub name: String,
}

impl Target {
    /// A whole object or collection.
    pub fn new(kind: &'static Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, sub: None, namespace: namespace.into(), name: name.into() }
    }

    /// The verb a method means here.
    #[must_use]
    pub fn verb(&self, method: &Method, query: &Query) -> Option<Verb> {
        let named = !self.name.is_empty();
        Some(match *method {
            Method::GET | Method::HEAD if query.flag("watch") && !named => Verb::Watch,
            Method::GET | Method::HEAD if named => Verb::Get,
            Method::GET | Method::HEAD => Verb::List,
            Method::POST if !named || self.sub.is_some() => Verb::Create,
            Method::PUT if named => Verb::Update,
            Method::PATCH if named => Verb::Patch,
            Method::DELETE if named => Verb::Delete,
            Method::DELETE => Verb::DeleteCollection,
            Method::OPTIONS if self.is_proxy() => Verb::Options,
            _ => return None,
        })
    }

    /// Whether requests are for a pod.
    #[must_use]
    pub fn is_proxy(&self) -> bool {
        self.sub.is_some_and(|sub| sub.name == PROXY)
    }

    /// Is the verb served here?
    #[must_use]
    pub fn serves(&self, verb: Verb) -> bool {
        let verbs = self.sub.map_or(self.kind.verbs, |sub| sub.verbs);
        let across = self.kind.namespaced && self.namespace.is_empty();
        let virtual_create = self.kind.storage.is_none() && verb == Verb::Create;
        if verb == Verb::Options {
            return self.is_proxy();
        }
        verbs.contains(&verb.as_str()) && !(across && !verb.reads() && !virtual_create)
    }
}

/// The path's segments, decoded; empty ones are dropped.
#[must_use]
pub fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|s| !s.is_empty()).take(MAX_SEGMENTS).map(|s| decode(s, false)).collect()
}

/// The object or collection under `/api/<version>/...` or `/apis/<group>/<version>/...`, if it is one.
#[must_use]
pub fn target(segments: &[String]) -> Option<Target> {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["api", version, rest @ ..] => in_group("", version, rest),
        ["apis", group, version, rest @ ..] if !group.is_empty() => in_group(group, version, rest),
        _ => None,
    }
}

fn in_group(group: &str, version: &str, rest: &[&str]) -> Option<Target> {
    let (namespace, plural, rest) = match rest {
        ["namespaces"] => ("", "namespaces", &[][..]),
        ["namespaces", name, sub @ ("status" | "finalize")] if group.is_empty() => {
            return part(Target::new(kinds::by_resource(group, version, "namespaces")?, *name, *name), sub);
        }
        ["namespaces", name] if group.is_empty() => {
            return Some(Target::new(kinds::by_resource(group, version, "namespaces")?, *name, *name));
        }
        ["namespaces", namespace, plural, rest @ ..] => (*namespace, *plural, rest),
        [plural, rest @ ..] => ("", *plural, rest),
        [] => return None,
    };
    let kind = kinds::by_resource(group, version, plural)?;
    let placed = kind.namespaced || namespace.is_empty();
    let target = |name: &str| placed.then(|| Target::new(kind, namespace, name));
    match rest {
        [] => target(""),
        [name] => target(name).filter(|t| !kind.namespaced || !t.namespace.is_empty()),
        [name, sub] => part(target(name).filter(|t| !kind.namespaced || !t.namespace.is_empty())?, sub),
        // The rest is a path of the pod's own.
        [name, sub @ PROXY, ..] if kind.namespaced && !namespace.is_empty() => part(target(name)?, sub),
        _ => None,
    }
}

fn part(target: Target, sub: &str) -> Option<Target> {
    let sub = target.kind.subresource(sub)?;
    Some(Target { sub: Some(sub), ..target })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expect: Option<(&str, &str, &str, &str)>) {
        let found = target(&segments(path));
        let found = found
            .as_ref()
            .map(|t| (t.kind.plural, t.sub.map_or("", |s| s.name), t.namespace.as_str(), t.name.as_str()));
        assert_eq!(found, expect, "{path}");
    }

    #[test]
    fn finds_what_a_path_names() {
        check("/api/v1/configmaps", Some(("configmaps", "", "", "")));
        check("/api/v1/namespaces/a/configmaps", Some(("configmaps", "", "a", "")));
        check("/api/v1/namespaces/a/configmaps/b", Some(("configmaps", "", "a", "b")));
        check("/api/v1/namespaces", Some(("namespaces", "", "", "")));
        check("/api/v1/namespaces/a", Some(("namespaces", "", "a", "a")));
        check("/api/v1/namespaces/a/status", Some(("namespaces", "status", "a", "a")));
        check("/api/v1/namespaces/a/serviceaccounts/b/token", Some(("serviceaccounts", "token", "a", "b")));
        check("/api/v1/nodes/n/status", Some(("nodes", "status", "", "n")));
        check(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
            Some(("clusterroles", "", "", "system:node")),
        );
        check("/apis/coordination.k8s.io/v1/namespaces/x/leases", Some(("leases", "", "x", "")));
        check("/api/v1/configmaps/b", None);
        check("/api/v1/namespaces/a/nodes", None);
        check("/api/v1/nothings", None);
        check("/api/v1", None);
        check("/apis/x/v1/configmaps", None);
        check("/api/v1/nodes/n/status/more", None);
        check("/api/v1/namespaces/a/pods/b/proxy", Some(("pods", "proxy", "a", "b")));
        check("/api/v1/namespaces/a/pods/b:80/proxy/c/../d", Some(("pods", "proxy", "a", "b:80")));
        check("/api/v1/namespaces/a/services/https:b:web/proxy/", Some(("services", "proxy", "a", "https:b:web")));
        check("/api/v1/nodes/n/proxy/metrics", None);
        check("/api/v1/namespaces/a/configmaps/b/proxy/c", None);
    }
}
