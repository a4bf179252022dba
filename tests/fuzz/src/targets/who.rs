//! Who somebody says he is.

use std::sync::OnceLock;

use auth::{
    User,
    impersonate::Impersonation,
    token::{Signer, Verifier},
};
use rcgen::{CertificateParams, DnType, KeyPair};

use super::{text, texts};
use crate::Target;

/// A client's certificate.
pub(super) const CERTIFICATE: Target = Target {
    name: "client certificate",
    run: |bytes| {
        let _ = User::from_certificate(bytes, "id");
        let _ = net::fuzz::certificate(bytes);
    },
    seeds: || {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, "system:node:a");
        params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        vec![params.self_signed(&key).expect("a certificate").der().to_vec()]
    },
};

fn verifier() -> &'static Verifier {
    static VERIFIER: OnceLock<Verifier> = OnceLock::new();
    VERIFIER.get_or_init(|| {
        let pem = KeyPair::generate().expect("a key").serialize_pem();
        let signer = Signer::from_pem(&pem, "https://mesh.test").expect("a signer");
        signer.verifier(&[], &["api"]).expect("a verifier")
    })
}

/// A bearer token. None is signed by the key, so that none may be found good.
pub(super) const TOKEN: Target = Target {
    name: "bearer token",
    run: |bytes| assert!(verifier().verify(&text(bytes), &[], 0).is_err(), "a forged token was found good"),
    seeds: || {
        texts(&[
            "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.eyJhdWQiOlsiYXBpIl0sImV4cCI6MSwiaWF0IjowLCJpc3MiOiJodHRwczovL21lc2gudGVzdCIsIm5iZiI6MCwic3ViIjoieCJ9.AAAA",
            "eyJhbGciOiJub25lIn0.e30.",
        ])
    },
};

/// Headers that ask to act as another: a line each.
pub(super) const IMPERSONATION: Target = Target {
    name: "impersonation headers",
    run: |bytes| {
        let text = text(bytes);
        let _ = Impersonation::from_headers(text.lines().filter_map(|line| line.split_once(':')));
    },
    seeds: || {
        texts(&[
            "impersonate-user:system:serviceaccount:a:b\nimpersonate-group:system:masters\nimpersonate-extra-x%2Fy:1",
            "impersonate-uid:1",
        ])
    },
};
