//! One request, with its redirections. Main type: [`Http`].
//!
//! A connection per request: a pull makes a handful. Roots of trust are the system's.

use std::{
    io,
    sync::{Arc, LazyLock},
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// How long a connection, and the head of an answer, may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Redirections that are followed.
const REDIRECTS_MAX: usize = 10;

const USER_AGENT: &str = concat!("mesh/", env!("CARGO_PKG_VERSION"));

/// Read once: the system's list is long.
static TLS: LazyLock<Result<Arc<ClientConfig>, String>> = LazyLock::new(tls);

/// Makes requests; cheap to make.
pub(super) struct Http {
    tls: TlsConnector,
}

impl Http {
    pub(super) fn new() -> io::Result<Self> {
        let config = TLS.as_ref().map_err(|reason| io::Error::other(reason.clone()))?;
        Ok(Self { tls: TlsConnector::from(config.clone()) })
    }

    /// Who asks is told to the first host only.
    pub(super) async fn get(
        &self,
        uri: &Uri,
        accept: &str,
        who: Option<HeaderValue>,
    ) -> io::Result<Response<Incoming>> {
        let (mut uri, mut who) = (uri.clone(), who);
        for _ in 0..REDIRECTS_MAX {
            let mut request = Request::get(&uri).header(header::ACCEPT, accept);
            if let Some(who) = &who {
                request = request.header(header::AUTHORIZATION, who);
            }
            let answer = self.send(&uri, request.body(Full::default()).map_err(io::Error::other)?).await?;
            let Some(next) = redirection(&uri, &answer)? else { return Ok(answer) };
            if next.authority() != uri.authority() || next.scheme() != uri.scheme() {
                who = None;
            }
            uri = next;
        }
        Err(io::Error::other(format!("more than {REDIRECTS_MAX} redirections")))
    }

    /// Sends a form.
    pub(super) async fn post(&self, uri: &Uri, form: String) -> io::Result<Response<Incoming>> {
        let request = Request::builder().method(Method::POST).uri(uri);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(uri, request.body(Full::from(form)).map_err(io::Error::other)?).await
    }

    async fn send(&self, uri: &Uri, mut request: Request<Full<Bytes>>) -> io::Result<Response<Incoming>> {
        let authority = uri.authority().ok_or_else(|| io::Error::other("no host"))?.to_string();
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_str(&authority).map_err(io::Error::other)?);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        *request.uri_mut() = path.parse().map_err(io::Error::other)?;
        let answered = timeout(ANSWER_TIMEOUT, async {
            match uri.scheme_str() {
                Some("http") => exchange(connect(uri, 80).await?, request).await,
                _ => {
                    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
                    let name = ServerName::try_from(host).map_err(io::Error::other)?;
                    exchange(self.tls.connect(name, connect(uri, 443).await?).await?, request).await
                }
            }
        });
        answered
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {ANSWER_TIMEOUT:?}")))?
    }
}

/// An answer's body, within a limit of size and time.
pub(super) async fn read(answer: Response<Incoming>, bytes_max: usize) -> io::Result<Vec<u8>> {
    let body = timeout(ANSWER_TIMEOUT, Limited::new(answer.into_body(), bytes_max).collect());
    let body = body.await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the answer does not end"))?;
    Ok(body.map_err(io::Error::other)?.to_bytes().to_vec())
}

async fn connect(uri: &Uri, port: u16) -> io::Result<TcpStream> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(port);
    let refused = |error: io::Error| io::Error::new(error.kind(), format!("dial tcp {host}:{port}: {error}"));
    let stream = TcpStream::connect((host, port)).await.map_err(refused)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> io::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Ends when the answer has been read or dropped.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(io::Error::other)
}

/// Where an answer sends us; never from TLS to plain text.
fn redirection(from: &Uri, answer: &Response<Incoming>) -> io::Result<Option<Uri>> {
    if !answer.status().is_redirection() {
        return Ok(None);
    }
    let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let next = resolve(from, location).ok_or_else(|| io::Error::other(format!("redirected to {location:?}")))?;
    match (from.scheme_str(), next.scheme_str()) {
        (Some("https"), Some("http")) => Err(io::Error::other(format!("redirected from https to {location:?}"))),
        _ => Ok(Some(next)),
    }
}

/// A location is a whole address, or a path on the same host.
fn resolve(from: &Uri, location: &str) -> Option<Uri> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return location.parse().ok();
    }
    let path = location.strip_prefix('/').filter(|rest| !rest.starts_with('/'))?;
    format!("{}://{}/{path}", from.scheme_str()?, from.authority()?).parse().ok()
}

fn tls() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    // A certificate that cannot be read is one that vouches for nobody.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_details(provider, clock::for_tls()).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(location: &str, expect: Option<&str>) {
        let from = Uri::from_static("https://a.test:5000/v2/x/blobs/y");
        assert_eq!(resolve(&from, location).map(|uri| uri.to_string()).as_deref(), expect, "{location}");
    }

    #[test]
    fn locations_are_whole_or_paths() {
        check("https://b.test/x?y=z", Some("https://b.test/x?y=z"));
        check("/x?y=z", Some("https://a.test:5000/x?y=z"));
        check("//b.test/x", None);
        check("x", None);
        check("", None);
        check("ftp://b.test", None);
    }
}
