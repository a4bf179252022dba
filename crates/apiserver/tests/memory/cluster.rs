//! API servers over a store in memory, and their administrator. Main function: [`cluster`].

use std::sync::Arc;

use apiserver::{ApiServer, Client, Config, Secrets};
use auth::User;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use store::{MemoryStorage, State};

/// A server with what bootstrap makes, and its administrator.
pub(crate) async fn cluster() -> (ApiServer, Client) {
    cluster_on(&MemoryStorage::new(State::default()), Config::default()).await
}

/// One of the servers of a store.
pub(crate) async fn cluster_on(storage: &MemoryStorage, config: Config) -> (ApiServer, Client) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let secrets = Secrets {
        serving_chain: vec![certificate.der().clone()],
        serving_key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        client_roots: vec![certificate.der().clone()],
        serving_ca_pem: certificate.pem(),
        token_key_pem: KeyPair::generate().unwrap().serialize_pem(),
    };
    let server = ApiServer::new(Arc::new(storage.clone()), config, &secrets).unwrap();
    server.bootstrap(&certificate.pem()).await.unwrap();
    let admin = server.client().of(User::new("admin", &["system:masters"]), "test");
    (server, admin)
}
