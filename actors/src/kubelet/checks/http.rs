//! HTTP probes and hooks: one GET, over TLS without looking at the certificate where asked for.

use std::net::IpAddr;
use std::time::Duration;

use ::kubelet::probe::{Answer, Check};
use apiserver::http::unverified::unverified;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, Response, Uri, body::Incoming, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{OUTPUT_MAX, dial_error, join};

/// Hops of redirects within the pod's own host, as Go's client allows.
const REDIRECTS_MAX: usize = 10;

/// What a probe's request says it is, unless the spec says otherwise.
const AGENT: &str = "kube-probe/1.36";

/// What a hook's request says it is, unless the spec says otherwise.
const HOOK_AGENT: &str = "kube-lifecycle/1.36";

/// One question.
#[derive(Clone, Debug)]
struct Ask {
    tls: bool,
    host: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
}

impl Ask {
    fn of(check: &Check) -> Option<Self> {
        let Check::Http { tls, host, port, path, headers } = check else { return None };
        let (host, path, headers) = (host.clone(), path.clone(), headers.clone());
        Some(Self { tls: *tls, host, port: *port, path, headers })
    }

    fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", join(&self.host, self.port), self.path)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What came back.
enum Told {
    Status(u16, String),
    Elsewhere,
}

/// Runs a probe.
pub(super) async fn probe(check: &Check, limit: Duration) -> Answer {
    let Some(ask) = Ask::of(check) else { return Answer::Error("no HTTP probe".to_owned()) };
    let url = ask.url();
    match timeout(limit, follow(ask, AGENT)).await {
        Ok(Ok(Told::Status(200..400, _))) => Answer::Success,
        Ok(Ok(Told::Status(code, _))) => Answer::Failure(format!("HTTP probe failed with statuscode: {code}")),
        Ok(Ok(Told::Elsewhere)) => Answer::Warning("Probe terminated redirects".to_owned()),
        Ok(Err(why)) => Answer::Failure(format!("Get {url:?}: {why}")),
        Err(_) => {
            let why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
            Answer::Failure(format!("Get {url:?}: {why}"))
        }
    }
}

/// Runs a hook.
pub(super) async fn hook(check: &Check) -> Result<(), String> {
    let ask = Ask::of(check).ok_or("no HTTP hook")?;
    let url = ask.url();
    match follow(ask, HOOK_AGENT).await {
        Ok(Told::Status(400.., body)) => Err(format!("HTTP hook failed: {body}")),
        Ok(_) => Ok(()),
        Err(why) => Err(format!("Get {url:?}: {why}")),
    }
}

/// Asks, and follows redirects that stay on the host.
async fn follow(mut ask: Ask, agent: &str) -> Result<Told, String> {
    for _ in 0..=REDIRECTS_MAX {
        let response = get(&ask, agent).await?;
        let status = response.status();
        let location = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
        match location.filter(|_| status.is_redirection()).map(|to| redirect(&ask, to)) {
            Some(Some(next)) => ask = next,
            Some(None) => return Ok(Told::Elsewhere),
            None => {
                let body = Limited::new(response.into_body(), OUTPUT_MAX as usize).collect().await;
                let body = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
                return Ok(Told::Status(status.as_u16(), body.unwrap_or_default()));
            }
        }
    }
    Err(format!("stopped after {REDIRECTS_MAX} redirects"))
}

/// The next question, if it goes to the same host.
fn redirect(ask: &Ask, to: &str) -> Option<Ask> {
    let uri: Uri = to.parse().ok()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let Some(host) = uri.host() else {
        let absolute = if to.starts_with('/') { path } else { format!("{}/{to}", ask.path.rsplit_once('/')?.0) };
        return Some(Ask { path: absolute, ..ask.clone() });
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    if host != ask.host {
        return None;
    }
    let tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    Some(Ask { tls, host, port, path, headers: ask.headers.clone() })
}

async fn get(ask: &Ask, agent: &str) -> Result<Response<Incoming>, String> {
    let address = join(&ask.host, ask.port);
    let stream = TcpStream::connect(&address).await.map_err(|error| dial_error(&address, &error))?;
    let request = request(ask, agent)?;
    if !ask.tls {
        return send(TokioIo::new(stream), request).await;
    }
    let name = match ask.host.parse::<IpAddr>() {
        Ok(address) => ServerName::IpAddress(address.into()),
        Err(_) => ServerName::try_from(ask.host.clone()).map_err(|error| error.to_string())?,
    };
    let connector = tokio_rustls::TlsConnector::from(unverified());
    let stream = connector.connect(name, stream).await.map_err(|error| format!("tls: {error}"))?;
    send(TokioIo::new(stream), request).await
}

fn request(ask: &Ask, agent: &str) -> Result<Request<Empty<Bytes>>, String> {
    let mut request = Request::get(ask.path.as_str());
    let host = ask.header("Host").map_or_else(|| join(&ask.host, ask.port), str::to_owned);
    request = request.header(header::HOST, host);
    for (name, value) in ask.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Host")) {
        request = request.header(name, value);
    }
    for (name, value) in [("User-Agent", agent), ("Accept", "*/*")] {
        if ask.header(name).is_none() {
            request = request.header(name, value);
        }
    }
    request.header(header::CONNECTION, "close").body(Empty::new()).map_err(|error| error.to_string())
}

async fn send<S>(stream: TokioIo<S>, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let told = |error: hyper::Error| match error.is_incomplete_message() {
        true => "EOF".to_owned(),
        false => super::told(&error),
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(told)?;
    // Ends with the exchange: the request asks for the connection's end.
    tokio::spawn(async move { drop(connection.await) });
    sender.send_request(request).await.map_err(told)
}
