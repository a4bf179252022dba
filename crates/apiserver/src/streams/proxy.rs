//! `pods/proxy` and `services/proxy`: a request that a pod answers, whichever node runs it. Main item: [`answer`]. Spec:
//! <https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/#manually-constructing-apiserver-proxy-urls>.
//!
//! The bytes travel as forwarded ports do; neither body is held. An upgraded connection is joined to the pod's. Leaves out: links within
//! HTML pages, which stay as the pod wrote them; `X-Forwarded-For`, since a client's address is not known behind a pipe.

mod backend;
mod headers;
mod path;
mod relay;

use std::{sync::Arc, time::Duration};

use api::status::Status;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tokio_rustls::TlsConnector;

use self::{backend::Backend, headers::Asked as Headers, path::Place};
use super::{Asked, Duplex, IDLE_TIMEOUT};
use crate::{
    http::{body::ReplyBody, unverified::unverified},
    serve::header_value,
    shared::Shared,
    status::ApiError,
};

/// Bytes of a pod's answer's head, and of what is read of it at once.
const HEAD_BYTES: usize = 64 << 10;

/// How long a pod may take to agree on TLS: Go's own number.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the pod, and gives what it answers.
pub(super) async fn answer(shared: &Arc<Shared>, asked: Asked<'_>) -> Result<Response<ReplyBody>, ApiError> {
    let backend = backend::find(shared, &asked.target).await?;
    let head = asked.head;
    let place = Place::of(head.uri.path());
    let headers = Headers::of(&head.headers, asked.upgrade.is_some());
    let reads = matches!(head.method, Method::GET | Method::HEAD);
    if place.rest.is_empty() && reads && headers.upgrade.is_none() {
        return Ok(redirect(&place, head.uri.query()));
    }
    let kept = Arc::clone(&shared.streams.places).try_acquire_owned().map_err(|_| ApiError::too_many_requests())?;
    let authority = head.uri.authority().map(|authority| authority.as_str());
    let host = head.text(header::HOST).or(authority).unwrap_or_default().to_owned();
    let wants = headers.upgrade.is_some();
    let mut request = Request::new(asked.body);
    *request.method_mut() = head.method.clone();
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = place.target(head.uri.query()).map_err(ApiError::bad_request)?;
    *request.headers_mut() = headers.for_pod(&host, &place);
    let mut response = send(shared, &backend, request, kept).await?;
    let fields = std::mem::take(response.headers_mut());
    let upgrades = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let answer_headers = headers::for_client(fields, upgrades, |to| place.location(to, &backend.authority(), &host));
    let status = response.status();
    let body = match (upgrades, asked.upgrade.filter(|_| wants)) {
        (true, Some(client)) => relay::join(shared, client, response),
        (true, None) => return Err(unreachable("it changed the protocol unasked")),
        (false, _) => relay::body(shared, response),
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = answer_headers;
    Ok(answer)
}

/// A request with the pod's connection that answers it, for as long as either lasts.
struct Kept {
    _sender: http1::SendRequest<Incoming>,
    _place: OwnedSemaphorePermit,
}

async fn send(
    shared: &Shared,
    backend: &Backend,
    request: Request<Incoming>,
    kept: OwnedSemaphorePermit,
) -> Result<Response<Incoming>, ApiError> {
    let io = TokioIo::new(connect(shared, backend).await?);
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_BYTES).handshake(io).await.map_err(unreachable)?;
    let closing = shared.closing.clone();
    tokio::spawn(async move {
        tokio::select! {
            // How it ended is known from the answer.
            _ = connection.with_upgrades() => {}
            () = closing.cancelled() => {}
        }
    });
    let sent = timeout(IDLE_TIMEOUT, sender.send_request(request)).await;
    let mut response = sent.map_err(unreachable)?.map_err(|error| unreachable(told(&error)))?;
    response.extensions_mut().insert(Arc::new(Kept { _sender: sender, _place: kept }));
    Ok(response)
}

/// What went wrong, without the library's own words around it.
fn told(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "EOF".to_owned();
    }
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

async fn connect(shared: &Shared, backend: &Backend) -> Result<Box<dyn Duplex>, ApiError> {
    let kubelets = shared.streams.kubelets()?;
    let opened = kubelets.port_forward(&backend.place, backend.port).await.map_err(unreachable)?;
    if !backend.tls {
        return Ok(opened);
    }
    let agreed = timeout(TLS_TIMEOUT, TlsConnector::from(unverified()).connect(backend.ip.into(), opened)).await;
    let agreed = agreed.map_err(|_| unreachable("net/http: TLS handshake timeout"))?;
    Ok(Box::new(agreed.map_err(|error| unreachable(format!("tls: {error}")))?))
}

/// 503: the pod could not be asked.
fn unreachable(why: impl std::fmt::Display) -> ApiError {
    Status::service_unavailable(format!("error trying to reach service: {why}")).into()
}

/// Relative links of a page need its path to end in a slash.
fn redirect(place: &Place, query: Option<&str>) -> Response<ReplyBody> {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = Response::new(ReplyBody::from(Vec::new()));
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, header_value(&format!("{}/{query}", place.prefix)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(headers::UNCACHED));
    response
}
