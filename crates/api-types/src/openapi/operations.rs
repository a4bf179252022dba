//! Paths of a resource and the operations on them.

use super::{Dialect, Resource, group_version_kind, lists, parameters, path as group_path, type_name};
use serde_json::{Map, Value, json};

/// Media types of objects. The first is the default.
const MEDIA: &[&str] = &["application/json", "application/yaml"];

/// Media types of patches.
const PATCH_MEDIA: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// Verbs on a collection and on an object: verb, HTTP method, `x-kubernetes-action`, first word of the operation id.
const ON_COLLECTION: &[Verb] = &[
    Verb { verb: "list", method: "get", action: "list", word: "list" },
    Verb { verb: "create", method: "post", action: "post", word: "create" },
    Verb { verb: "deletecollection", method: "delete", action: "deletecollection", word: "deleteCollection" },
];
const ON_OBJECT: &[Verb] = &[
    Verb { verb: "get", method: "get", action: "get", word: "read" },
    Verb { verb: "update", method: "put", action: "put", word: "replace" },
    Verb { verb: "patch", method: "patch", action: "patch", word: "patch" },
    Verb { verb: "delete", method: "delete", action: "delete", word: "delete" },
];
const ON_SUBRESOURCE: &[Verb] = &[
    Verb { verb: "get", method: "get", action: "get", word: "read" },
    Verb { verb: "create", method: "post", action: "post", word: "create" },
    Verb { verb: "update", method: "put", action: "put", word: "replace" },
    Verb { verb: "patch", method: "patch", action: "patch", word: "patch" },
];

struct Verb {
    verb: &'static str,
    method: &'static str,
    action: &'static str,
    word: &'static str,
}

/// One path and what is there.
struct Place<'a> {
    resource: &'a Resource,
    dialect: Dialect,
    /// Group, version and kind of the body.
    body: (&'a str, &'a str, &'a str),
    /// Whether the path names a namespace.
    namespaced: bool,
    /// Whether the path names an object.
    named: bool,
    /// Last part of operation ids: `ForAllNamespaces`, `Status`.
    suffix: String,
}

/// The paths of a resource, each with its operations.
pub(super) fn paths(resource: &Resource, dialect: Dialect) -> Vec<(String, Value)> {
    let base = format!("/{}", group_path(resource.group, resource.version));
    let home = if resource.namespaced { format!("{base}/namespaces/{{namespace}}") } else { base.clone() };
    let collection = format!("{home}/{}", resource.plural);
    let place = |named: bool, suffix: &str| Place {
        resource,
        dialect,
        body: (resource.group, resource.version, resource.kind),
        namespaced: resource.namespaced,
        named,
        suffix: suffix.to_owned(),
    };
    let mut paths = vec![
        (collection.clone(), place(false, "").operations(ON_COLLECTION, resource.verbs)),
        (format!("{collection}/{{name}}"), place(true, "").operations(ON_OBJECT, resource.verbs)),
    ];
    if resource.namespaced {
        let everywhere = Place { namespaced: false, ..place(false, "ForAllNamespaces") };
        paths.push((format!("{base}/{}", resource.plural), everywhere.operations(&ON_COLLECTION[..1], resource.verbs)));
    }
    for sub in &resource.subresources {
        let part = Place { body: sub.body, ..place(true, &capitalised(sub.name)) };
        paths.push((format!("{collection}/{{name}}/{}", sub.name), part.operations(ON_SUBRESOURCE, sub.verbs)));
    }
    paths.retain(|(_, operations)| operations.as_object().is_some_and(|methods| methods.len() > 1));
    paths
}

impl Place<'_> {
    fn operations(&self, known: &[Verb], served: &[&str]) -> Value {
        let served = known.iter().filter(|verb| served.contains(&verb.verb));
        let mut item: Map<String, Value> = served.map(|verb| (verb.method.to_owned(), self.operation(verb))).collect();
        item.insert("parameters".to_owned(), parameters::path(self.namespaced, self.named, self.dialect).into());
        item.into()
    }

    fn operation(&self, verb: &Verb) -> Value {
        let (group, version, kind) = self.body;
        let mut operation = json!({
            "operationId": self.operation_id(verb),
            "description": format!("{} {}", verb.action, self.resource.kind),
            "tags": [self.tag()],
            "x-kubernetes-action": verb.action,
            "x-kubernetes-group-version-kind": group_version_kind(group, version, kind),
        });
        let mut parameters = parameters::query(verb.action, self.dialect);
        let body = self.request_body(verb.action);
        match self.dialect {
            Dialect::V2 => {
                operation["consumes"] = json!(if verb.action == "patch" { PATCH_MEDIA } else { MEDIA });
                operation["produces"] = json!(MEDIA);
                parameters.extend(body.map(|schema| json!({ "name": "body", "in": "body", "schema": schema })));
            }
            Dialect::V3 => {
                let media = if verb.action == "patch" { PATCH_MEDIA } else { MEDIA };
                if let Some(schema) = body {
                    operation["requestBody"] = json!({ "content": content(media, &schema) });
                }
            }
        }
        operation["parameters"] = parameters.into();
        operation["responses"] = self.responses(verb.action);
        operation
    }

    fn request_body(&self, action: &str) -> Option<Value> {
        let (group, version, kind) = self.body;
        match action {
            "post" | "put" => type_name(group, version, kind).map(|name| self.dialect.reference(name)),
            "patch" => Some(self.dialect.reference("io.k8s.apimachinery.pkg.apis.meta.v1.Patch")),
            "delete" | "deletecollection" => {
                Some(self.dialect.reference("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"))
            }
            _ => None,
        }
    }

    fn responses(&self, action: &str) -> Value {
        let (group, version, kind) = self.body;
        let name = match action {
            "list" => lists::name(self.resource),
            "delete" | "deletecollection" => Some("io.k8s.apimachinery.pkg.apis.meta.v1.Status".to_owned()),
            _ => type_name(group, version, kind).map(str::to_owned),
        };
        let schema = name.map_or_else(|| json!({ "type": "object" }), |name| self.dialect.reference(&name));
        let answer = |description: &str| match self.dialect {
            Dialect::V2 => json!({ "description": description, "schema": schema }),
            Dialect::V3 => json!({ "description": description, "content": content(MEDIA, &schema) }),
        };
        let mut responses = json!({ "200": answer("OK"), "401": { "description": "Unauthorized" } });
        if matches!(action, "post" | "put" | "patch") {
            responses["201"] = answer("Created");
        }
        responses
    }

    /// `core_v1`, `rbacAuthorization_v1`.
    fn tag(&self) -> String {
        let group = group_name(self.resource.group);
        let (first, rest) = group.split_at(1);
        format!("{}{rest}_{}", first.to_ascii_lowercase(), self.resource.version)
    }

    /// As generated clients name their methods: `readCoreV1NamespacedConfigMap`.
    fn operation_id(&self, verb: &Verb) -> String {
        let group = group_name(self.resource.group);
        let version = capitalised(self.resource.version);
        let scope = if self.namespaced { "Namespaced" } else { "" };
        let (word, collection) = match verb.word {
            "deleteCollection" => ("delete", "Collection"),
            word => (word, ""),
        };
        format!("{word}{group}{version}{collection}{scope}{}{}", self.resource.kind, self.suffix)
    }
}

fn content(media: &[&str], schema: &Value) -> Value {
    media.iter().map(|one| ((*one).to_owned(), json!({ "schema": schema }))).collect::<Map<_, _>>().into()
}

/// A group in operation ids: `Core`, `Apps`, `RbacAuthorization`.
fn group_name(group: &str) -> String {
    match group.strip_suffix(".k8s.io").unwrap_or(group) {
        "" => "Core".to_owned(),
        group => group.split('.').map(capitalised).collect(),
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
