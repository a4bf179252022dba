//! The cluster's secrets: made at founding, stored sealed by the cluster key, opened by voters. Main type: [`Secrets`].

use std::time::{Duration, SystemTime};

use membership::{NodeId, keys};
use net::ca::{Ca, CaError, CaKind, Profile, San};
use net::seal::{OpenError, SealKey};
use net::{KeyError, KeyPairP256};
use store::View;

/// How long a certificate we issue to API clients and servers lives. Servers' are issued anew at each start and at half of it.
pub(crate) const CERTIFICATE_VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);

/// The user of `mesh kubeconfig`, as kubeadm names it.
const ADMIN_USER: &str = "kubernetes-admin";

/// The group that RBAC lets do everything.
const ADMIN_GROUP: &str = "system:masters";

/// Separate keys for separate trust (**fixed early**).
#[derive(Debug)]
pub struct Secrets {
    /// Signs certificates between nodes.
    pub node: Ca,
    /// Signs API servers' and their clients' certificates.
    pub api: Ca,
    /// Signs the front proxy's certificate.
    pub front_proxy: Ca,
    /// Signs ServiceAccount tokens.
    pub tokens: KeyPairP256,
}

/// Why the secrets are not at hand.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// Not in the store.
    #[error("the cluster's secret {0:?} is missing")]
    Missing(&'static str),
    /// Another cluster key, or damage.
    #[error(transparent)]
    Sealed(#[from] OpenError),
    /// Not what it should be.
    #[error(transparent)]
    Authority(#[from] CaError),
    /// Not what it should be.
    #[error(transparent)]
    Key(#[from] KeyError),
}

const NODE: &str = "node-ca";
const API: &str = "api-ca";
const FRONT_PROXY: &str = "front-proxy-ca";
const TOKENS: &str = "service-account-key";

impl Secrets {
    /// Makes them for a new cluster.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn create(cluster: &str, now: SystemTime) -> Result<Self, SecretsError> {
        Ok(Self {
            node: Ca::create(CaKind::Node, cluster, now)?,
            api: Ca::create(CaKind::Api, cluster, now)?,
            front_proxy: Ca::create(CaKind::FrontProxy, cluster, now)?,
            tokens: KeyPairP256::generate()?,
        })
    }

    /// As they are stored: name and sealed bytes. The context is the key they are stored under.
    pub fn seal(&self, key: &SealKey) -> Vec<(&'static str, Vec<u8>)> {
        let plain = [
            (NODE, self.node.to_bytes()),
            (API, self.api.to_bytes()),
            (FRONT_PROXY, self.front_proxy.to_bytes()),
            (TOKENS, self.tokens.to_pkcs8()),
        ];
        let seal =
            |(name, bytes): (&'static str, Vec<u8>)| (name, key.seal(&keys::secret(name), &bytes, &mut rand::rng()));
        plain.into_iter().map(seal).collect()
    }

    /// Opens what the store holds.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub fn open(view: &View, key: &SealKey) -> Result<Self, SecretsError> {
        let open = |name: &'static str| {
            let at = keys::secret(name);
            let record = view.get(&at).ok_or(SecretsError::Missing(name))?;
            Ok::<_, SecretsError>(key.open(&at, &record.body.head)?)
        };
        Ok(Self {
            node: Ca::from_bytes(&open(NODE)?)?,
            api: Ca::from_bytes(&open(API)?)?,
            front_proxy: Ca::from_bytes(&open(FRONT_PROXY)?)?,
            tokens: KeyPairP256::from_pkcs8(&open(TOKENS)?)?,
        })
    }

    /// What one API server proves itself with and trusts.
    ///
    /// # Errors
    /// [`SecretsError::Authority`].
    pub fn for_api_server(
        &self,
        name: &str,
        sans: Vec<San>,
        now: SystemTime,
    ) -> Result<apiserver::Secrets, SecretsError> {
        let profile = Profile::Server { name: name.into(), sans };
        let issued = self.api.issue(&profile, now, CERTIFICATE_VALIDITY)?;
        let authority = self.api.certificate();
        Ok(apiserver::Secrets {
            serving_chain: vec![issued.certificate.into(), authority.to_vec().into()],
            serving_key: rustls_pki_types::PrivatePkcs8KeyDer::from(issued.key.to_pkcs8()).into(),
            client_roots: vec![authority.to_vec().into()],
            serving_ca_pem: self.api_authority_pem(),
            token_key_pem: self.tokens.to_pem(),
        })
    }

    /// The authority of API servers and their clients, in PEM.
    pub fn api_authority_pem(&self) -> String {
        pem("CERTIFICATE", self.api.certificate())
    }

    /// A kubeconfig for the cluster's administrator, naming this server (`https://host:port`).
    ///
    /// # Errors
    /// [`SecretsError::Authority`].
    pub fn kubeconfig(&self, server: &str, now: SystemTime) -> Result<String, SecretsError> {
        let profile = Profile::Client { user: ADMIN_USER.into(), groups: vec![ADMIN_GROUP.into()] };
        let issued = self.api.issue(&profile, now, CERTIFICATE_VALIDITY)?;
        let authority = base64(&pem("CERTIFICATE", self.api.certificate()));
        let certificate = base64(&pem("CERTIFICATE", &issued.certificate));
        let key = base64(&issued.key.to_pem());
        Ok(format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: mesh\n  cluster:\n    server: {server}\n    \
             certificate-authority-data: {authority}\nusers:\n- name: admin@mesh\n  user:\n    \
             client-certificate-data: {certificate}\n    client-key-data: {key}\ncontexts:\n- name: mesh\n  context:\n    \
             cluster: mesh\n    user: admin@mesh\ncurrent-context: mesh\n"
        ))
    }

    /// A member's certificate, for the key of its request.
    ///
    /// # Errors
    /// [`SecretsError::Authority`].
    pub fn node_certificate(&self, cluster: &str, id: NodeId, name: &str, csr: &[u8]) -> Result<Vec<u8>, SecretsError> {
        let profile = Profile::Node { cluster: cluster.into(), id, name: name.into() };
        Ok(self.node.issue_from_csr(&profile, csr, clock::system(), net::ca::CA_VALIDITY)?)
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// RFC 7468, lines of 64.
fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_open_with_the_cluster_key_and_with_no_other() {
        let secrets = Secrets::create("c", SystemTime::now()).unwrap();
        let (key, other) = (SealKey::from_bytes([1; 32]), SealKey::from_bytes([2; 32]));
        let sealed = secrets.seal(&key);
        let (name, bytes) = &sealed[0];
        assert!(key.open(&keys::secret(name), bytes).is_ok());
        assert!(other.open(&keys::secret(name), bytes).is_err());
        assert!(key.open(&keys::secret(sealed[1].0), bytes).is_err(), "sealed bytes cannot be swapped");
    }

    #[test]
    fn a_kubeconfig_holds_what_kubectl_needs() {
        let secrets = Secrets::create("c", SystemTime::now()).unwrap();
        let text = secrets.kubeconfig("https://127.0.0.1:6443", SystemTime::now()).unwrap();
        for part in ["server: https://127.0.0.1:6443", "client-key-data: LS0tLS1CRUdJTiB", "current-context: mesh"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}
