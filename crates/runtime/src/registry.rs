//! A client of image registries: manifests and blobs, to whoever may have them. Main type: [`Registry`].
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md> and
//! <https://distribution.github.io/distribution/spec/auth/token/>. Left out: proxies, mirrors, pushing.

mod auth;
mod http;

use std::time::Duration;

use ::http::{Response, StatusCode, Uri, header};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use oci_spec::distribution::Reference;
use serde::Deserialize;
use tokio::time::timeout;

use self::{auth::Authority, http::Http};
use crate::{Credentials, PullError, archive::sha256};

/// Bytes of a manifest or a token: the registries' own limit.
const JSON_BYTES_MAX: usize = 4 << 20;

/// Bytes of an error's text that are read.
const ERROR_BYTES_MAX: usize = 16 << 10;

/// A download that stands still for so long has failed: the kubelet's own patience.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Forms of a manifest that we read, and of an index.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// Where Docker's own images really are.
const DOCKER: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// A blob's bytes as they come.
pub(crate) type Blob = BoxStream<'static, std::io::Result<Bytes>>;

/// A manifest or an index.
pub(crate) struct Fetched {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: String,
    pub(crate) media_type: String,
}

/// One image's registry, and who asks it.
pub(crate) struct Registry {
    http: Http,
    authority: Authority,
    /// As `https://registry.test/v2/team/app`.
    base: String,
    whole: String,
}

#[derive(Deserialize)]
struct Refusals {
    errors: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Registry {
    /// The registry of an image. Nothing is asked yet.
    pub(crate) fn of(reference: &Reference, credentials: Option<Credentials>) -> Result<Self, PullError> {
        let whole = reference.whole();
        let host = reference.registry();
        let host = if host == DOCKER.0 { DOCKER.1 } else { host };
        let scheme = if is_loopback(host) { "http" } else { "https" };
        let base = format!("{scheme}://{host}/v2/{}", reference.repository());
        let unreachable = |reason: String| PullError::Unreachable { reference: whole.clone(), reason };
        let http = Http::new().map_err(|error| unreachable(error.to_string()))?;
        Ok(Self { http, authority: Authority::new(credentials), base, whole })
    }

    /// A manifest by tag or digest; one asked for by digest has it.
    pub(crate) async fn manifest(&self, name: &str) -> Result<Fetched, PullError> {
        let answer = self.get(&format!("{}/manifests/{name}", self.base), MANIFESTS).await?;
        let media_type = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        let bytes = http::read(answer, JSON_BYTES_MAX).await.map_err(|error| self.unreachable(&error))?;
        let digest = sha256(&bytes);
        if name.contains(':') && name != digest {
            return Err(self.unusable(format!("manifest {name} is {digest}: it was changed on its way")));
        }
        Ok(Fetched { bytes, digest, media_type })
    }

    /// A small blob, which has its digest.
    pub(crate) async fn small(&self, digest: &str) -> Result<Vec<u8>, PullError> {
        let answer = self.get(&format!("{}/blobs/{digest}", self.base), "*/*").await?;
        let bytes = http::read(answer, JSON_BYTES_MAX).await.map_err(|error| self.unreachable(&error))?;
        match sha256(&bytes) {
            found if found == digest => Ok(bytes),
            found => Err(self.unusable(format!("blob {digest} is {found}: it was changed on its way"))),
        }
    }

    /// A blob; who stores it checks its digest.
    pub(crate) async fn blob(&self, digest: &str) -> Result<Blob, PullError> {
        let answer = self.get(&format!("{}/blobs/{digest}", self.base), "*/*").await?;
        Ok(Box::pin(stream::unfold(Some(answer.into_body()), |body| async {
            let mut body = body?;
            match timeout(STALL_TIMEOUT, next(&mut body)).await {
                Ok(Some(Ok(data))) => Some((Ok(data), Some(body))),
                Ok(Some(Err(error))) => Some((Err(error), None)),
                Ok(None) => None,
                Err(_) => Some((Err(std::io::Error::other(format!("nothing came for {STALL_TIMEOUT:?}"))), None)),
            }
        })))
    }

    /// Asks, as somebody if need be.
    async fn get(&self, url: &str, accept: &str) -> Result<Response<Incoming>, PullError> {
        let uri: Uri = url.parse().map_err(|_| self.unusable(format!("{url} is no address")))?;
        let ask = async |authorization| {
            let asked = self.http.get(&uri, accept, authorization).await;
            asked.map_err(|error| PullError::Unreachable {
                reference: self.whole.clone(),
                reason: format!("Get {url:?}: {error}"),
            })
        };
        let mut answer = ask(self.authority.header()).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            let challenged = self.authority.answer(&self.http, answer.headers()).await;
            challenged.map_err(|reason| PullError::Unauthorized { reference: self.whole.clone(), reason })?;
            answer = ask(self.authority.header()).await?;
        }
        match answer.status() {
            status if status.is_success() => Ok(answer),
            status => Err(self.refused(url, status, answer).await),
        }
    }

    async fn refused(&self, url: &str, status: StatusCode, answer: Response<Incoming>) -> PullError {
        let reference = self.whole.clone();
        let body = http::read(answer, ERROR_BYTES_MAX).await.unwrap_or_default();
        let said = serde_json::from_slice(&body).ok().and_then(|refusals: Refusals| refusals.errors.into_iter().next());
        let said =
            said.map_or_else(|| status.to_string(), |said| format!("{}: {}", said.code.to_lowercase(), said.message));
        match status {
            StatusCode::NOT_FOUND => PullError::NotFound { reference },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                PullError::Unauthorized { reference, reason: format!("server message: {said}") }
            }
            _ => PullError::Unreachable {
                reference,
                reason: format!("unexpected status from GET request to {url}: {said}"),
            },
        }
    }

    pub(crate) fn unusable(&self, reason: String) -> PullError {
        PullError::Unusable { reference: self.whole.clone(), reason }
    }

    fn unreachable(&self, error: &std::io::Error) -> PullError {
        PullError::Unreachable { reference: self.whole.clone(), reason: error.to_string() }
    }
}

/// The next bytes of a body; trailers are none.
async fn next(body: &mut Incoming) -> Option<std::io::Result<Bytes>> {
    loop {
        match body.frame().await? {
            Ok(frame) => match frame.into_data() {
                Ok(data) => return Some(Ok(data)),
                Err(_) => continue,
            },
            Err(error) => return Some(Err(std::io::Error::other(error))),
        }
    }
}

/// A registry of this machine speaks plain HTTP, as other runtimes take it too.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_registries_are_spoken_to_plainly() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["registry.test", "10.0.0.1:5000", "localhost.test", "127.0.0.1.test:5000"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
