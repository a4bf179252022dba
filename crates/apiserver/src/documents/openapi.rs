//! OpenAPI documents: rendered when first asked for, kept as bytes, told apart by the hash of their content.
//! Spec: <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3>.

use std::sync::OnceLock;

use api_types::openapi;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde_json::Value;

use super::{GIT_VERSION, hash, tagged};
use crate::{
    http::{accept::Encoding, body::ReplyBody},
    render,
    serve::{Head, header_value, plain},
    status::ApiError,
};

mod gnostic;

/// A document and its hash.
struct Document {
    path: String,
    bytes: Bytes,
    hash: String,
}

fn documents() -> &'static [Document] {
    static DOCUMENTS: OnceLock<Vec<Document>> = OnceLock::new();
    DOCUMENTS.get_or_init(|| {
        let served = openapi::served();
        let mut versions: Vec<_> = served.iter().map(|r| (r.group, r.version)).collect();
        versions.sort_unstable();
        versions.dedup();
        versions.into_iter().map(|(group, version)| document(&served, group, version)).collect()
    })
}

fn document(served: &[openapi::Resource], group: &str, version: &str) -> Document {
    let own: Vec<_> = served.iter().filter(|r| r.group == group && r.version == version).cloned().collect();
    let bytes = render::encode(Encoding::Json, &openapi::v3(&own, GIT_VERSION));
    Document { path: openapi::path(group, version), hash: hash(&bytes), bytes }
}

/// `/openapi/v3`.
pub(super) fn index() -> Value {
    openapi::index(documents().iter().map(|d| (d.path.clone(), d.hash.clone())))
}

/// `/openapi/v3/<path>`, for ever under its hash; another hash leads to the present one.
pub(super) fn v3(head: &Head, path: &str) -> Result<Response<ReplyBody>, ApiError> {
    let document = documents().iter().find(|d| d.path == path).ok_or_else(ApiError::no_such_path)?;
    match head.query.get("hash") {
        Some(hash) if hash == document.hash => {
            let mut response = tagged(head, "application/json", document.bytes.clone(), &document.hash);
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
            Ok(response)
        }
        Some(_) => {
            let mut response = plain(301, "application/json", ReplyBody::Full(Bytes::new()));
            let location = format!("/openapi/v3/{path}?hash={}", document.hash);
            response.headers_mut().insert(header::LOCATION, header_value(&location));
            Ok(response)
        }
        None => Ok(tagged(head, "application/json", document.bytes.clone(), &document.hash)),
    }
}

/// `/openapi/v2`, in JSON or in the protobuf of older clients.
pub(super) fn v2(head: &Head) -> Result<Response<ReplyBody>, ApiError> {
    static DOCUMENT: OnceLock<[(Bytes, String); 2]> = OnceLock::new();
    let documents = DOCUMENT.get_or_init(|| {
        let document = openapi::v2(&openapi::served(), GIT_VERSION);
        [render::encode(Encoding::Json, &document), gnostic::encode(&document).into()].map(|bytes| {
            let hash = hash(&bytes);
            (bytes, hash)
        })
    });
    let protobuf = head
        .text(header::ACCEPT)
        .is_some_and(|accept| accept.contains(gnostic::ASKED) || accept.contains(gnostic::MEDIA));
    let (bytes, hash) = &documents[usize::from(protobuf)];
    let media = if protobuf { gnostic::MEDIA } else { "application/json" };
    Ok(tagged(head, media, bytes.clone(), hash))
}
