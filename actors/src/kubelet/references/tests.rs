//! What pods refer to, while no voter answers; and pull secrets.

use net::seal::SealKey;
use serde_json::json;

use super::*;
use crate::node_api::testing::Line;

/// A pod of this uid with the claim `c` and the ConfigMap `m`.
fn pod(uid: &str) -> Value {
    let container = json!({ "name": "c", "image": "i", "envFrom": [{ "configMapRef": { "name": "m" } }] });
    let volume = json!({ "name": "v", "persistentVolumeClaim": { "claimName": "c" } });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "p", "namespace": "n", "uid": uid, "resourceVersion": "7" },
        "spec": { "containers": [container], "volumes": [volume] },
    })
}

#[tokio::test]
async fn a_new_pod_waits_for_its_own_claims_and_an_old_one_keeps_those_last_known() {
    let dir = tempfile::tempdir().unwrap();
    let last_known = Arc::new(PodStore::open(dir.path().join("pods.sealed"), SealKey::from_bytes([1; 32])));
    let object = |kind: &str, more: Value| {
        let mut object = json!({ "kind": kind, "metadata": { "name": "c", "namespace": "n" } });
        api::patch::merge(&mut object, more.to_string().as_bytes()).unwrap();
        Arc::new(object)
    };
    let known = vec![
        object("PersistentVolumeClaim", json!({ "spec": { "volumeName": "w" } })),
        object("PersistentVolume", json!({ "metadata": { "name": "w", "namespace": null } })),
        object("ConfigMap", json!({ "metadata": { "name": "m" } })),
    ];
    last_known.save(vec![Arc::new(pod("old"))], known).unwrap();
    let silent = Line::new(vec![None]).api();
    let services = Mirror::start(silent.clone(), &api::kinds::service::SERVICE, "", &[]);
    let watched = Watched::new(silent, services, last_known);
    let told = |uid: &str| {
        let found = watched.of(&serde_json::from_value(pod(uid)).unwrap());
        [found.config_maps.get("m"), found.claims.get("c"), found.volumes.get("w")]
            .map(|one| one.map(|one| matches!(one, Reference::Found(_))))
    };
    assert_eq!(told("old"), [Some(true), Some(true), Some(true)]);
    assert_eq!(told("new"), [Some(true), Some(false), None], "another claim may have been of that name");
}

#[test]
fn pull_secrets_of_both_types_are_read() {
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let auths = json!({ "ghcr.io": { "username": "you", "password": "p" } });
    let whole = encode(&json!({ "auths": auths }).to_string());
    let config = json!({ "type": "kubernetes.io/dockerconfigjson", "data": { ".dockerconfigjson": whole } });
    let legacy = json!({ "type": "kubernetes.io/dockercfg", "data": { ".dockercfg": encode(&auths.to_string()) } });
    for secret in [config, legacy] {
        let mut known = PullSecrets::default();
        add(&mut known, &secret).unwrap();
        let found: Vec<String> = known.find("ghcr.io/a/b").into_iter().map(|one| one.username).collect();
        assert_eq!(found, ["you"]);
        assert!(known.find("quay.io/a/b").is_empty());
    }
    assert!(add(&mut PullSecrets::default(), &json!({ "data": { ".dockerconfigjson": "!" } })).is_err());
}
