//! One server on a loopback port, with the certificates it and its clients need. Main type: [`Cluster`].

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use apiserver::{ApiServer, Config, Secrets};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore, pki_types::PrivatePkcs8KeyDer};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    faulty::Faulty,
    wire::{Connection, Protocol, Tls, ask},
};

/// Signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn leaf(&self, name: &str, group: &str) -> (Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        if !group.is_empty() {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// Who a client says it is.
pub(crate) enum Who<'a> {
    /// A member of `system:masters`.
    Admin,
    /// Nobody.
    Anonymous,
    /// A user with a certificate of this authority.
    Of(&'a Authority, &'a str),
}

/// A running server.
pub(crate) struct Cluster {
    pub(crate) server: ApiServer,
    pub(crate) storage: Faulty,
    pub(crate) authority: Authority,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) running: JoinHandle<()>,
}

impl Cluster {
    /// One with the settings of a cluster.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// One with other settings, ready to answer.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let authority = Authority::new();
        let (serving, key) = authority.leaf("kube-apiserver", "");
        let secrets = Secrets {
            serving_chain: vec![serving.der().clone()],
            serving_key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            client_roots: vec![authority.certificate.der().clone()],
            serving_ca_pem: authority.certificate.pem(),
            token_key_pem: KeyPair::generate().unwrap().serialize_pem(),
        };
        let mut config = Config::default();
        change(&mut config);
        let storage = Faulty::default();
        let server = ApiServer::new(Arc::new(storage.clone()), config, &secrets).unwrap();
        server.bootstrap(&authority.certificate.pem()).await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let running = tokio::spawn({
            let (server, stop) = (server.clone(), stop.clone());
            async move { server.run(listener, mpsc::channel(1).1, stop).await }
        });
        let cluster = Self { server, storage, authority, address, stop, running };
        let mut admin = cluster.admin(Protocol::H1).await;
        while admin.send(ask("GET /readyz")).await.code != 200 {
            tokio::task::yield_now().await;
        }
        cluster
    }

    /// A connection of the administrator.
    pub(crate) async fn admin(&self, protocol: Protocol) -> Connection {
        self.connect(&Who::Admin, protocol).await
    }

    /// A connection.
    pub(crate) async fn connect(&self, who: &Who<'_>, protocol: Protocol) -> Connection {
        Connection::new(self.tls(who, protocol).await, protocol).await
    }

    /// A TLS stream, on which nothing has been said yet.
    pub(crate) async fn tls(&self, who: &Who<'_>, protocol: Protocol) -> Tls<tokio::net::TcpStream> {
        let tcp = tokio::net::TcpStream::connect(self.address).await.unwrap();
        self.over(tcp, who, protocol).await
    }

    /// TLS over any stream to the server.
    pub(crate) async fn over<S: apiserver::http::listener::Stream>(
        &self,
        stream: S,
        who: &Who<'_>,
        protocol: Protocol,
    ) -> Tls<S> {
        let connector = tokio_rustls::TlsConnector::from(Arc::new(self.client_config(who, protocol)));
        connector.connect("localhost".try_into().unwrap(), stream).await.unwrap()
    }

    fn client_config(&self, who: &Who<'_>, protocol: Protocol) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let (certificate, key) = match who {
            Who::Anonymous => return with_alpn(builder.with_no_client_auth(), protocol),
            Who::Admin => self.authority.leaf("admin", "system:masters"),
            Who::Of(authority, name) => authority.leaf(name, ""),
        };
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        with_alpn(builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap(), protocol)
    }
}

fn with_alpn(mut config: ClientConfig, protocol: Protocol) -> ClientConfig {
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    config
}
