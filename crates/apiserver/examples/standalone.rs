//! One API server over memory, for trying things out: `cargo run -p apiserver --example standalone -- [DIR] [PORT]`.
//! Writes a kubeconfig into DIR (default: a temporary directory) and serves on loopback until interrupted.

use std::{net::Ipv4Addr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use apiserver::{ApiServer, Config, Secrets};
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::json;
use store::{MemoryStorage, State};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "standalone");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    fn leaf(&self, name: &str, group: &str, hosts: &[&str]) -> Result<(rcgen::Certificate, KeyPair)> {
        let mut params = CertificateParams::new(hosts.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, name);
        if !group.is_empty() {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate, key))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(|| std::env::temp_dir().join("mesh-standalone"), PathBuf::from);
    let port: u16 = arguments.next().map_or(Ok(16443), |p| p.parse()).context("PORT is a number up to 65535")?;
    std::fs::create_dir_all(&directory)?;

    let ca = Authority::new()?;
    let (serving, serving_key) = ca.leaf("kube-apiserver", "", &["127.0.0.1", "localhost"])?;
    let secrets = Secrets {
        serving_chain: vec![serving.der().clone()],
        serving_key: PrivatePkcs8KeyDer::from(serving_key.serialize_der()).into(),
        client_roots: vec![ca.certificate.der().clone()],
        serving_ca_pem: ca.certificate.pem(),
        token_key_pem: KeyPair::generate()?.serialize_pem(),
    };
    let config = Config { advertise_address: format!("127.0.0.1:{port}"), ..Config::default() };
    let storage = Arc::new(MemoryStorage::new(State::default()));
    let server = ApiServer::new(storage, config, &secrets)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.context("PORT is in use")?;
    let stop = CancellationToken::new();
    let (_streams, queue) = mpsc::channel(1);
    let running = tokio::spawn({
        let (server, stop) = (server.clone(), stop.clone());
        async move { server.run(listener, queue, stop).await }
    });
    server.bootstrap(&ca.certificate.pem()).await?;
    let path = directory.join("kubeconfig");
    let (admin, admin_key) = ca.leaf("admin", "system:masters", &[])?;
    std::fs::write(&path, kubeconfig(port, &ca, &admin, &admin_key))?;
    std::fs::write(directory.join("ca.pem"), ca.certificate.pem())?;
    std::fs::write(directory.join("admin.pem"), admin.pem())?;
    std::fs::write(directory.join("admin.key"), admin_key.serialize_pem())?;
    println!("export KUBECONFIG={}", path.display());
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(15), running).await??;
    Ok(())
}

fn kubeconfig(port: u16, ca: &Authority, admin: &rcgen::Certificate, key: &KeyPair) -> String {
    let server = format!("https://127.0.0.1:{port}");
    let encode = |text: String| STANDARD.encode(text);
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "standalone",
        "clusters": [{ "name": "standalone", "cluster":
            { "server": server, "certificate-authority-data": encode(ca.certificate.pem()) } }],
        "users": [{ "name": "admin", "user":
            { "client-certificate-data": encode(admin.pem()), "client-key-data": encode(key.serialize_pem()) } }],
        "contexts": [{ "name": "standalone", "context": { "cluster": "standalone", "user": "admin" } }],
    })
    .to_string()
}
