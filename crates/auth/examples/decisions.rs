//! Prints what an RBAC decision and a token verification cost. Run with `--profile fast` or `--release`.
#![allow(clippy::unwrap_used, reason = "a measurement, not a service")]

use std::time::{Duration, Instant};

use auth::{
    Attributes, Authorizer, User,
    bootstrap::desired,
    rbac::RbacIndex,
    token::{Reference, Signer, TokenCache, read_request},
};
use serde_json::json;

const ROUNDS: u32 = 20_000;

fn main() {
    let mut index = RbacIndex::new();
    for object in desired() {
        index.put(&object);
    }
    for number in 0..1000 {
        index.put(&json!({ "kind": "ClusterRoleBinding", "metadata": { "name": format!("b{number}") },
            "roleRef": { "kind": "ClusterRole", "name": "edit" },
            "subjects": [{ "kind": "User", "name": format!("u{number}") }] }));
    }
    let user = User::new("u500", &["system:authenticated"]);
    let allowed = Attributes::resource(&user, "update", "", "configmaps", "default", "x");
    println!("allowed: {:?}", time(|| assert!(index.authorize(&allowed).is_allowed())));
    let refused = Attributes::resource(&user, "update", "", "nodes", "", "x");
    println!("refused: {:?}", time(|| assert!(!index.authorize(&refused).is_allowed())));

    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let signer = Signer::from_pem(&key, "https://issuer").unwrap();
    let verifier = signer.verifier(&[], &["api"]).unwrap();
    let spec = read_request(&json!({}), &["api".to_owned()]);
    let account = Reference { name: "sa".to_owned(), uid: "u".to_owned() };
    let token = signer.mint(&spec.claims("default", account, None, "id", 0)).unwrap();
    let mut cache = TokenCache::default();
    println!("verify: {:?}", time(|| _ = verifier.verify(&token, &[], 1).unwrap()));
    println!("verify, remembered: {:?}", time(|| _ = cache.verify(&verifier, &token, &[], 1).unwrap()));
}

fn time(mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        run();
    }
    start.elapsed() / ROUNDS
}
