//! What the API says of itself: versions, discovery, OpenAPI, health, metrics, token keys. One row per path.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    http::{accept::Encoding, body::ReplyBody},
    render,
    serve::{Head, header_value, plain},
    shared::Shared,
    status::ApiError,
};

pub mod discovery;
pub mod openapi;

/// The API level served, as `/version` tells it.
pub const GIT_VERSION: &str = concat!("v1.36.0+mesh.", env!("CARGO_PKG_VERSION"));

/// Paths told at `/`.
const PATHS: [&str; 13] = [
    "/.well-known/openid-configuration",
    "/api",
    "/api/v1",
    "/apis",
    "/healthz",
    "/livez",
    "/livez/ping",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openid/v1/jwks",
    "/readyz",
    "/version",
];

/// Answers a path that is no object.
pub(crate) async fn answer(shared: &Arc<Shared>, head: &Head) -> Result<Response<ReplyBody>, ApiError> {
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Err(ApiError::no_such_path());
    }
    let segments: Vec<&str> = head.segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        [] => value(head, &json!({ "paths": PATHS })),
        ["version"] => value(head, &version()),
        ["healthz" | "livez" | "readyz", ..] => health(shared, head, &segments).await,
        ["metrics"] => Ok(metrics(shared)),
        ["api"] | ["apis"] if discovery::aggregated_version(head).is_some() => discovery::aggregated(head, segments[0]),
        ["api"] => value(head, &discovery::core_versions(&shared.config.advertise_address)),
        ["apis"] => value(head, &discovery::groups()),
        ["api", version] => found(head, discovery::resources("", version)),
        ["apis", group] => found(head, discovery::group(group)),
        ["apis", group, version] => found(head, discovery::resources(group, version)),
        ["openapi", "v2"] => openapi::v2(head),
        ["openapi", "v3"] => value(head, &openapi::index()),
        ["openapi", "v3", path @ ..] => openapi::v3(head, &path.join("/")),
        [".well-known", "openid-configuration"] => value(head, &shared.tokens.discovery(&shared.config)),
        ["openid", "v1", "jwks"] => jwks(shared),
        _ => Err(ApiError::no_such_path()),
    }
}

/// A document, in the encoding that the client asks for; those that are of no kind (`/version`) have no protobuf.
fn value(head: &Head, document: &Value) -> Result<Response<ReplyBody>, ApiError> {
    let encoding = match head.encoding() {
        Encoding::Protobuf if document.get("kind").is_none() => Encoding::Json,
        encoding => encoding,
    };
    Ok(plain(200, encoding.media_type(), ReplyBody::Full(render::encode(encoding, document))))
}

fn found(head: &Head, document: Option<Value>) -> Result<Response<ReplyBody>, ApiError> {
    value(head, &document.ok_or_else(ApiError::no_such_path)?)
}

/// A document with an `ETag`; 304 where the client has it.
pub(crate) fn tagged(head: &Head, media: &'static str, body: Bytes, etag: &str) -> Response<ReplyBody> {
    let quoted = format!("\"{etag}\"");
    let known = head.text(header::IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|t| t.trim() == quoted));
    let mut response = match known {
        true => plain(304, media, ReplyBody::Full(Bytes::new())),
        false => plain(200, media, ReplyBody::Full(body)),
    };
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response.headers_mut().insert(header::ETAG, header_value(&quoted));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// Upper-case hexadecimal SHA-512 in upstream; any strong hash will do.
pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02X}")).collect()
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc",
        "platform": format!("linux/{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }),
    })
}

fn metrics(shared: &Shared) -> Response<ReplyBody> {
    let reads = shared.config.max_reads_in_flight - shared.reads.available_permits();
    let writes = shared.config.max_writes_in_flight - shared.writes.available_permits();
    let text = shared.metrics.text(reads, writes);
    plain(200, "text/plain; version=0.0.4; charset=utf-8", text.into_bytes().into())
}

async fn health(shared: &Arc<Shared>, head: &Head, segments: &[&str]) -> Result<Response<ReplyBody>, ApiError> {
    let only = match segments {
        [_] => None,
        [_, check] => Some(*check),
        _ => return Err(ApiError::no_such_path()),
    };
    let excluded: Vec<&str> = head.query.all("exclude").collect();
    let report = shared.health.report(segments[0], only, &excluded).await.ok_or_else(ApiError::no_such_path)?;
    let text = match (report.ok, head.query.has("verbose") && only.is_none()) {
        (true, false) => "ok".to_owned(),
        _ => report.text + "\n",
    };
    let code = if report.ok { 200 } else { 500 };
    Ok(plain(code, "text/plain; charset=utf-8", text.into_bytes().into()))
}

fn jwks(shared: &Arc<Shared>) -> Result<Response<ReplyBody>, ApiError> {
    let body = render::encode(Encoding::Json, &shared.tokens.jwks());
    Ok(plain(200, "application/jwk-set+json", ReplyBody::Full(body)))
}
