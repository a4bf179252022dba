//! Certificates say what their profile says, and nothing that a request says.

use std::net::IpAddr;

use rustls::{RootCertStore, pki_types::UnixTime, server::WebPkiClientVerifier};
use x509_parser::extensions::GeneralName;

use super::*;
use crate::NodeId;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn ca(kind: CaKind) -> Ca {
    Ca::create(kind, "c0ffee", now()).unwrap()
}

fn node() -> Profile {
    Profile::Node { cluster: "c0ffee".into(), id: NodeId(0xab), name: "n1".into() }
}

fn client(user: &str, groups: &[&str]) -> Profile {
    Profile::Client { user: user.into(), groups: groups.iter().map(|group| group.to_string()).collect() }
}

/// Subject, alternative names, and whether it may be a server and a client.
fn check(der: &[u8], subject: &str, names: &[&str], uses: (bool, bool)) {
    let certificate = parse_certificate(der).unwrap();
    assert_eq!(certificate.subject().to_string(), subject);
    let san = certificate.subject_alternative_name().unwrap();
    let shown = |name: &GeneralName<'_>| match name {
        GeneralName::IPAddress(bytes) => format!("{bytes:?}"),
        GeneralName::DNSName(name) | GeneralName::URI(name) => name.to_string(),
        other => format!("{other:?}"),
    };
    let shown: Vec<_> = san.map(|san| san.value.general_names.iter().map(shown).collect()).unwrap_or_default();
    assert_eq!(shown, names);
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert_eq!((usage.server_auth, usage.client_auth), uses);
    assert!(!certificate.is_ca());
}

#[test]
fn each_profile_says_what_it_should() {
    let server = Profile::Server {
        name: "api".into(),
        sans: vec![San::Dns("kubernetes".into()), San::Ip(IpAddr::from([10, 43, 0, 1]))],
    };
    let proxy = Profile::FrontProxy { user: "front-proxy-client".into() };
    for (kind, profile, subject, names, uses) in [
        (
            CaKind::Node,
            node(),
            "CN=system:node:n1, O=system:nodes",
            vec!["spiffe://c0ffee/node/00000000000000ab"],
            (true, true),
        ),
        (CaKind::Api, client("admin", &["system:masters"]), "CN=admin, O=system:masters", vec![], (false, true)),
        (CaKind::Api, server, "CN=api", vec!["kubernetes", "[10, 43, 0, 1]"], (true, false)),
        (CaKind::FrontProxy, proxy, "CN=front-proxy-client", vec![], (false, true)),
    ] {
        let ca = ca(kind);
        let issued = ca.issue(&profile, now(), YEAR).unwrap();
        check(&issued.certificate, subject, &names, uses);
        assert_eq!(key::of_certificate(&issued.certificate), Some(issued.key.fingerprint()));
        assert!(is_signed_by(&issued.certificate, ca.certificate()));
        assert!(!is_signed_by(&issued.certificate, self::ca(kind).certificate()), "another authority's");
    }
}

#[test]
fn authorities_do_not_sign_for_each_other() {
    for kind in [CaKind::Api, CaKind::FrontProxy] {
        assert!(matches!(ca(kind).issue(&node(), now(), YEAR), Err(CaError::WrongAuthority(_))));
    }
    assert!(matches!(ca(CaKind::Node).issue(&client("x", &[]), now(), YEAR), Err(CaError::WrongAuthority(_))));
}

#[test]
fn names_that_cannot_stand_are_refused() {
    let api = ca(CaKind::Api);
    for user in ["", "a b", "ümlaut", "line\nbreak", &"x".repeat(300)] {
        assert!(matches!(api.issue(&client(user, &[]), now(), YEAR), Err(CaError::Name(_))), "{user:?}");
    }
    assert!(matches!(api.issue(&client("x", &["a", "b"]), now(), YEAR), Err(CaError::Groups(2))));
}

#[test]
fn of_a_request_only_the_proven_key_counts() {
    let ca = ca(CaKind::Node);
    let key = KeyPairP256::generate().unwrap();
    let mut greedy = CertificateParams::new(vec!["kubernetes".to_string()]).unwrap();
    greedy.distinguished_name.push(DnType::OrganizationName, "system:masters");
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let request = greedy.serialize_request(key.inner()).unwrap().der().to_vec();
    let certificate = ca.issue_from_csr(&node(), &request, now(), YEAR).unwrap();
    let names = ["spiffe://c0ffee/node/00000000000000ab"];
    check(&certificate, "CN=system:node:n1, O=system:nodes", &names, (true, true));
    assert_eq!(key::of_certificate(&certificate), Some(key.fingerprint()));
    assert_eq!(csr_fingerprint(&request), Some(key.fingerprint()));
}

#[test]
fn a_request_that_its_key_did_not_sign_is_refused() {
    let ca = ca(CaKind::Node);
    let good = csr(&KeyPairP256::generate().unwrap()).unwrap();
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    for bad in [forged.as_slice(), &good[..good.len() - 1], b"", b"junk", &vec![0; CSR_LIMIT + 1]] {
        assert!(matches!(ca.issue_from_csr(&node(), bad, now(), YEAR), Err(CaError::Request(_))));
    }
}

#[test]
fn an_authority_reads_back_and_signs_on() {
    let first = ca(CaKind::Node);
    let again = Ca::from_bytes(&first.to_bytes()).unwrap();
    assert_eq!((again.kind(), again.certificate()), (first.kind(), first.certificate()));
    let issued = again.issue(&node(), now(), YEAR).unwrap();
    assert!(is_signed_by(&issued.certificate, first.certificate()));
    let bytes = first.to_bytes();
    for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        assert!(matches!(Ca::from_bytes(&bytes[..cut]), Err(CaError::Stored)));
    }
    assert!(!format!("{first:?}").contains("issuer"));
}

#[test]
fn a_stock_verifier_accepts_a_client_within_its_dates_only() {
    let api = ca(CaKind::Api);
    let issued = api.issue(&client("admin", &["system:masters"]), now(), YEAR).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(api.certificate().to_vec().into()).unwrap();
    let provider = rustls::crypto::ring::default_provider().into();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let at = |time: SystemTime| {
        let time = UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap());
        verifier.verify_client_cert(&issued.certificate.clone().into(), &[], time).is_ok()
    };
    assert!(at(now()) && at(now() - BACKDATE / 2));
    assert!(!at(now() + YEAR * 2) && !at(now() - BACKDATE * 2));
}
