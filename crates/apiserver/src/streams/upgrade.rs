//! From HTTP to a stream: which way the client wants, and how it is told. Main type: [`Way`].

use http::{HeaderValue, Response, StatusCode, header};

use super::websocket;
use crate::{
    http::body::ReplyBody,
    serve::{Head, header_value},
    status::ApiError,
};

/// Names the protocol within SPDY.
const STREAM_PROTOCOL: &str = "x-stream-protocol-version";

/// A way that was agreed on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// WebSocket, with this protocol within.
    WebSocket(&'static str),
    /// SPDY/3.1, with this protocol within.
    Spdy(&'static str),
}

/// Agrees with a client: of what we speak, the first that it speaks too.
pub(super) fn agree(
    head: &Head,
    over_websocket: &[&'static str],
    over_spdy: &[&'static str],
) -> Result<(Way, Response<ReplyBody>), ApiError> {
    let upgrade = head.text(header::UPGRADE).unwrap_or_default().to_ascii_lowercase();
    let mut response = Response::new(ReplyBody::from(Vec::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if upgrade == "websocket" {
        let key = head.text(header::SEC_WEBSOCKET_KEY).ok_or_else(|| ApiError::bad_request("no Sec-WebSocket-Key"))?;
        let protocol = choose(head, header::SEC_WEBSOCKET_PROTOCOL.as_str(), over_websocket)?;
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, header_value(&websocket::accept(key)));
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        return Ok((Way::WebSocket(protocol), response));
    }
    if upgrade == "spdy/3.1" {
        let protocol = choose(head, STREAM_PROTOCOL, over_spdy)?;
        headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
        headers.insert(STREAM_PROTOCOL, HeaderValue::from_static(protocol));
        return Ok((Way::Spdy(protocol), response));
    }
    Err(ApiError::bad_request("Upgrade request required"))
}

/// Whether the client wants a WebSocket.
pub(super) fn is_websocket(head: &Head) -> bool {
    head.text(header::UPGRADE).is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

fn choose(head: &Head, name: &str, ours: &[&'static str]) -> Result<&'static str, ApiError> {
    let theirs: Vec<&str> = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    let theirs: Vec<&str> = theirs.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
    ours.iter().copied().find(|one| theirs.contains(one)).ok_or_else(|| {
        ApiError::bad_request(format!(
            "unable to upgrade: unable to negotiate protocol: client supports {theirs:?}, server accepts {ours:?}"
        ))
    })
}
