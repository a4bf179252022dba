//! Keys and trust roots the API server holds; never shown.

use std::fmt;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What the API server proves itself with and trusts. `Debug` shows no key.
pub struct Secrets {
    /// Serving certificate, leaf first.
    pub serving_chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub serving_key: PrivateKeyDer<'static>,
    /// Roots of client certificates (API client CA, node CA).
    pub client_roots: Vec<CertificateDer<'static>>,
    /// The CA that signed the serving certificate, in PEM: what clients pin, published to them.
    pub serving_ca_pem: String,
    /// Private key that signs ServiceAccount tokens, PKCS#8 PEM.
    pub token_key_pem: String,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("serving_chain", &self.serving_chain.len())
            .field("client_roots", &self.client_roots.len())
            .finish_non_exhaustive()
    }
}
