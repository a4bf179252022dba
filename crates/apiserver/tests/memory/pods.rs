//! Pods over memory, through the in-process client: how they come, are bound, run by a node's kubelet, and end.

use api::kinds::{
    config_map::CONFIG_MAP,
    node::NODE,
    pod::{POD, binding::BINDING},
    priority_class::PRIORITY_CLASS,
    secret::SECRET,
    service_account::SERVICE_ACCOUNT,
};
use apiserver::{ApiError, Client, client::PatchType};
use auth::User;
use serde_json::{Value, json};

use crate::cluster::cluster;

fn pod(name: &str, spec: Value) -> Value {
    let mut pod =
        json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "a", "image": "busybox:1" }] } });
    api::patch::merge(&mut pod["spec"], spec.to_string().as_bytes()).unwrap();
    pod
}

async fn create(client: &Client, name: &str, spec: Value) -> Result<Value, ApiError> {
    client.create(&POD, "default", &pod(name, spec)).await
}

async fn bind(client: &Client, name: &str, node: &str) -> Result<Value, ApiError> {
    let binding = json!({ "metadata": { "name": name }, "target": { "kind": "Node", "name": node } });
    client.create_part(&POD, "default", name, "binding", &binding).await
}

async fn patch(client: &Client, name: &str, part: &str, patch: Value) -> Result<Value, ApiError> {
    client.patch(&POD, "default", name, part, &patch, PatchType::MergePatch).await
}

fn told(answer: Result<Value, ApiError>) -> (u16, String) {
    answer.map_or_else(|error| (error.code(), error.to_string()), |value| (200, value.to_string()))
}

#[tokio::test]
async fn a_new_pod_is_completed() {
    let (_server, admin) = cluster().await;
    let pod = create(&admin, "p", json!({ "initContainers": [{ "name": "i", "image": "i" }] })).await.unwrap();
    let spec = &pod["spec"];
    assert_eq!(pod["status"], json!({ "phase": "Pending", "qosClass": "BestEffort" }));
    assert_eq!(pod["metadata"]["generation"], 1);
    assert_eq!((&spec["serviceAccountName"], &spec["serviceAccount"]), (&json!("default"), &json!("default")));
    assert_eq!((&spec["priority"], &spec["preemptionPolicy"]), (&json!(0), &json!("PreemptLowerPriority")));
    let volume = &spec["volumes"][0];
    let name = volume["name"].as_str().unwrap();
    assert!(name.starts_with("kube-api-access-") && name.len() == 21, "{name}");
    assert_eq!(volume["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"], 3607);
    let mount =
        json!([{ "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": name, "readOnly": true }]);
    assert_eq!((&spec["containers"][0]["volumeMounts"], &spec["initContainers"][0]["volumeMounts"]), (&mount, &mount));
    let bears = |index: usize| {
        let toleration = &spec["tolerations"][index];
        (toleration["key"].as_str().unwrap(), toleration["tolerationSeconds"].as_i64().unwrap())
    };
    assert_eq!((bears(0), bears(1)), (("node.kubernetes.io/not-ready", 300), ("node.kubernetes.io/unreachable", 10)));
    let owned = pod["metadata"]["managedFields"][0]["fieldsV1"].to_string();
    assert!(owned.contains("f:containers"), "{owned}");
    // What the cluster adds is nobody's.
    for field in ["f:volumes", "f:volumeMounts", "f:tolerations", "f:serviceAccountName", "f:priority"] {
        assert!(!owned.contains(field), "{field} in {owned}");
    }
}

#[tokio::test]
async fn what_a_pod_says_itself_is_obeyed() {
    let (_server, admin) = cluster().await;
    let account = json!({ "metadata": { "name": "s" }, "automountServiceAccountToken": false, "imagePullSecrets": [{ "name": "pull" }] });
    admin.create(&SERVICE_ACCOUNT, "default", &account).await.unwrap();
    let quiet = create(&admin, "quiet", json!({ "serviceAccountName": "s" })).await.unwrap();
    assert_eq!(quiet["spec"]["volumes"], Value::Null);
    assert_eq!(quiet["spec"]["imagePullSecrets"], json!([{ "name": "pull" }]));
    let own = json!({ "serviceAccountName": "s", "automountServiceAccountToken": true, "imagePullSecrets": [{ "name": "own" }], "tolerations": [{ "operator": "Exists" }] });
    let own = create(&admin, "own", own).await.unwrap();
    assert_eq!(own["spec"]["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(own["spec"]["imagePullSecrets"], json!([{ "name": "own" }]));
    assert_eq!(own["spec"]["tolerations"].as_array().unwrap().len(), 1);
    let critical = create(&admin, "critical", json!({ "priorityClassName": "system-node-critical" })).await.unwrap();
    assert_eq!(critical["spec"]["priority"], 2_000_001_000);
    let class =
        json!({ "metadata": { "name": "usual" }, "value": 7, "globalDefault": true, "preemptionPolicy": "Never" });
    admin.create(&PRIORITY_CLASS, "", &class).await.unwrap();
    let usual = create(&admin, "usual", json!({})).await.unwrap();
    let told = (&usual["spec"]["priority"], &usual["spec"]["priorityClassName"], &usual["spec"]["preemptionPolicy"]);
    assert_eq!(told, (&json!(7), &json!("usual"), &json!("Never")));
}

#[tokio::test]
async fn refuses_what_cannot_be() {
    let (_server, admin) = cluster().await;
    let check = async |spec: Value, code: u16, expect: &str| {
        let (got, message) = told(create(&admin, "p", spec).await);
        assert_eq!((got, message.as_str()), (code, expect));
    };
    let message =
        r#"pods "p" is forbidden: error looking up service account default/no: serviceaccount "no" not found"#;
    check(json!({ "serviceAccountName": "no" }), 403, message).await;
    let message = r#"pods "p" is forbidden: no PriorityClass with name no was found"#;
    check(json!({ "priorityClassName": "no" }), 403, message).await;
    let message = r#"pods "p" is forbidden: pod rejected: RuntimeClass "no" not found"#;
    check(json!({ "runtimeClassName": "no" }), 403, message).await;
    let message = r#"pods "p" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name"#;
    check(json!({ "priority": 5 }), 403, message).await;
    let message = r#"Pod "p" is invalid: spec.containers: Required value"#;
    check(json!({ "containers": null }), 422, message).await;
    let nowhere = told(admin.create(&POD, "nowhere", &pod("p", json!({ "serviceAccountName": "no" }))).await);
    assert_eq!(nowhere, (404, r#"namespaces "nowhere" not found"#.to_owned()));
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let (_server, admin) = cluster().await;
    let zone = json!({ "topology.kubernetes.io/zone": "z" });
    admin.create(&NODE, "", &json!({ "metadata": { "name": "n1", "labels": zone } })).await.unwrap();
    create(&admin, "p", json!({})).await.unwrap();
    let status = bind(&admin, "p", "n1").await.unwrap();
    assert_eq!(
        (&status["kind"], &status["status"], &status["code"]),
        (&json!("Status"), &json!("Success"), &json!(201))
    );
    let pod = admin.get(&POD, "default", "p").await.unwrap();
    assert_eq!((&pod["spec"]["nodeName"], &pod["metadata"]["labels"]), (&json!("n1"), &zone));
    assert_eq!(pod["status"]["conditions"][0]["type"], "PodScheduled");
    let again = told(bind(&admin, "p", "n2").await);
    let message = r#"Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1""#;
    assert_eq!(again, (409, message.to_owned()));
    assert_eq!(told(bind(&admin, "none", "n1").await), (404, r#"pods "none" not found"#.to_owned()));
    create(&admin, "q", json!({})).await.unwrap();
    let old_way = json!({ "metadata": { "name": "q" }, "target": { "name": "n2" } });
    admin.create(&BINDING, "default", &old_way).await.unwrap();
    let of = async |node: &str| {
        let selector = format!("spec.nodeName={node}");
        let items = admin.list(&POD, "", &[("fieldSelector", &selector)]).await.unwrap();
        items.records.iter().map(|record| apiserver::object::name_of(&record.key).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((of("n1").await, of("n2").await, of("").await), (vec!["p".into()], vec!["q".into()], vec![]));
}

#[tokio::test]
async fn a_pod_on_a_node_is_given_its_time() {
    let (_server, admin) = cluster().await;
    for name in ["p", "q", "free"] {
        create(&admin, name, json!({})).await.unwrap();
    }
    bind(&admin, "p", "n1").await.unwrap();
    bind(&admin, "q", "n1").await.unwrap();
    let gone = admin.delete(&POD, "default", "free", &Value::Null).await.unwrap();
    assert_eq!((&gone["kind"], &gone["metadata"]["deletionGracePeriodSeconds"]), (&json!("Pod"), &json!(0)));
    assert_eq!(told(admin.get(&POD, "default", "free").await).0, 404);

    let dying = admin.delete(&POD, "default", "p", &Value::Null).await.unwrap();
    assert_eq!(dying["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(dying["metadata"]["generation"], 2);
    let status = patch(&admin, "p", "status", json!({ "status": { "phase": "Succeeded" } })).await.unwrap();
    assert_eq!(status["metadata"]["deletionTimestamp"], dying["metadata"]["deletionTimestamp"]);
    assert_eq!(told(bind(&admin, "p", "n2").await).0, 409);
    let other = json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": "other" } });
    assert_eq!(told(admin.delete(&POD, "default", "p", &other).await).0, 409);
    let this = json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": dying["metadata"]["uid"] } });
    admin.delete(&POD, "default", "p", &this).await.unwrap();
    assert_eq!(told(admin.get(&POD, "default", "p").await).0, 404);

    let eviction = json!({ "metadata": { "name": "q" }, "deleteOptions": { "gracePeriodSeconds": 5 } });
    let answer = admin.create_part(&POD, "default", "q", "eviction", &eviction).await.unwrap();
    assert_eq!((&answer["status"], &answer["code"]), (&json!("Success"), &json!(201)));
    let evicted = admin.get(&POD, "default", "q").await.unwrap();
    assert_eq!(evicted["metadata"]["deletionGracePeriodSeconds"], 5);
    assert_eq!(evicted["status"]["conditions"][1]["reason"], "EvictionByEvictionAPI");
    let wrong = json!({ "metadata": { "name": "x" } });
    assert_eq!(told(admin.create_part(&POD, "default", "q", "eviction", &wrong).await).0, 400);
}

#[tokio::test]
async fn parts_of_a_pod_change_by_their_own_paths() {
    let (_server, admin) = cluster().await;
    create(
        &admin,
        "p",
        json!({ "containers": [{ "name": "a", "image": "i:1", "resources": { "requests": { "cpu": "1" } } }] }),
    )
    .await
    .unwrap();
    let refused = told(patch(&admin, "p", "", json!({ "spec": { "hostname": "h" } })).await);
    assert_eq!(refused.0, 422);
    let start = r#"Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`"#;
    assert!(refused.1.starts_with(start), "{}", refused.1);
    let labeled = patch(&admin, "p", "", json!({ "metadata": { "labels": { "a": "b" } } })).await.unwrap();
    assert_eq!(labeled["metadata"]["generation"], 1);
    let strategic = json!({ "spec": { "containers": [{ "name": "a", "image": "i:2" }] } });
    let image = admin.patch(&POD, "default", "p", "", &strategic, PatchType::StrategicPatch).await.unwrap();
    assert_eq!(
        (&image["spec"]["containers"][0]["image"], &image["metadata"]["generation"]),
        (&json!("i:2"), &json!(2))
    );
    let debug =
        json!({ "spec": { "ephemeralContainers": [{ "name": "e", "image": "i", "targetContainerName": "a" }] } });
    assert_eq!(told(patch(&admin, "p", "", debug.clone()).await).0, 422);
    let debugged =
        admin.patch(&POD, "default", "p", "ephemeralcontainers", &debug, PatchType::StrategicPatch).await.unwrap();
    assert_eq!(debugged["spec"]["ephemeralContainers"][0]["imagePullPolicy"], "Always");
    let resize = json!({ "spec": { "containers": [{ "name": "a", "resources": { "requests": { "cpu": "2" } } }] } });
    let resized = admin.patch(&POD, "default", "p", "resize", &resize, PatchType::StrategicPatch).await.unwrap();
    assert_eq!(resized["spec"]["containers"][0]["resources"]["requests"]["cpu"], "2");
    let status = json!({ "spec": { "nodeName": "x" }, "status": { "phase": "Running" } });
    let status = patch(&admin, "p", "status", status).await.unwrap();
    assert_eq!((&status["status"]["phase"], &status["spec"]["nodeName"]), (&json!("Running"), &Value::Null));
}

#[tokio::test]
async fn a_client_in_go_writes_back_what_it_read() {
    let (_server, admin) = cluster().await;
    let said = json!({ "nodeName": "", "containers": [{
        "name": "a", "image": "i:1", "tty": false, "env": [{ "name": "E", "value": "" }],
        "ports": [{ "containerPort": 80, "hostPort": 0, "protocol": "" }],
    }] });
    let made = create(&admin, "p", said).await.unwrap();
    let read = &made["spec"]["containers"][0];
    assert_eq!((&read["env"], &read["tty"]), (&json!([{ "name": "E" }]), &Value::Null));
    assert_eq!(read["ports"], json!([{ "containerPort": 80, "protocol": "TCP" }]));
    let mut written = made.clone();
    written["metadata"]["finalizers"] = json!(["example.com/a"]);
    written["spec"]["containers"][0]["env"][0]["value"] = "".into();
    let after = admin.update(&POD, "", &written).await.unwrap();
    assert_eq!((&after["spec"], &after["metadata"]["generation"]), (&made["spec"], &json!(1)));
}

#[tokio::test]
async fn a_kubelet_serves_the_pods_of_its_node_alone() {
    let (server, admin) = cluster().await;
    let follower = tokio::spawn(async move { server.follow().await });
    let kubelet = admin.of(User::new("system:node:n1", &["system:nodes"]), "kubelet");
    admin.create(&NODE, "", &json!({ "metadata": { "name": "n1" } })).await.unwrap();
    for name in ["s", "other"] {
        admin.create(&SECRET, "default", &json!({ "metadata": { "name": name } })).await.unwrap();
    }
    let mounts = json!({ "volumes": [{ "name": "v", "secret": { "secretName": "s" } }] });
    let own = create(&admin, "own", mounts.clone()).await.unwrap();
    create(&admin, "foreign", json!({})).await.unwrap();
    bind(&admin, "own", "n1").await.unwrap();
    bind(&admin, "foreign", "n2").await.unwrap();

    kubelet.get(&SECRET, "default", "s").await.unwrap();
    kubelet.get(&POD, "default", "own").await.unwrap();
    assert_eq!(told(kubelet.get(&SECRET, "default", "other").await).0, 403);
    assert_eq!(told(kubelet.get(&POD, "default", "foreign").await).0, 403);
    assert_eq!(told(kubelet.get(&CONFIG_MAP, "default", "kube-root-ca.crt").await).0, 404);
    let mine = kubelet.list(&POD, "", &[("fieldSelector", "spec.nodeName=n1")]).await.unwrap();
    assert_eq!(mine.records.len(), 1);
    assert_eq!(kubelet.list(&POD, "", &[]).await.unwrap_err().code(), 403);

    patch(&kubelet, "own", "status", json!({ "status": { "phase": "Running", "podIP": "10.0.0.1" } })).await.unwrap();
    let message = r#"pods "foreign" is forbidden: node "n1" can only update pod status for pods with spec.nodeName set to itself"#;
    let foreign = told(patch(&kubelet, "foreign", "status", json!({ "status": { "phase": "Running" } })).await);
    assert_eq!(foreign, (403, message.to_owned()));
    let evict = async |name: &str| {
        let eviction = json!({ "metadata": { "name": name } });
        told(kubelet.create_part(&POD, "default", name, "eviction", &eviction).await)
    };
    assert_eq!(evict("foreign").await.0, 403);

    let token = async |pod: &str, uid: &Value| {
        let bound = json!({ "apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid });
        let asked = json!({ "spec": { "audiences": [], "expirationSeconds": 3607, "boundObjectRef": bound } });
        kubelet.create_part(&SERVICE_ACCOUNT, "default", "default", "token", &asked).await
    };
    let given = token("own", &own["metadata"]["uid"]).await.unwrap();
    assert!(given["status"]["token"].as_str().is_some_and(|token| token.matches('.').count() == 2));
    assert_eq!(told(token("own", &json!("another")).await).0, 409);
    assert_eq!(told(token("foreign", &json!("another")).await).0, 403);

    assert_eq!(told(create(&kubelet, "made", json!({ "nodeName": "n1" })).await).0, 403);
    assert_eq!(evict("own").await.0, 200);
    let now = json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": own["metadata"]["uid"] } });
    kubelet.delete(&POD, "default", "own", &now).await.unwrap();
    assert_eq!(told(kubelet.delete(&POD, "default", "foreign", &now).await).0, 409);
    let any = json!({ "gracePeriodSeconds": 0 });
    assert_eq!(told(kubelet.delete(&POD, "default", "foreign", &any).await).0, 403);
    follower.abort();
}

#[tokio::test]
async fn a_token_ends_with_its_pod() {
    let (_server, admin) = cluster().await;
    admin.create(&SERVICE_ACCOUNT, "default", &json!({ "metadata": { "name": "s" } })).await.unwrap();
    let pod = create(&admin, "p", json!({})).await.unwrap();
    let token = async |account: &str, pod: &str, uid: &Value| {
        let bound = json!({ "apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid });
        let asked = json!({ "spec": { "boundObjectRef": bound } });
        admin.create_part(&SERVICE_ACCOUNT, "default", account, "token", &asked).await
    };
    assert_eq!(told(token("default", "none", &Value::Null).await).0, 404);
    assert_eq!(told(token("s", "p", &Value::Null).await).0, 400);
    let given = token("default", "p", &pod["metadata"]["uid"]).await.unwrap();
    let review = async || {
        let question = json!({ "metadata": {}, "spec": { "token": given["status"]["token"] } });
        admin.create(&api::kinds::token::TOKEN_REVIEW, "", &question).await.unwrap()["status"].clone()
    };
    let status = review().await;
    assert_eq!(status["user"]["username"], "system:serviceaccount:default:default");
    assert_eq!(status["user"]["extra"]["authentication.kubernetes.io/pod-name"], json!(["p"]));
    admin.delete(&POD, "default", "p", &Value::Null).await.unwrap();
    let ended = review().await;
    assert_ne!(ended["authenticated"], true, "{ended}");
}
