//! A client without any credentials, which kubectl never is: [`anonymous`]. HTTP/1.1 over TLS, trusting the cluster's CA.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::access::authority;
use crate::http::{Reply, exchange};

/// How long each read and write may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Sends one request as nobody. `kubeconfig` is where the CA is taken from; a server that it does not vouch for is an error.
///
/// # Errors
/// Where the connection fails, the server's certificate is not the cluster's, or the answer is no HTTP.
pub fn anonymous(kubeconfig: &str, to: SocketAddr, method: &str, path: &str, body: &[u8]) -> Result<Reply> {
    let mut roots = RootCertStore::empty();
    roots.add(authority(kubeconfig)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), to.ip().into())?;
    let stream = TcpStream::connect_timeout(&to, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    exchange(&mut StreamOwned::new(connection, stream), to, method, path, body)
}
