//! TLS 1.3 between nodes: the peer is its key, dates and names are not looked at (RFC 8446 §4.4.3 proves possession).
//!
//! A dialer expects one pinned key, or, when joining, an authority of one pinned key. A server lets every key finish
//! the handshake and judges it afterwards by the peer table. No session is resumed: each connection is judged anew.

use std::{
    any::Any,
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use rustls::{
    CertificateError, CipherSuite, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
    client::{
        ResolvesClientCert, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};

use crate::{KeyFingerprint, KeyPairP256, Protocol, ca::is_signed_by, key, token::CaHash};

/// Sent as SNI, which TLS wants; no certificate is checked against it.
pub(crate) const SERVER_NAME: &str = "node.mesh.internal";

/// The protocols by their ALPN. A protocol's next version is one more row above its present one.
const ALPN: &[(Protocol, &[u8])] = &[
    (Protocol::Join, b"mesh/join/1"),
    (Protocol::Raft, b"mesh/raft/1"),
    (Protocol::Rpc, b"mesh/rpc/1"),
    (Protocol::Gossip, b"mesh/gossip/1"),
    (Protocol::Pipe, b"mesh/pipe/1"),
    (Protocol::Pods, b"mesh/pods/1"),
];

/// What the control endpoint offers.
pub(crate) const CONTROL: &[Protocol] =
    &[Protocol::Join, Protocol::Raft, Protocol::Rpc, Protocol::Gossip, Protocol::Pipe];

/// What the pods' endpoint offers.
pub(crate) const PODS: &[Protocol] = &[Protocol::Pods];

/// No TLS configuration could be made.
#[derive(Debug, thiserror::Error)]
#[error("the node's certificate and key make no TLS configuration")]
pub struct TlsError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl TlsError {
    fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

/// What this node shows of itself; the chain may be replaced while connections stand.
#[derive(Debug)]
pub(crate) struct Credentials(ArcSwap<CertifiedKey>);

impl Credentials {
    /// A chain in DER, leaf first, and the leaf's key.
    pub(crate) fn new(chain: Vec<Vec<u8>>, key: &KeyPairP256) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(certified(chain, key)?))))
    }

    /// Shows another chain from the next handshake on.
    pub(crate) fn replace(&self, chain: Vec<Vec<u8>>, key: &KeyPairP256) -> Result<(), TlsError> {
        self.0.store(Arc::new(certified(chain, key)?));
        Ok(())
    }
}

fn certified(chain: Vec<Vec<u8>>, key: &KeyPairP256) -> Result<CertifiedKey, TlsError> {
    let key = PrivateKeyDer::Pkcs8(key.to_pkcs8().into());
    let key = ring::sign::any_ecdsa_type(&key).map_err(TlsError::new)?;
    let certified = CertifiedKey::new(chain.into_iter().map(CertificateDer::from).collect(), key);
    certified.keys_match().map_err(TlsError::new)?;
    Ok(certified)
}

impl ResolvesServerCert for Credentials {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl ResolvesClientCert for Credentials {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Whom a dialer expects.
#[derive(Clone, Debug)]
pub(crate) enum Expect {
    /// The member with this key.
    Key(KeyFingerprint),
    /// A node certified by the authority of this key hash; what was found instead is left in the cell.
    Authority(CaHash, Arc<Mutex<Option<CaHash>>>),
}

impl Expect {
    fn is_met(&self, leaf: &[u8], others: &[CertificateDer<'_>]) -> bool {
        match self {
            Self::Key(key) => key::of_certificate(leaf) == Some(*key),
            Self::Authority(hash, found) => {
                let authority = others.first().map_or(&[][..], |der| der.as_ref());
                let shown = key::of_certificate(authority).map(|key| CaHash::of(&key));
                *found.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = shown;
                shown == Some(*hash) && is_signed_by(leaf, authority)
            }
        }
    }
}

/// Checks a server against [`Expect`].
#[derive(Debug)]
struct ServerCheck(Expect, Arc<CryptoProvider>);

/// Lets every client that possesses its key finish the handshake.
#[derive(Debug)]
struct ClientCheck(Arc<CryptoProvider>);

impl ServerCertVerifier for ServerCheck {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.is_met(leaf, others) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC has no TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.1.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for ClientCheck {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match key::of_certificate(leaf) {
            Some(_) => Ok(ClientCertVerified::assertion()),
            None => Err(CertificateError::BadEncoding.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC has no TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a dialer brings to one handshake.
pub(crate) fn client(
    credentials: Arc<Credentials>,
    protocol: Protocol,
    expect: Expect,
) -> Result<QuicClientConfig, TlsError> {
    let mut provider = ring::default_provider();
    if protocol == Protocol::Pods {
        // AES-256 would cost a fifth of the throughput. The server goes by our order.
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    }
    let provider = Arc::new(provider);
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::new)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ServerCheck(expect, provider)))
        .with_client_cert_resolver(credentials);
    config.resumption = Resumption::disabled();
    config.alpn_protocols =
        ALPN.iter().filter(|(known, _)| *known == protocol).map(|(_, alpn)| alpn.to_vec()).collect();
    QuicClientConfig::try_from(config).map_err(TlsError::new)
}

/// What the accepting side brings to all handshakes, which are for one of these protocols.
pub(crate) fn server(credentials: Arc<Credentials>, offered: &[Protocol]) -> Result<QuicServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::new)?
        .with_client_cert_verifier(Arc::new(ClientCheck(provider)))
        .with_cert_resolver(credentials);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols =
        ALPN.iter().filter(|(known, _)| offered.contains(known)).map(|(_, alpn)| alpn.to_vec()).collect();
    QuicServerConfig::try_from(config).map_err(TlsError::new)
}

/// The protocol agreed upon in a finished handshake.
pub(crate) fn agreed_protocol(handshake: Option<Box<dyn Any>>) -> Option<Protocol> {
    let agreed = handshake?.downcast::<HandshakeData>().ok()?.protocol?;
    ALPN.iter().find(|(_, alpn)| *alpn == agreed).map(|(protocol, _)| *protocol)
}

/// The key that the peer of a finished handshake proved to hold.
pub(crate) fn proven_key(identity: Option<Box<dyn Any>>) -> Option<KeyFingerprint> {
    let chain = identity?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    key::of_certificate(chain.first()?)
}
