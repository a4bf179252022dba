//! Requests that pods answer: through the server, to whoever answers at a pod's port.

use std::{convert::Infallible, sync::Arc};

use apiserver::streams::{Command, Duplex, Kubelets, LogOptions, Place, Process, StreamError};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::{
    cluster::{Cluster, Who},
    wire::{BOTH, Protocol, ask, check},
};

const NAMESPACE: &str = "/api/v1/namespaces/default";

/// Nodes with one pod each, that tells what it was asked.
struct Pods;

#[async_trait]
impl Kubelets for Pods {
    async fn logs(&self, _: &Place, _: &LogOptions) -> Result<BoxStream<'static, Bytes>, StreamError> {
        Err(StreamError::NotStarted)
    }

    async fn exec(&self, place: &Place, _: &Command) -> Result<Process, StreamError> {
        Err(StreamError::NoContainer(place.container.clone()))
    }

    async fn attach(&self, place: &Place, _: &Command) -> Result<Process, StreamError> {
        Err(StreamError::NoContainer(place.container.clone()))
    }

    async fn port_forward(&self, place: &Place, port: u16) -> Result<Box<dyn Duplex>, StreamError> {
        let address = format!("{}:{port}", place.address);
        if port == 9 {
            return Err(StreamError::Failed(format!("dial tcp {address}: connect: connection refused")));
        }
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let at = format!("{}/{} {address}", place.node, place.pod);
        let service = service_fn(move |request| pod(at.clone(), request));
        tokio::spawn(async move {
            let server = http1::Builder::new();
            match port {
                443 => {
                    server.serve_connection(TokioIo::new(self_signed().accept(theirs).await.unwrap()), service).await
                }
                _ => server.serve_connection(TokioIo::new(theirs), service).with_upgrades().await,
            }
        });
        Ok(Box::new(ours))
    }
}

/// TLS with a certificate that nobody knows.
fn self_signed() -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["pod".to_owned()]).unwrap().self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Tells what it was asked; does as its path says.
async fn pod(at: String, mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    let headers = response.headers_mut();
    match request.uri().path() {
        "/away" => {
            headers.insert(header::LOCATION, "/home?x=1".parse().unwrap());
            *response.status_mut() = StatusCode::FOUND;
        }
        "/echo" => {
            headers.insert(header::CONNECTION, "upgrade".parse().unwrap());
            headers.insert(header::UPGRADE, "echo".parse().unwrap());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let (mut from, mut to) = tokio::io::split(TokioIo::new(upgrade.await.unwrap()));
                tokio::io::copy(&mut from, &mut to).await.unwrap();
                to.shutdown().await.unwrap();
            });
        }
        _ => {
            let (parts, body) = request.into_parts();
            let length = body.collect().await.unwrap().to_bytes().len();
            let told: Value =
                parts.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
            let told = json!({ "at": at, "asked": format!("{} {}", parts.method, parts.uri), "length": length, "headers": told });
            *response.body_mut() = Full::from(told.to_string());
        }
    }
    Ok(response)
}

/// A server with a pod `p`, and a Service `s` of it.
async fn cluster() -> Cluster {
    let cluster = Cluster::new().await;
    cluster.server.reach(Arc::new(Pods));
    let mut admin = cluster.admin(Protocol::H1).await;
    let container = json!({ "name": "c", "image": "i", "ports": [{ "containerPort": 8080 }] });
    let spec = json!({ "nodeName": "n", "containers": [container], "automountServiceAccountToken": false });
    let pod = json!({ "metadata": { "name": "p" }, "spec": spec });
    let status = json!({ "status": { "podIP": "10.42.0.5", "podIPs": [{ "ip": "10.42.0.5" }] } });
    let service =
        |name: &str| json!({ "metadata": { "name": name }, "spec": { "ports": [{ "name": "web", "port": 80 }] } });
    let endpoint = |address: &str, pod: &str| {
        json!({ "addresses": [address], "conditions": { "ready": true },
            "targetRef": { "kind": "Pod", "namespace": "default", "name": pod } })
    };
    let slice = json!({ "metadata": { "name": "s", "labels": { "kubernetes.io/service-name": "s" } },
        "addressType": "IPv4", "ports": [{ "name": "web", "port": 8080 }],
        "endpoints": [endpoint("10.42.0.5", "p"), endpoint("10.42.0.6", "p"), endpoint("10.0.0.1", "none")] });
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    for (path, object) in [
        (format!("{NAMESPACE}/pods"), pod),
        (format!("{NAMESPACE}/services"), service("s")),
        (format!("{NAMESPACE}/services"), service("empty")),
        (slices.to_owned(), slice),
    ] {
        check(&mut admin, ask(&format!("POST {path}")).json(&object), 201, "").await;
    }
    let patch = ask(&format!("PATCH {NAMESPACE}/pods/p/status")).with("content-type", "application/merge-patch+json");
    check(&mut admin, patch.bytes(status.to_string()), 200, "10.42.0.5").await;
    cluster
}

#[tokio::test]
async fn a_pod_is_asked_what_the_client_asked() {
    let cluster = cluster().await;
    for protocol in BOTH {
        let mut admin = cluster.admin(protocol).await;
        for (line, at, asked) in [
            ("GET /pods/p/proxy/", "n/p 10.42.0.5:8080", "GET /"),
            ("GET /pods/p:9090/proxy/a/../b/?x=%20&watch=1", "n/p 10.42.0.5:9090", "GET /b/?x=%20&watch=1"),
            ("DELETE /services/s:80/proxy/x", "n/p 10.42.0.5:8080", "DELETE /x"),
            ("PUT /services/s:web/proxy/x", "n/p 10.42.0.5:8080", "PUT /x"),
            ("POST /services/http:s:web/proxy", "n/p 10.42.0.5:8080", "POST /"),
            ("PATCH /pods/http:p:/proxy/", "n/p 10.42.0.5:8080", "PATCH /"),
            ("GET /pods/https:p:443/proxy/x", "n/p 10.42.0.5:443", "GET /x"),
        ] {
            let (method, path) = line.split_once(' ').unwrap();
            let asking = ask(&format!("{method} {NAMESPACE}{path}")).with("authorization", "Bearer secret");
            let body = stream::repeat(Bytes::from(vec![b'x'; 1 << 16])).take(if method == "GET" { 0 } else { 64 });
            let answer = check(&mut admin, asking.with("x-mine", "1").chunks(body), 200, asked).await;
            let told = answer.json();
            assert_eq!((&told["at"], &told["asked"]), (&json!(at), &json!(asked)), "{line}");
            assert_eq!(told["length"], if method == "GET" { 0 } else { 64 << 16 }, "{line}: larger than any object");
            assert_eq!((&told["headers"]["x-mine"], &told["headers"]["host"]), (&json!("1"), &json!("localhost")));
            assert_eq!(told["headers"]["authorization"], Value::Null, "{line}");
        }
        let answer = check(&mut admin, ask(&format!("GET {NAMESPACE}/pods/p/proxy?a=b")), 301, "").await;
        assert_eq!(answer.header("location"), format!("{NAMESPACE}/pods/p/proxy/?a=b"));
        let answer = check(&mut admin, ask(&format!("GET {NAMESPACE}/services/s:80/proxy/away")), 302, "").await;
        assert_eq!(answer.header("location"), format!("{NAMESPACE}/services/s:80/proxy/home?x=1"));
    }
}

#[tokio::test]
async fn what_cannot_be_asked_says_why() {
    let cluster = cluster().await;
    let mut admin = cluster.admin(Protocol::H1).await;
    for (path, code, why) in [
        ("pods/none/proxy/", 404, "pods \"none\" not found"),
        ("pods/ftp:p:80/proxy/", 400, "invalid pod request"),
        ("pods/p:9/proxy/", 503, "error trying to reach service: dial tcp 10.42.0.5:9: connect: connection refused"),
        ("services/none:80/proxy/", 404, "services \"none\" not found"),
        ("services/s:81/proxy/", 503, "no service port 81 found for service"),
        ("services/s:other/proxy/", 503, "no endpoints available for service \\\"s:other\\\""),
        ("services/empty:80/proxy/", 503, "no endpoints available for service \\\"empty\\\""),
    ] {
        let why = if why.contains('\\') { why.to_owned() } else { why.replace('"', "\\\"") };
        check(&mut admin, ask(&format!("GET {NAMESPACE}/{path}")), code, &why).await;
    }
    let mut nobody = cluster.connect(&Who::Anonymous, Protocol::H1).await;
    let refused = "cannot create resource \\\"services/proxy\\\" in API group";
    check(&mut nobody, ask(&format!("POST {NAMESPACE}/services/s:80/proxy/x")), 403, refused).await;
}

#[tokio::test]
async fn an_upgraded_connection_is_joined_to_the_pods() {
    let cluster = cluster().await;
    let mut tls = cluster.tls(&Who::Admin, Protocol::H1).await;
    let asked = format!(
        "GET {NAMESPACE}/pods/p/proxy/echo HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n"
    );
    tls.write_all(asked.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tls.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("upgrade: echo"), "{head}");
    tls.write_all(b"hello").await.unwrap();
    let mut said = [0; 5];
    tls.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello");
}
