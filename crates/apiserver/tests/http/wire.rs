//! A small HTTP client, and [`check`]: what is asked and what must come of it.

use std::convert::Infallible;

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

/// A client's end of a TLS stream.
pub(crate) type Tls<S> = tokio_rustls::client::TlsStream<S>;

/// A request's body.
type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    H1,
    H2,
}

impl Protocol {
    pub(crate) fn alpn(self) -> &'static [u8] {
        match self {
            Self::H1 => b"http/1.1",
            Self::H2 => b"h2",
        }
    }
}

/// Both of them.
pub(crate) const BOTH: [Protocol; 2] = [Protocol::H1, Protocol::H2];

/// A request to be sent.
pub(crate) struct Ask {
    what: String,
    request: Request<Body>,
}

/// `GET /path`, without a body.
pub(crate) fn ask(line: &str) -> Ask {
    let (method, path) = line.split_once(' ').unwrap();
    let builder = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap());
    let request = builder.uri(format!("https://localhost{path}")).body(Full::default().boxed_unsync()).unwrap();
    Ask { what: line.to_owned(), request }
}

impl Ask {
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().insert(name, value.parse().unwrap());
        self
    }

    pub(crate) fn json(self, value: &Value) -> Self {
        self.with("content-type", "application/json").bytes(value.to_string())
    }

    pub(crate) fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into()).boxed_unsync();
        self
    }

    /// Sends the body as the chunks come.
    pub(crate) fn chunks(mut self, chunks: impl futures::Stream<Item = Bytes> + Send + 'static) -> Self {
        *self.request.body_mut() = StreamBody::new(chunks.map(|c| Ok(Frame::data(c)))).boxed_unsync();
        self
    }
}

/// What came back, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A connection on which requests can be sent. HTTP/2 can be cloned, and asked several things at once.
#[derive(Debug)]
pub(crate) enum Connection {
    H1(http1::SendRequest<Body>),
    H2(http2::SendRequest<Body>),
}

impl Connection {
    pub(crate) async fn new<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, protocol: Protocol) -> Self {
        let io = TokioIo::new(stream);
        match protocol {
            Protocol::H1 => {
                let (sender, connection) = http1::handshake(io).await.unwrap();
                tokio::spawn(connection);
                Self::H1(sender)
            }
            Protocol::H2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
                tokio::spawn(connection);
                Self::H2(sender)
            }
        }
    }

    /// The answer's head; its body is still to come.
    pub(crate) async fn begin(&mut self, ask: Ask) -> hyper::Result<Response<Incoming>> {
        let mut request = ask.request;
        match self {
            Self::H1(sender) => {
                *request.uri_mut() = request.uri().path_and_query().unwrap().as_str().parse().unwrap();
                request.headers_mut().insert("host", "localhost".parse().unwrap());
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::H2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    pub(crate) async fn send(&mut self, ask: Ask) -> Answer {
        let what = ask.what.clone();
        let (head, body) = self.begin(ask).await.unwrap_or_else(|e| panic!("{what}: {e:?}")).into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { code: head.status.as_u16(), headers: head.headers, body }
    }
}

/// The answer has this code, and its body contains `expect`.
pub(crate) async fn check(connection: &mut Connection, ask: Ask, code: u16, expect: &str) -> Answer {
    let what = ask.what.clone();
    let answer = connection.send(ask).await;
    assert_eq!(answer.code, code, "{what}: {}", answer.text());
    assert!(answer.text().contains(expect), "{what}: {}", answer.text());
    if code >= 400 && answer.header("content-type") == "application/json" {
        assert_eq!(answer.json()["code"], code, "{what}: the Status tells the code too");
    }
    assert!(!answer.header("audit-id").is_empty(), "{what}: every answer has an audit id");
    answer
}
