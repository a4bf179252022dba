//! Claims, volumes and classes over memory, through the in-process client: what the cluster adds, what it refuses.

use api::{
    kinds::{
        Kind, limit_range::LIMIT_RANGE, persistent_volume::PERSISTENT_VOLUME,
        persistent_volume_claim::PERSISTENT_VOLUME_CLAIM, resource_quota::RESOURCE_QUOTA, storage_class::STORAGE_CLASS,
    },
    meta,
};
use apiserver::Client;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::cluster::cluster;

const CLAIM: &Kind = &PERSISTENT_VOLUME_CLAIM;

async fn class(admin: &Client, name: &str, default: bool, grows: bool) {
    let annotations = json!({ "storageclass.kubernetes.io/is-default-class": default.to_string() });
    let class = json!({
        "metadata": { "name": name, "annotations": annotations }, "provisioner": "example.com/p",
        "allowVolumeExpansion": grows,
    });
    admin.create(&STORAGE_CLASS, "", &class).await.unwrap();
}

fn claim(name: &str, class: Value) -> Value {
    let mut claim = json!({
        "metadata": { "name": name },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    if !class.is_null() {
        claim["spec"]["storageClassName"] = class;
    }
    claim
}

/// As its controller leaves it.
async fn bind(admin: &Client, mut claim: Value) -> Value {
    claim["spec"]["volumeName"] = "v".into();
    let mut claim = admin.update(CLAIM, "", &claim).await.unwrap();
    claim["status"] = json!({ "phase": "Bound", "capacity": { "storage": "1Gi" } });
    admin.update(CLAIM, "status", &claim).await.unwrap()
}

#[tokio::test]
async fn a_claim_that_names_no_class_is_of_the_default_one() {
    let (_server, admin) = cluster().await;
    assert_eq!(
        admin.create(CLAIM, "default", &claim("first", Value::Null)).await.unwrap()["spec"]["storageClassName"],
        "local"
    );
    admin.delete(&STORAGE_CLASS, "", "local", &Value::Null).await.unwrap();
    let without = admin.create(CLAIM, "default", &claim("before", Value::Null)).await.unwrap();
    assert_eq!(without["spec"].get("storageClassName"), None);
    class(&admin, "other", false, false).await;
    class(&admin, "main", true, false).await;
    let given = async |name: &str, class: Value| {
        let made = admin.create(CLAIM, "default", &claim(name, class)).await.unwrap();
        made["spec"]["storageClassName"].clone()
    };
    assert_eq!(given("open", Value::Null).await, "main");
    assert_eq!(given("own", "other".into()).await, "other");
    assert_eq!(given("none", "".into()).await, "");
    let mut annotated = claim("old", Value::Null);
    annotated["metadata"]["annotations"] = json!({ "volume.beta.kubernetes.io/storage-class": "other" });
    let annotated = admin.create(CLAIM, "default", &annotated).await.unwrap();
    assert_eq!(annotated["spec"].get("storageClassName"), None);
}

#[tokio::test]
async fn what_may_be_in_use_is_held_from_the_beginning() {
    let (_server, admin) = cluster().await;
    let made = admin.create(CLAIM, "default", &claim("c", Value::Null)).await.unwrap();
    assert_eq!(meta::finalizers(&made).collect::<Vec<_>>(), ["kubernetes.io/pvc-protection"]);
    assert_eq!(made["status"], json!({ "phase": "Pending" }));
    let owned = made["metadata"]["managedFields"].to_string();
    assert!(!owned.contains("pvc-protection"), "the cluster's own finalizer is nobody's: {owned}");
    let mut volume = json!({
        "metadata": { "name": "v", "finalizers": ["example.com/a"] },
        "spec": { "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "hostPath": { "path": "/d" } },
    });
    let mut made = admin.create(&PERSISTENT_VOLUME, "", &volume).await.unwrap();
    assert_eq!(meta::finalizers(&made).collect::<Vec<_>>(), ["example.com/a", "kubernetes.io/pv-protection"]);
    assert!(made["status"]["lastPhaseTransitionTime"].is_string());
    made["status"] = json!({ "phase": "Available" });
    let available = admin.update(&PERSISTENT_VOLUME, "status", &made).await.unwrap();
    assert_eq!(available["status"]["phase"], "Available");
    assert!(available["status"]["lastPhaseTransitionTime"].is_string());
    volume["metadata"]["name"] = "w".into();
    volume["spec"] = json!({});
    let error = admin.create(&PERSISTENT_VOLUME, "", &volume).await.unwrap_err();
    assert!(error.code() == 422 && error.to_string().contains("must specify a volume type"), "{error}");
}

#[tokio::test]
async fn a_bound_claim_grows_where_its_class_lets_it() {
    let (_server, admin) = cluster().await;
    class(&admin, "fixed", false, false).await;
    class(&admin, "growing", false, true).await;
    let grow = async |name: &str, class: &str| {
        let made = admin.create(CLAIM, "default", &claim(name, class.into())).await.unwrap();
        let mut bound = bind(&admin, made).await;
        bound["spec"]["resources"]["requests"]["storage"] = "2Gi".into();
        admin.update(CLAIM, "", &bound).await
    };
    assert_eq!(grow("a", "growing").await.unwrap()["spec"]["resources"]["requests"]["storage"], "2Gi");
    let error = grow("b", "fixed").await.unwrap_err();
    let words = "persistentvolumeclaims \"b\" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
    assert_eq!((error.code(), error.to_string().as_str()), (403, words));
    let error = grow("c", "").await.unwrap_err();
    assert_eq!(error.code(), 403, "{error}");
}

#[tokio::test]
async fn claims_keep_to_ranges() {
    let (_server, admin) = cluster().await;
    class(&admin, "growing", false, true).await;
    let item = json!({ "type": "PersistentVolumeClaim", "min": { "storage": "1Gi" }, "max": { "storage": "2Gi" } });
    let range = json!({ "metadata": { "name": "r" }, "spec": { "limits": [item] } });
    admin.create(&LIMIT_RANGE, "default", &range).await.unwrap();
    let made = admin.create(CLAIM, "default", &claim("a", "growing".into())).await.unwrap();
    let mut large = claim("b", "growing".into());
    large["spec"]["resources"]["requests"]["storage"] = "3Gi".into();
    let error = admin.create(CLAIM, "default", &large).await.unwrap_err();
    let words = "persistentvolumeclaims \"b\" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi";
    assert_eq!((error.code(), error.to_string().as_str()), (403, words));
    let mut bound = bind(&admin, made).await;
    bound["spec"]["resources"]["requests"]["storage"] = "3Gi".into();
    let error = admin.update(CLAIM, "", &bound).await.unwrap_err();
    assert!(error.code() == 403 && error.to_string().contains("but request is 3Gi"), "{error}");
}

#[tokio::test]
async fn no_number_of_claims_at_once_gets_past_a_quota() {
    const OF_CLASS: &str = "growing.storageclass.storage.k8s.io/requests.storage";
    let (_server, admin) = cluster().await;
    class(&admin, "growing", true, true).await;
    let hard = json!({ "persistentvolumeclaims": "9", "requests.storage": "5Gi", OF_CLASS: "5Gi" });
    let quota = json!({ "metadata": { "name": "q" }, "spec": { "hard": hard } });
    let mut quota = admin.create(&RESOURCE_QUOTA, "default", &quota).await.unwrap();
    let none = json!({ "persistentvolumeclaims": "0", "requests.storage": "0", OF_CLASS: "0" });
    quota["status"] = json!({ "hard": hard, "used": none });
    admin.update(&RESOURCE_QUOTA, "status", &quota).await.unwrap();
    let claims: Vec<Value> = (0..20).map(|number| claim(&format!("c{number}"), Value::Null)).collect();
    let made = join_all(claims.iter().map(|claim| admin.create(CLAIM, "default", claim))).await;
    let (fine, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
    let used = async || admin.get(&RESOURCE_QUOTA, "default", "q").await.unwrap()["status"]["used"].clone();
    let full = json!({ "persistentvolumeclaims": "5", "requests.storage": "5Gi", OF_CLASS: "5Gi" });
    assert_eq!((fine.len(), used().await), (5, full));
    let words = format!(
        "exceeded quota: q, requested: {OF_CLASS}=1Gi,requests.storage=1Gi, used: {OF_CLASS}=5Gi,requests.storage=5Gi"
    );
    for error in refused.into_iter().map(Result::unwrap_err) {
        assert!(error.code() == 403 && error.to_string().contains(&words), "{error}");
    }
    let mut bound = bind(&admin, fine.into_iter().next().unwrap().unwrap()).await;
    bound["spec"]["resources"]["requests"]["storage"] = "2Gi".into();
    let error = admin.update(CLAIM, "", &bound).await.unwrap_err();
    assert!(error.code() == 403 && error.to_string().contains("exceeded quota: q"), "{error}");
}
