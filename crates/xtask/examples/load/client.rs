//! One HTTP/2 connection to an API server, as the administrator of a kubeconfig. Main type: [`Client`].

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use serde_json::Value;
use tokio::net::TcpStream;

/// Bytes a server may send ahead on one stream: more than a list of 5,000 small objects.
const WINDOW: u32 = 16 << 20;

/// Namespaces in which everything is made.
const NAMESPACES: &str = "/api/v1/namespaces";

/// The media type of what is sent and asked for, patches and [`PROTOBUF`] apart.
pub(crate) const JSON: &str = "application/json";

/// What client-go asks for.
pub(crate) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf,application/json";

/// What a kubeconfig holds, ready for TLS.
pub(crate) struct Identity(Arc<ClientConfig>);

impl Identity {
    /// Reads a kubeconfig as `mesh kubeconfig` writes it.
    ///
    /// # Errors
    /// Where one of its three parts is not there.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let part = |name: &str| {
            let value = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
            let value = value.with_context(|| format!("{} has no {name}", path.display()))?;
            anyhow::Ok(base64::engine::general_purpose::STANDARD.decode(value.trim())?)
        };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&part("certificate-authority-data")?)?)?;
        let certificate = CertificateDer::from_pem_slice(&part("client-certificate-data")?)?;
        let key = PrivateKeyDer::from_pem_slice(&part("client-key-data")?)?;
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = builder.with_client_auth_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// One connection; clones share it.
#[derive(Clone)]
pub(crate) struct Client {
    sender: http2::SendRequest<Full<Bytes>>,
    authority: Arc<str>,
}

impl Client {
    /// Connects to `https://HOST:PORT`.
    ///
    /// # Errors
    /// Where nobody answers, or somebody else.
    pub(crate) async fn connect(server: &str, identity: &Identity) -> Result<Self> {
        let authority = server.strip_prefix("https://").context("the server is no https:// URL")?;
        let host = authority.rsplit_once(':').context("the server's URL names no port")?.0;
        let tcp = TcpStream::connect(authority).await.with_context(|| format!("cannot connect to {authority}"))?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned())?;
        let tls = tokio_rustls::TlsConnector::from(identity.0.clone()).connect(name, tcp).await?;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
        let (sender, connection) = builder.handshake(TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, authority: authority.into() })
    }

    /// Sends a request; fails on any answer but success. `media` is what is sent, or, without a body, what is asked for.
    ///
    /// # Errors
    /// With the server's words.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        media: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let accepted = if method == Method::GET { media } else { JSON };
        let request = Request::builder()
            .method(method)
            .uri(format!("https://{}{path}", self.authority))
            .header(header::CONTENT_TYPE, media)
            .header(header::ACCEPT, accepted)
            .body(Full::new(body))?;
        let response = self.sender.clone().send_request(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, words) = (response.status(), response.into_body().collect().await?.to_bytes());
        Err(anyhow!("{status}: {}", String::from_utf8_lossy(&words)))
    }

    /// Sends a request and takes in the whole answer; returns its length.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(crate) async fn call(&self, method: Method, path: &str, media: &str, body: Bytes) -> Result<usize> {
        let answer = self.send(method, path, media, body).await?.into_body().collect().await?.to_bytes();
        ensure!(!answer.is_empty(), "an empty answer");
        Ok(answer.len())
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(crate) async fn json(&self, method: Method, path: &str, body: Bytes) -> Result<Value> {
        let answer = self.send(method, path, JSON, body).await?;
        Ok(serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?)
    }

    /// The revision at which a collection is now.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(crate) async fn revision(&self, collection: &str) -> Result<String> {
        let list = self.json(Method::GET, &format!("{collection}?limit=1"), Bytes::new()).await?;
        let revision = list["metadata"]["resourceVersion"].as_str();
        revision.map(str::to_owned).context("a list without a resourceVersion")
    }

    /// Makes a namespace, or finds it made.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(crate) async fn create_namespace(&self, name: &str) -> Result<()> {
        let body = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
        match self.call(Method::POST, NAMESPACES, JSON, body.into()).await {
            Err(error) if !error.to_string().contains("AlreadyExists") => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits until a namespace has the account that pods need: a controller makes it.
    ///
    /// # Errors
    /// Where it does not come.
    pub(crate) async fn account(&self, namespace: &str) -> Result<()> {
        let path = format!("{NAMESPACES}/{namespace}/serviceaccounts");
        let follow = format!("{path}?watch=true&timeoutSeconds=60&fieldSelector=metadata.name%3Ddefault");
        // Without a revision a watch begins with what there is.
        let mut stream = self.send(Method::GET, &follow, JSON, Bytes::new()).await?.into_body();
        stream.frame().await.with_context(|| format!("{namespace} has no default account"))??;
        Ok(())
    }

    /// Makes a ConfigMap of 1 KiB.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(crate) async fn create(&self, namespace: &str, name: &str) -> Result<usize> {
        let text = "x".repeat(1024);
        let body = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},"data":{{"text":"{text}"}}}}"#
        );
        let path = format!("{NAMESPACES}/{namespace}/configmaps");
        self.call(Method::POST, &path, JSON, body.into()).await
    }
}
