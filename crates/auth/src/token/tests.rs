//! Minting and verifying round trips, and every reason to refuse.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::json;

use super::*;
use crate::user::{AUTHENTICATED, CREDENTIAL_ID};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const NOW: i64 = 1_800_000_000;

fn signer() -> Signer {
    let pem = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    Signer::from_pem(&pem, ISSUER).unwrap()
}

fn named(name: &str, uid: &str) -> Reference {
    Reference { name: name.to_owned(), uid: uid.to_owned() }
}

fn claims() -> Claims {
    let request =
        json!({ "spec": { "boundObjectRef": { "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "pu" } } });
    let spec = read_request(&request, &["api".to_owned()]);
    spec.claims("ns", named("sa", "su"), Some(named("n1", "nu")), "id-1", NOW)
}

#[test]
fn a_minted_token_speaks_for_its_service_account() {
    let signer = signer();
    let verifier = signer.verifier(&[], &["api"]).unwrap();
    let token = signer.mint(&claims()).unwrap();
    let user = verifier.verify(&token, &[], NOW + 10).unwrap().user();
    assert_eq!(user.name, "system:serviceaccount:ns:sa");
    assert_eq!(user.uid, "su");
    assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:ns", AUTHENTICATED]);
    assert_eq!(user.extra["authentication.kubernetes.io/pod-uid"], ["pu"]);
    assert_eq!(user.extra["authentication.kubernetes.io/node-name"], ["n1"]);
    assert_eq!(user.extra[CREDENTIAL_ID], ["JTI=id-1"]);
}

#[test]
fn refuses_tokens_for_a_reason() {
    let (signer, other) = (signer(), signer());
    let verifier = signer.verifier(&[], &["api"]).unwrap();
    let check = |token: &str, now: i64, expect: VerifyError| {
        assert_eq!(verifier.verify(token, &[], now).unwrap_err(), expect);
    };
    let good = signer.mint(&claims()).unwrap();
    check(&good, NOW + 3600 + 61, VerifyError::Expired);
    check(&good, NOW - 120, VerifyError::NotYet);
    check("abc", NOW, VerifyError::Other);
    check("a.b.c", NOW, VerifyError::Other);
    check(&other.mint(&claims()).unwrap(), NOW, VerifyError::Invalid);
    let mut forged = good.clone();
    forged.pop();
    forged.push(if good.ends_with('A') { 'Q' } else { 'A' });
    check(&forged, NOW, VerifyError::Invalid);
    let elsewhere = Claims { aud: vec!["vault".to_owned()], ..claims() };
    let expect = VerifyError::Audience { got: vec!["vault".to_owned()], wanted: vec!["api".to_owned()] };
    check(&signer.mint(&elsewhere).unwrap(), NOW, expect);
    let liar = Claims { sub: "system:serviceaccount:kube-system:root".to_owned(), ..claims() };
    check(&signer.mint(&liar).unwrap(), NOW, VerifyError::Invalid);
}

#[test]
fn an_older_key_still_verifies() {
    let (old, new) = (signer(), signer());
    let verifier = new.verifier(&[&old], &["api"]).unwrap();
    assert!(verifier.verify(&old.mint(&claims()).unwrap(), &[], NOW).is_ok());
    assert_eq!(verifier.jwks()["keys"].as_array().unwrap().len(), 2);
    assert_eq!(verifier.jwks()["keys"][0]["crv"], "P-256");
}

#[test]
fn the_cache_remembers_signatures_but_not_times() {
    let signer = signer();
    let verifier = signer.verifier(&[], &["api"]).unwrap();
    let token = signer.mint(&claims()).unwrap();
    let mut cache = TokenCache::default();
    let first = cache.verify(&verifier, &token, &[], NOW).unwrap();
    let second = cache.verify(&verifier, &token, &[], NOW).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    assert_eq!(cache.verify(&verifier, &token, &[], NOW + 9999).unwrap_err(), VerifyError::Expired);
}

struct World(Vec<(&'static str, &'static str)>);

impl Lookup for World {
    fn uid(&self, plural: &str, namespace: &str, name: &str) -> Option<String> {
        let key = format!("{plural}/{namespace}/{name}");
        self.0.iter().find(|(own, _)| *own == key).map(|(_, uid)| (*uid).to_owned())
    }
}

#[test]
fn a_token_ends_with_what_it_is_bound_to() {
    let check = |world: &[(&'static str, &'static str)], expect: Option<&str>| {
        let got = check_bound(&claims(), &World(world.to_vec())).err().map(|error| error.to_string());
        assert_eq!(got.as_deref(), expect);
    };
    let account = ("serviceaccounts/ns/sa", "su");
    check(&[account, ("pods/ns/p", "pu")], None);
    check(&[account], Some(r#"pod "p" that the token is bound to was not found"#));
    check(&[], Some(r#"service account "sa" that the token is bound to was not found"#));
    let replaced = r#"pod "p" is not the one that the token is bound to: its UID (x) does not match the claim (pu)"#;
    check(&[account, ("pods/ns/p", "x")], Some(replaced));
}

#[test]
fn token_requests_are_bounded() {
    let check = |spec: serde_json::Value, expect: usize| {
        let mut errors = api::field::Errors::new();
        validate_request(&json!({ "spec": spec }), &mut errors);
        assert_eq!(errors.0.len(), expect, "{spec}");
    };
    check(json!({}), 0);
    check(json!({ "expirationSeconds": 599 }), 1);
    check(json!({ "expirationSeconds": 1_i64 << 33 }), 1);
    check(json!({ "boundObjectRef": { "apiVersion": "v1", "kind": "Node", "name": "n" } }), 0);
    check(json!({ "boundObjectRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "n" } }), 1);
}
