//! What a request asks for, as authorization sees it. Main types: [`RequestInfo`] (parsed) and [`Attributes`] (with the user).
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#review-your-request-attributes>.

use crate::User;

/// A request as authorization sees it; borrowed, since one is made for each request.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// Who asks.
    pub user: &'a User,
    /// `get`, `list`, `create`, ...; for other paths the method in lower case.
    pub verb: &'a str,
    /// Whether it is about resources; else only `verb` and `path` count.
    pub is_resource: bool,
    /// API group; empty for the core group.
    pub group: &'a str,
    /// API version.
    pub version: &'a str,
    /// Resource, plural.
    pub resource: &'a str,
    /// Part of the resource, or empty.
    pub subresource: &'a str,
    /// Namespace, or empty for cluster scope.
    pub namespace: &'a str,
    /// Name, or empty.
    pub name: &'a str,
    /// Path of the request.
    pub path: &'a str,
    /// Field selector as the client wrote it, or empty.
    pub field_selector: &'a str,
    /// Label selector as the client wrote it, or empty.
    pub label_selector: &'a str,
}

/// Method and path of a request, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// See [`Attributes::verb`].
    pub verb: String,
    /// See [`Attributes::is_resource`].
    pub is_resource: bool,
    /// See [`Attributes::group`].
    pub group: String,
    /// See [`Attributes::version`].
    pub version: String,
    /// See [`Attributes::resource`].
    pub resource: String,
    /// See [`Attributes::subresource`].
    pub subresource: String,
    /// See [`Attributes::namespace`].
    pub namespace: String,
    /// See [`Attributes::name`].
    pub name: String,
    /// See [`Attributes::path`].
    pub path: String,
    /// See [`Attributes::field_selector`].
    pub field_selector: String,
    /// See [`Attributes::label_selector`].
    pub label_selector: String,
}

/// Subresources of a namespace; anything else after its name is a resource within it.
const NAMESPACE_SUBRESOURCES: &[&str] = &["status", "finalize"];

impl<'a> Attributes<'a> {
    /// A request for a path that is no resource.
    #[must_use]
    pub const fn path(user: &'a User, verb: &'a str, path: &'a str) -> Self {
        let none = Self::resource(user, verb, "", "", "", "");
        Self { is_resource: false, path, ..none }
    }

    /// A request for a resource.
    #[must_use]
    pub const fn resource(
        user: &'a User,
        verb: &'a str,
        group: &'a str,
        resource: &'a str,
        namespace: &'a str,
        name: &'a str,
    ) -> Self {
        Self {
            user,
            verb,
            is_resource: true,
            group,
            version: "",
            resource,
            subresource: "",
            namespace,
            name,
            path: "",
            field_selector: "",
            label_selector: "",
        }
    }

    /// What the user may not do, in Kubernetes' words.
    #[must_use]
    pub fn forbidden(&self) -> String {
        let quote = |text: &str| api::gotext::quote(text);
        let (user, verb) = (quote(&self.user.name), self.verb);
        if !self.is_resource {
            return escape(&format!("User {user} cannot {verb} path {}", quote(self.path)));
        }
        let resource = match self.subresource {
            "" => quote(self.resource),
            part => quote(&format!("{}/{part}", self.resource)),
        };
        let scope = match self.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {}", quote(namespace)),
        };
        escape(&format!("User {user} cannot {verb} resource {resource} in API group {} {scope}", quote(self.group)))
    }

    /// The value that the field selector demands of a field.
    #[must_use]
    pub fn selected(&self, field: &str) -> Option<&'a str> {
        selected(self.field_selector, field)
    }
}

/// Names come from the user: none may be taken for markup where a browser shows the message.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn selected<'a>(selector: &'a str, field: &str) -> Option<&'a str> {
    selector.split(',').find_map(|term| {
        let (name, value) = term.split_once('=')?;
        let value = value.strip_prefix('=').unwrap_or(value);
        (name.trim() == field).then_some(value.trim())
    })
}

impl RequestInfo {
    /// Takes a request apart. `query` holds decoded pairs; `path` is decoded and without query.
    #[must_use]
    pub fn parse(method: &str, path: &str, query: &[(&str, &str)]) -> Self {
        let mut info = Self { verb: method.to_ascii_lowercase(), path: path.to_owned(), ..Self::default() };
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let rest = match segments.as_slice() {
            ["api", version, rest @ ..] => info.versioned("", version, rest),
            ["apis", group, version, rest @ ..] => info.versioned(group, version, rest),
            _ => return info,
        };
        if let Some((rest, watch)) = rest {
            info.is_resource = true;
            info.verb = if watch { "watch" } else { verb_of(method) }.to_owned();
            info.parts(rest);
            info.refine(query);
        }
        info
    }

    /// The same with its user.
    #[must_use]
    pub fn attributes<'a>(&'a self, user: &'a User) -> Attributes<'a> {
        Attributes {
            user,
            verb: &self.verb,
            is_resource: self.is_resource,
            group: &self.group,
            version: &self.version,
            resource: &self.resource,
            subresource: &self.subresource,
            namespace: &self.namespace,
            name: &self.name,
            path: &self.path,
            field_selector: &self.field_selector,
            label_selector: &self.label_selector,
        }
    }

    /// Notes group and version; tells the rest of the path, if any, and whether it has the old `watch/` prefix.
    fn versioned<'p, 's>(&mut self, group: &str, version: &str, rest: &'p [&'s str]) -> Option<(&'p [&'s str], bool)> {
        let (rest, watch) = match rest {
            ["watch", rest @ ..] => (rest, true),
            _ => (rest, false),
        };
        if rest.is_empty() {
            return None;
        }
        (self.group, self.version) = (group.to_owned(), version.to_owned());
        Some((rest, watch))
    }

    fn parts(&mut self, segments: &[&str]) {
        let mut rest = segments;
        if let ["namespaces", namespace, after @ ..] = segments {
            self.namespace = (*namespace).to_owned();
            if !after.is_empty() && !NAMESPACE_SUBRESOURCES.contains(&after[0]) {
                rest = after;
            }
        }
        let part = |index: usize| rest.get(index).map_or_else(String::new, |segment| (*segment).to_owned());
        (self.resource, self.name, self.subresource) = (part(0), part(1), part(2));
    }

    fn refine(&mut self, query: &[(&str, &str)]) {
        let value = |name: &str| query.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| *value);
        self.field_selector = value("fieldSelector").to_owned();
        self.label_selector = value("labelSelector").to_owned();
        let watch = matches!(value("watch"), "1" | "t" | "T" | "true" | "TRUE" | "True");
        if self.name.is_empty() && self.verb == "get" {
            self.verb = if watch { "watch" } else { "list" }.to_owned();
        }
        if self.name.is_empty() && self.verb == "delete" {
            self.verb = "deletecollection".to_owned();
        }
        let collection = matches!(self.verb.as_str(), "list" | "watch" | "deletecollection");
        if collection && self.name.is_empty() {
            let name = selected(&self.field_selector, "metadata.name").unwrap_or_default();
            if api::names::path_segment(name).is_empty() {
                self.name = name.to_owned();
            }
        }
    }
}

fn verb_of(method: &str) -> &'static str {
    match method {
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        "GET" | "HEAD" => "get",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expect`: verb, group, resource, subresource, namespace, name.
    fn check(method: &str, path: &str, query: &[(&str, &str)], expect: [&str; 6]) {
        let info = RequestInfo::parse(method, path, query);
        assert!(info.is_resource, "{path}");
        let got = [&info.verb, &info.group, &info.resource, &info.subresource, &info.namespace, &info.name];
        assert_eq!(got, expect, "{method} {path}");
    }

    #[test]
    fn takes_resource_requests_apart() {
        check("GET", "/api/v1/namespaces", &[], ["list", "", "namespaces", "", "", ""]);
        check("GET", "/api/v1/namespaces/a", &[], ["get", "", "namespaces", "", "a", "a"]);
        check("PUT", "/api/v1/namespaces/a/finalize", &[], ["update", "", "namespaces", "finalize", "a", "a"]);
        check("GET", "/api/v1/namespaces/a/pods", &[("watch", "true")], ["watch", "", "pods", "", "a", ""]);
        check("GET", "/api/v1/watch/namespaces/a/pods/b", &[], ["watch", "", "pods", "", "a", "b"]);
        check("DELETE", "/api/v1/namespaces/a/pods", &[], ["deletecollection", "", "pods", "", "a", ""]);
        check("POST", "/api/v1/namespaces/a/pods/b/exec", &[], ["create", "", "pods", "exec", "a", "b"]);
        check("PATCH", "/apis/apps/v1/namespaces/a/deployments/d", &[], ["patch", "apps", "deployments", "", "a", "d"]);
        let one = [("fieldSelector", "metadata.name=x")];
        check("GET", "/api/v1/nodes", &one, ["list", "", "nodes", "", "", "x"]);
    }

    #[test]
    fn other_paths_are_no_resources() {
        for path in ["/", "/api", "/api/v1", "/apis/apps/v1", "/healthz", "/openapi/v3"] {
            assert!(!RequestInfo::parse("GET", path, &[]).is_resource, "{path}");
        }
    }

    #[test]
    fn refusals_are_worded_as_upstream() {
        let user = User::new("x", &[]);
        let check = |attributes: Attributes<'_>, expect: &str| assert_eq!(attributes.forbidden(), expect);
        check(
            Attributes::resource(&user, "list", "", "configmaps", "default", ""),
            r#"User "x" cannot list resource "configmaps" in API group "" in the namespace "default""#,
        );
        check(
            Attributes {
                subresource: "status",
                ..Attributes::resource(&user, "update", "apps", "deployments", "", "d")
            },
            r#"User "x" cannot update resource "deployments/status" in API group "apps" at the cluster scope"#,
        );
        check(Attributes::path(&user, "get", "/metrics"), r#"User "x" cannot get path "/metrics""#);
    }
}
