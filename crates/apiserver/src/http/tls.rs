//! TLS towards clients: TLS 1.2 and 1.3, HTTP/2 or 1.1, a client certificate if the client has one.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::CertificateDer,
    server::{VerifierBuilderError, WebPkiClientVerifier},
};

use crate::secrets::Secrets;

/// Protocols offered, best first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why a TLS configuration could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Root number `.0` is no certificate.
    #[error("client root {0} is not a certificate")]
    Root(usize, #[source] rustls::Error),
    /// There is no root to check clients against.
    #[error("the roots of client certificates are not usable")]
    Roots(#[from] VerifierBuilderError),
    /// Certificate and key do not belong together, say.
    #[error("the serving certificate is not usable")]
    Serving(#[from] rustls::Error),
}

/// Builds the server side from the secrets.
///
/// # Errors
/// See [`TlsError`].
pub fn server_config(secrets: &Secrets) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), clock::for_tls())
        .with_safe_default_protocol_versions()?;
    let builder = match secrets.client_roots.is_empty() {
        true => builder.with_no_client_auth(),
        false => {
            let roots = Arc::new(roots(&secrets.client_roots)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).allow_unauthenticated();
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let mut config = builder.with_single_cert(secrets.serving_chain.clone(), secrets.serving_key.clone_key())?;
    config.alpn_protocols = ALPN.iter().map(|p| p.to_vec()).collect();
    Ok(config)
}

fn roots(certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for (i, certificate) in certificates.iter().enumerate() {
        store.add(certificate.clone()).map_err(|e| TlsError::Root(i, e))?;
    }
    Ok(store)
}
