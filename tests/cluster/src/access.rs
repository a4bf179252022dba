//! The administrator's way into a cluster, as a kubeconfig describes it: [`Access`]. TLS with a client certificate.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use base64::Engine;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// Whom to trust, and who we are. Any server of the cluster takes it.
#[derive(Clone, Debug)]
pub struct Access {
    config: Arc<ClientConfig>,
    /// The server that the kubeconfig names.
    pub server: SocketAddr,
}

impl Access {
    /// What a kubeconfig with a client certificate says.
    ///
    /// # Errors
    /// Where a field is missing or is no PEM.
    pub fn new(kubeconfig: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(authority(kubeconfig)?)?;
        let chain = CertificateDer::pem_slice_iter(&decoded(kubeconfig, "client-certificate-data: ")?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| anyhow!("the client certificate is no PEM: {error:?}"))?;
        let key = PrivateKeyDer::from_pem_slice(&decoded(kubeconfig, "client-key-data: ")?);
        let key = key.map_err(|error| anyhow!("the client key is no PEM: {error:?}"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = Arc::new(config.with_root_certificates(roots).with_client_auth_cert(chain, key)?);
        let server = field(kubeconfig, "server: https://")?.parse().context("the server is no address and port")?;
        Ok(Self { config, server })
    }

    /// A TLS session with the server at this address.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub(crate) fn session(&self, server: IpAddr) -> Result<ClientConnection> {
        Ok(ClientConnection::new(self.config.clone(), server.into())?)
    }
}

/// The CA that a kubeconfig trusts.
pub(crate) fn authority(kubeconfig: &str) -> Result<CertificateDer<'static>> {
    let pem = decoded(kubeconfig, "certificate-authority-data: ")?;
    CertificateDer::from_pem_slice(&pem).map_err(|error| anyhow!("the CA is no PEM: {error:?}"))
}

fn decoded(kubeconfig: &str, name: &str) -> Result<Vec<u8>> {
    Ok(base64::engine::general_purpose::STANDARD.decode(field(kubeconfig, name)?)?)
}

fn field<'a>(kubeconfig: &'a str, name: &str) -> Result<&'a str> {
    let words =
        kubeconfig.lines().find_map(|line| line.trim().strip_prefix("- ").unwrap_or(line.trim()).strip_prefix(name));
    words.map(|word| word.trim().trim_matches('"')).with_context(|| format!("no {name:?} in the kubeconfig"))
}
