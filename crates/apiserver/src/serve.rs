//! HTTP in front of the pipeline: who asks, for what, within which limits; and the answer's headers and bytes.

use std::{sync::Arc, time::Instant};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use tokio::sync::OwnedSemaphorePermit;
use tracing::error;

use crate::{
    authn, authz, documents,
    http::{
        accept::{self, Encoding},
        body::{self, ReplyBody},
        connection::{Handler, Peer},
        query::{Query, decode},
    },
    pipeline::{self, Answer, Reply, User},
    render::{Renderer, event::EventWriter},
    route::{self, Target, Verb},
    shared::Shared,
    status::ApiError,
    streams::{self, Asked},
};

mod compress;
mod media;

/// Answers HTTP requests; cheap to clone.
#[derive(Clone, Debug)]
pub struct Front(pub Arc<Shared>);

/// What is remembered of a connection.
#[derive(Debug, Default)]
pub struct Session {
    /// The user its client certificate names.
    pub certificate: Option<Result<Arc<User>, String>>,
}

/// A request's head, taken apart once.
pub(crate) struct Head {
    pub(crate) method: Method,
    /// As the client wrote it.
    pub(crate) uri: Uri,
    pub(crate) path: String,
    pub(crate) segments: Vec<String>,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
}

impl Head {
    fn of(parts: http::request::Parts) -> Self {
        let path = parts.uri.path();
        Self {
            segments: route::segments(path),
            path: decode(path, false),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            uri: parts.uri,
            method: parts.method,
            headers: parts.headers,
        }
    }

    pub(crate) fn text(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// How the client reads a Status, or a document that has no other views.
    pub(crate) fn encoding(&self) -> Encoding {
        accept::whole(self.text(header::ACCEPT))
    }
}

impl Handler for Front {
    type Session = Session;

    fn connected(&self, peer: Peer) -> Session {
        Session { certificate: peer.certificates.first().map(|leaf| authn::certificate(leaf)) }
    }

    fn answer(
        self: Arc<Self>,
        session: Arc<Session>,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Response<ReplyBody>> {
        let shared = Arc::clone(&self.0);
        async move { answer(&shared, &session, request).await }.boxed()
    }

    fn on_panic(&self) -> Response<ReplyBody> {
        error!("a request's handler panicked");
        let error = ApiError::internal("this request apparently caused a panic in the server");
        refusal(Encoding::Json, &error)
    }
}

async fn answer(shared: &Arc<Shared>, session: &Session, request: Request<Incoming>) -> Response<ReplyBody> {
    let started = Instant::now();
    let (mut parts, body) = request.into_parts();
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let head = Head::of(parts);
    let audit = head.headers.get("audit-id").filter(|id| id.len() <= 64).cloned();
    let target = route::target(&head.segments);
    let verb = target.as_ref().and_then(|t| t.verb(&head.method, &head.query));
    let answered = match &target {
        Some(target) if streams::is_stream(target) => {
            stream(shared, session, &head, (target.clone(), verb), (body, upgrade)).await
        }
        Some(target) => object(shared, session, &head, target.clone(), verb, body).await,
        None => document(shared, session, &head).await,
    };
    let mut response = answered.unwrap_or_else(|error| refusal(head.encoding(), &error));
    let id = audit.unwrap_or_else(|| header_value(&uuid::Uuid::new_v4().to_string()));
    response.headers_mut().insert("audit-id", id);
    shared.metrics.observe(target.as_ref(), verb, response.status().as_u16(), started.elapsed());
    response
}

/// Everything that is no object: discovery, health, OpenAPI, metrics.
async fn document(shared: &Arc<Shared>, session: &Session, head: &Head) -> Result<Response<ReplyBody>, ApiError> {
    let user = authn::user(shared, session, head).await?;
    let verb = head.method.as_str().to_ascii_lowercase();
    authz::path(shared, &user, &verb, &head.path).await?;
    documents::answer(shared, head).await
}

/// Logs, commands, forwarded ports and proxied requests of pods: they last as long as the client wants.
async fn stream(
    shared: &Arc<Shared>,
    session: &Session,
    head: &Head,
    (target, verb): (Target, Option<Verb>),
    (body, upgrade): (Incoming, Option<OnUpgrade>),
) -> Result<Response<ReplyBody>, ApiError> {
    let user = authn::user(shared, session, head).await?;
    let verb = verb.filter(|verb| target.serves(*verb)).ok_or_else(ApiError::method_not_allowed)?;
    match target.is_proxy() {
        // The query is the pod's.
        true => authz::target(shared, &user, verb, &target, &Query::default()).await?,
        false => authz::target(shared, &user, verb, &target, &head.query).await?,
    }
    streams::answer(shared, Asked { user, verb, target, head, body, upgrade }).await
}

async fn object(
    shared: &Arc<Shared>,
    session: &Session,
    head: &Head,
    target: Target,
    verb: Option<Verb>,
    body: Incoming,
) -> Result<Response<ReplyBody>, ApiError> {
    let user = authn::user(shared, session, head).await?;
    let verb = verb.ok_or_else(ApiError::method_not_allowed)?;
    let format = accept::negotiate(head.text(header::ACCEPT)).ok_or_else(ApiError::not_acceptable)?;
    if verb == Verb::Watch && format.encoding.stream_media_type().is_none() {
        return Err(ApiError::no_such_stream());
    }
    let _place = place(shared, verb)?;
    let body_type = media::body_type(verb, head.text(header::CONTENT_TYPE))?;
    let body = match verb.reads() {
        true => bytes::Bytes::new(),
        false => body::read(body, shared.config.body_timeout()).await?,
    };
    let now = clock::now();
    let renderer = Renderer::new(&shared.cache, target.kind, format, &head.query, now)?;
    let user_agent = head.text(header::USER_AGENT).unwrap_or_default().to_owned();
    let query = head.query.clone();
    let request = pipeline::Request { user, verb, target, query, body, body_type, user_agent, term: None, now };
    let reply = tokio::time::timeout(shared.config.request_timeout(), pipeline::run(shared, request));
    let reply = reply.await.map_err(|_| ApiError::timeout())??;
    Ok(compress::maybe(head, written(shared, renderer, reply)))
}

/// A place among the requests in flight; watches need none.
fn place(shared: &Shared, verb: Verb) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
    let places = match verb {
        Verb::Watch => return Ok(None),
        verb if verb.reads() => &shared.reads,
        _ => &shared.writes,
    };
    match Arc::clone(places).try_acquire_owned() {
        Ok(place) => Ok(Some(place)),
        Err(_) => Err(ApiError::too_many_requests()),
    }
}

fn written(shared: &Arc<Shared>, renderer: Renderer, reply: Reply) -> Response<ReplyBody> {
    let encoding = renderer.format.encoding;
    let (media, body) = match reply.answer {
        Answer::Object(object) => (encoding.media_type(), ReplyBody::Full(renderer.object(&object))),
        Answer::List(items) => (encoding.media_type(), renderer.list(items)),
        Answer::Watch(feed) => {
            let state = (feed, EventWriter::new(renderer), shared.metrics.watching());
            let stream = stream::unfold(state, |(mut feed, mut writer, open)| async move {
                let changes = feed.next().await?;
                Some((writer.write(&changes), (feed, writer, open)))
            });
            let media = encoding.stream_media_type().unwrap_or(encoding.media_type());
            (media, ReplyBody::Stream(stream.boxed()))
        }
    };
    let mut response = plain(reply.code, media, body);
    for warning in reply.warnings {
        response.headers_mut().append(header::WARNING, warning_value(&warning));
    }
    response
}

/// `299 - "text"`.
fn warning_value(text: &str) -> HeaderValue {
    let printable: String = text.chars().filter(|c| !c.is_control()).collect();
    let escaped = printable.replace('\\', "\\\\").replace('"', "\\\"");
    HeaderValue::from_bytes(format!("299 - \"{escaped}\"").as_bytes())
        .unwrap_or_else(|_| HeaderValue::from_static("299 - \"?\""))
}

/// An answer with its usual headers.
pub(crate) fn plain(code: u16, media: &'static str, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// A Status.
pub(crate) fn refusal(encoding: Encoding, error: &ApiError) -> Response<ReplyBody> {
    let body = crate::render::encode(encoding, &error.to_json());
    let mut response = plain(error.code(), encoding.media_type(), ReplyBody::Full(body));
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

pub(crate) fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
