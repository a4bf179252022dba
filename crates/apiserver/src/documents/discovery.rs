//! Discovery, in the old form (one document per group version) and the aggregated one.
//! Spec: <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>.

use std::sync::OnceLock;

use api::kinds::{self, GROUPS, Group, KINDS, Kind, Subresource};
use bytes::Bytes;
use http::{Response, header};
use serde_json::{Map, Value, json};

use super::{hash, tagged};
use crate::{
    http::{
        accept::{self, Encoding},
        body::ReplyBody,
    },
    render,
    serve::Head,
    status::ApiError,
};

/// `/api`.
pub(super) fn core_versions(address: &str) -> Value {
    let addresses = json!([{ "clientCIDR": "0.0.0.0/0", "serverAddress": address }]);
    json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses })
}

/// `/apis`.
pub(super) fn groups() -> Value {
    let named = GROUPS.iter().filter(|group| !group.name.is_empty());
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": named.map(group_body).collect::<Vec<_>>() })
}

/// `/apis/<group>`.
pub(super) fn group(name: &str) -> Option<Value> {
    let group = kinds::group(name).filter(|g| !g.name.is_empty())?;
    let mut document = group_body(group);
    document["kind"] = "APIGroup".into();
    document["apiVersion"] = "v1".into();
    Some(document)
}

fn group_body(group: &Group) -> Value {
    let version = |v: &&str| json!({ "groupVersion": format!("{}/{v}", group.name), "version": v });
    let versions: Vec<_> = group.versions.iter().map(version).collect();
    json!({ "name": group.name, "preferredVersion": versions.first(), "versions": versions })
}

fn rows<'a>(group: &'a str, version: &'a str) -> impl Iterator<Item = &'static Kind> + 'a {
    KINDS.iter().copied().filter(move |kind| kind.group == group && kind.version == version)
}

/// `/api/<version>` and `/apis/<group>/<version>`.
pub(super) fn resources(group: &str, version: &str) -> Option<Value> {
    let served = kinds::group(group)?.versions.contains(&version);
    let mut resources: Vec<Value> = rows(group, version).flat_map(entries).collect();
    resources.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    served.then(|| {
        json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources })
    })
}

fn entries(kind: &'static Kind) -> Vec<Value> {
    let mut entry = Map::new();
    entry.insert("name".into(), kind.plural.into());
    entry.insert("singularName".into(), kind.singular.into());
    entry.insert("namespaced".into(), kind.namespaced.into());
    entry.insert("kind".into(), kind.kind.into());
    entry.insert("verbs".into(), json!(kind.verbs));
    lists(&mut entry, kind);
    let mut all = vec![Value::Object(entry)];
    all.extend(kind.subresources.iter().map(|sub| part(kind, sub)));
    all
}

fn lists(entry: &mut Map<String, Value>, kind: &Kind) {
    if !kind.short_names.is_empty() {
        entry.insert("shortNames".into(), json!(kind.short_names));
    }
    if !kind.categories.is_empty() {
        entry.insert("categories".into(), json!(kind.categories));
    }
}

fn part(kind: &Kind, sub: &Subresource) -> Value {
    let mut entry = json!({
        "name": format!("{}/{}", kind.plural, sub.name), "singularName": "", "namespaced": kind.namespaced,
        "kind": sub.kind, "verbs": sub.verbs,
    });
    if !sub.version.is_empty() {
        entry["group"] = sub.group.into();
        entry["version"] = sub.version.into();
    }
    entry
}

/// The version of aggregated discovery the client prefers over the old form, if any.
pub(super) fn aggregated_version(head: &Head) -> Option<&'static str> {
    let header = head.text(header::ACCEPT)?;
    for range in accept::ranges(header) {
        let json = range.encoding() == Some(Encoding::Json);
        match (range.parameter("as"), range.parameter("g"), range.parameter("v")) {
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2")) if json => return Some("v2"),
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2beta1")) if json => {
                return Some("v2beta1");
            }
            (None, ..) if range.encoding().is_some() => return None,
            _ => {}
        }
    }
    None
}

/// `/api` and `/apis` in the aggregated form.
pub(super) fn aggregated(head: &Head, root: &str) -> Result<Response<ReplyBody>, ApiError> {
    static DOCUMENTS: OnceLock<[(Bytes, String); 4]> = OnceLock::new();
    let documents = DOCUMENTS.get_or_init(|| {
        [(true, "v2"), (true, "v2beta1"), (false, "v2"), (false, "v2beta1")].map(|(core, version)| {
            let bytes = render::encode(Encoding::Json, &document(core, version));
            let etag = hash(&bytes);
            (bytes, etag)
        })
    });
    let beta = aggregated_version(head) == Some("v2beta1");
    let (bytes, etag) = &documents[usize::from(root != "api") * 2 + usize::from(beta)];
    let media = match beta {
        true => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        false => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    };
    Ok(tagged(head, media, bytes.clone(), etag))
}

fn document(core: bool, version: &str) -> Value {
    let items: Vec<_> = GROUPS.iter().filter(|group| group.name.is_empty() == core).map(discovered).collect();
    let api_version = format!("apidiscovery.k8s.io/{version}");
    json!({ "kind": "APIGroupDiscoveryList", "apiVersion": api_version, "metadata": {}, "items": items })
}

fn discovered(group: &Group) -> Value {
    let version = |v: &&'static str| {
        let resources: Vec<_> = rows(group.name, v).map(resource).collect();
        json!({ "version": v, "freshness": "Current", "resources": resources })
    };
    let mut metadata = json!({ "creationTimestamp": null });
    if !group.name.is_empty() {
        metadata["name"] = group.name.into();
    }
    json!({ "metadata": metadata, "versions": group.versions.iter().map(version).collect::<Vec<_>>() })
}

fn resource(kind: &'static Kind) -> Value {
    let own = json!({ "group": kind.group, "version": kind.version, "kind": kind.kind });
    let mut entry = Map::new();
    entry.insert("resource".into(), kind.plural.into());
    entry.insert("responseKind".into(), own.clone());
    entry.insert("scope".into(), if kind.namespaced { "Namespaced" } else { "Cluster" }.into());
    entry.insert("singularResource".into(), kind.singular.into());
    entry.insert("verbs".into(), json!(kind.verbs));
    lists(&mut entry, kind);
    let part = |sub: &Subresource| {
        let of = match sub.version {
            "" => json!({ "group": kind.group, "version": kind.version, "kind": sub.kind }),
            version => json!({ "group": sub.group, "version": version, "kind": sub.kind }),
        };
        json!({ "subresource": sub.name, "responseKind": of, "verbs": sub.verbs })
    };
    if !kind.subresources.is_empty() {
        entry.insert("subresources".into(), kind.subresources.iter().map(part).collect());
    }
    Value::Object(entry)
}
