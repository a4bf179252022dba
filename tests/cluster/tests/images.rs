//! Where images come from: registries that want to know who asks, and other nodes.
//! Spec: <https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/>.

use std::fs;

use anyhow::{Result, ensure};
use cluster::{Kubectl, Registry, Row, Sandbox, Steps, becomes, row, with};
use serde_json::json;
use testkit::image::Image;

/// As the registry's node sees it.
const PRIVATE: &str = "127.0.0.1:5000/team/app:1";

/// The same of the registry that wants a token.
const BY_TOKEN: &str = "127.0.0.1:5002/team/app:1";

/// A pod that waits for ever, as JSON.
fn pod(name: &str, policy: &str, secrets: &[&str]) -> String {
    pod_of(PRIVATE, name, policy, secrets)
}

fn pod_of(image: &str, name: &str, policy: &str, secrets: &[&str]) -> String {
    let secrets: Vec<_> = secrets.iter().map(|name| json!({ "name": name })).collect();
    let container = json!({ "name": "c", "image": image, "imagePullPolicy": policy, "command": ["sleep", "1000000"] });
    // Where the registry is.
    let spec = json!({ "nodeName": "node-1", "terminationGracePeriodSeconds": 0, "imagePullSecrets": secrets, "containers": [container] });
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": spec }).to_string()
}

fn run(kubectl: &Kubectl, rows: &[Row]) -> Result<()> {
    rows.iter().try_for_each(|row| row.run(kubectl, "a"))
}

/// Makes a pod and looks at what becomes of it.
fn becomes_of(kubectl: &Kubectl, namespace: &str, pod: &str, rows: &[Row]) -> Result<()> {
    kubectl.prints(&format!("create -n {namespace} -f -"), pod, &["created"])?;
    rows.iter().try_for_each(|row| row.run(kubectl, namespace))
}

/// Secrets that open the registry, open it not, and belong to another registry.
fn secrets(kubectl: &Kubectl, registry: &Registry) -> Result<()> {
    let [server, user, password] = registry.credentials();
    for (name, server, password) in
        [("right", server, password), ("wrong", server, "a-guess"), ("elsewhere", "127.0.0.1:5001", password)]
    {
        let whose = format!("--docker-server={server} --docker-username={user} --docker-password={password}");
        for namespace in ["a", "b"] {
            kubectl.prints(
                &format!("create secret docker-registry {name} -n {namespace} {whose}"),
                "",
                &["created"],
            )?;
        }
    }
    let legacy = json!({ server: { "username": user, "password": password } }).to_string();
    let create = "create secret generic legacy -n a --type=kubernetes.io/dockercfg";
    kubectl.prints(&format!("{create} '--from-literal=.dockercfg={legacy}'"), "", &["created"]).map(drop)
}

/// Before the image is there.
fn refused(kubectl: &Kubectl) -> Result<()> {
    for (name, secret, words) in [
        ("nobody", None, "no basic auth credentials"),
        ("stranger", Some("elsewhere"), "no basic auth credentials"),
        ("guesser", Some("wrong"), "server message: unauthorized: authentication required"),
    ] {
        let secrets: Vec<&str> = secret.into_iter().collect();
        kubectl.prints("create -n a -f -", &pod(name, "IfNotPresent", &secrets), &["created"])?;
        let describe = format!("describe -n a pod {name}");
        let parts = [
            "Failed to pull image \"127.0.0.1:5000/team/app:1\"",
            "pull access denied, repository does not exist or may require authorization",
            words,
            "Error: ErrImagePull",
            "Back-off pulling image",
        ];
        cluster::eventually(name, std::time::Duration::from_secs(60), || kubectl.prints(&describe, "", &parts))?;
    }
    run(kubectl, &[becomes("get -n NS pods", &["ImagePullBackOff"])])
}

const READY: &[Row] = &[row("wait -n NS --for=condition=Ready pod/asks --timeout=90s", &["condition met"])];

const MISSING_TOLD: &[Row] = &[
    row("wait -n NS --for=condition=Ready pod/asks --timeout=90s", &["condition met"]),
    row(
        "describe -n NS pod asks",
        &[
            "FailedToRetrieveImagePullSecret",
            "Unable to retrieve some image pull secrets (none); attempting to pull the image may not succeed.",
            "Successfully pulled image \"127.0.0.1:5000/team/app:1\"",
        ],
    ),
];

const GONE: &[Row] = &[row("delete -n NS pod asks", &["deleted"])];

/// With the image here: it is lent to who could pull it.
fn lent(kubectl: &Kubectl) -> Result<()> {
    run(kubectl, GONE)?;
    let denied = &[
        becomes("describe -n NS pod asks", &["Failed to pull image", "no basic auth credentials"]),
        row("delete -n NS pod asks", &["deleted"]),
    ];
    becomes_of(kubectl, "a", &pod("asks", "IfNotPresent", &[]), denied)?;
    let never = &[becomes("get -n NS pod asks", &["ErrImageNeverPull"]), row("delete -n NS pod asks", &["deleted"])];
    becomes_of(kubectl, "a", &pod("asks", "Never", &[]), never)?;
    let present =
        "Container image \"127.0.0.1:5000/team/app:1\" already present on machine and can be accessed by the pod";
    becomes_of(kubectl, "a", &pod("asks", "IfNotPresent", &["wrong", "right"]), READY)?;
    kubectl.prints("describe -n a pod asks", "", &[present])?;
    run(kubectl, GONE)
}

/// Pods of an account have its secrets.
const ACCOUNT: &[Row] = &[
    row("patch -n NS serviceaccount default -p '{\"imagePullSecrets\":[{\"name\":\"right\"}]}'", &["patched"]),
    with("create -n NS -f -", ASKS, &["created"]),
    row("wait -n NS --for=condition=Ready pod/asks --timeout=90s", &["condition met"]),
    row("get -n NS pod asks -o jsonpath={.spec.imagePullSecrets[*].name}", &["right"]),
];

const ASKS: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"asks"},"spec":{"nodeName":"node-1",
  "terminationGracePeriodSeconds":0,
  "containers":[{"name":"c","image":"127.0.0.1:5000/team/app:1","imagePullPolicy":"Always","command":["sleep","1000000"]}]}}"#;

/// Imported on the first node only.
const IMPORTED: &str = "example.test/imported:1";

/// One pod on each node.
const SPREAD: &str = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"spread"},"spec":{"replicas":3,
  "selector":{"matchLabels":{"app":"spread"}},"template":{"metadata":{"labels":{"app":"spread"}},"spec":{
    "terminationGracePeriodSeconds":0,
    "topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"kubernetes.io/hostname","whenUnsatisfiable":"DoNotSchedule",
      "labelSelector":{"matchLabels":{"app":"spread"}}}],
    "containers":[{"name":"c","image":"example.test/imported:1","command":["sleep","1000000"]}]}}}}"#;

/// What is nobody else's business, wanted on another node.
const ELSEWHERE: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"elsewhere"},"spec":{"nodeName":"node-2",
  "terminationGracePeriodSeconds":0,"imagePullSecrets":[{"name":"right"}],
  "containers":[{"name":"c","image":"127.0.0.1:5000/team/app:1"}]}}"#;

/// Before any other node has fetched it.
const NEVER: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"never"},"spec":{"nodeName":"node-2",
  "terminationGracePeriodSeconds":0,
  "containers":[{"name":"c","image":"example.test/imported:1","imagePullPolicy":"Never"}]}}"#;

const SHARED: &[Row] = &[
    with("create -n NS -f -", NEVER, &["created"]),
    becomes("get -n NS pod never", &["ErrImageNeverPull"]),
    with("create -n NS -f -", SPREAD, &["created"]),
    row("rollout status -n NS deployment/spread --timeout=120s", &["successfully rolled out"]),
    row("get -n NS pods -l app=spread -o wide", &["node-1", "node-2", "node-3"]),
    // Node-1 has it, by credentials: it gives it to nobody, and there is no registry on this node.
    with("create -n NS -f -", ELSEWHERE, &["created"]),
    becomes("describe -n NS pod elsewhere", &["Failed to pull image", "Connection refused"]),
];

/// A registry that leaves it to a token server to ask who it is.
fn by_token(sandbox: &Sandbox, kubectl: &Kubectl) -> Result<()> {
    run(kubectl, GONE)?;
    let registry = Registry::start_with_tokens(sandbox.root(), &sandbox.namespace("node-1"))?;
    registry.put("team/app", "1", Image::busybox(BY_TOKEN)?)?;
    let [server, user, password] = registry.credentials();
    let whose = format!("--docker-server={server} --docker-username={user} --docker-password={password}");
    kubectl.prints(&format!("create secret docker-registry tokens -n a {whose}"), "", &["created"])?;
    let denied = &[
        becomes("describe -n NS pod asks", &["failed to fetch anonymous token: unexpected status: 401 Unauthorized"]),
        row("delete -n NS pod asks", &["deleted"]),
    ];
    becomes_of(kubectl, "a", &pod_of(BY_TOKEN, "asks", "Always", &[]), denied)?;
    ensure!(registry.tokens_given().is_empty(), "{:?}", registry.tokens_given());
    becomes_of(kubectl, "a", &pod_of(BY_TOKEN, "asks", "Always", &["tokens"]), READY)?;
    let given = registry.tokens_given();
    ensure!(!given.is_empty() && given.iter().all(|scope| scope == "repository:team/app:pull"), "{given:?}");
    run(kubectl, GONE)
}

/// No password is in a log or in what anybody may read of a pod.
fn untold(sandbox: &Sandbox, kubectl: &Kubectl, registry: &Registry) -> Result<()> {
    let [_, _, password] = registry.credentials();
    let log = fs::read_to_string(sandbox.home("node-1").join("mesh.log"))?;
    let events = kubectl.prints("get events -A -o yaml", "", &[])?;
    for secret in [password, "a-guess"] {
        ensure!(!log.contains(secret) && !events.contains(secret), "{secret:?} was told");
    }
    Ok(())
}

#[test]
fn images_come_to_who_may_have_them_and_to_nobody_else() {
    let sandbox = Sandbox::start("images", 3).unwrap();
    let registry = Registry::start(sandbox.root(), &sandbox.namespace("node-1")).unwrap();
    registry.put("team/app", "1", Image::busybox(PRIVATE).unwrap().file("etc/whose", b"ours", 0o644).unwrap()).unwrap();
    let kubectl = sandbox.newest("node-1");
    let mut steps = Steps::new();
    steps.step("secrets of all kinds", || {
        run(&kubectl, &[row("create namespace a", &[]), row("create namespace b", &[])])?;
        secrets(&kubectl, &registry)
    });
    steps.step("without the right credentials there is no image", || refused(&kubectl));
    steps.step("the second that fits opens it; a Secret that is missing is told of", || {
        becomes_of(&kubectl, "a", &pod("asks", "IfNotPresent", &["none", "wrong", "right"]), MISSING_TOLD)
    });
    steps.step("an image that is here is lent to who could pull it", || lent(&kubectl));
    steps.step("the older form of a secret opens it too", || {
        becomes_of(&kubectl, "a", &pod("asks", "Always", &["legacy"]), READY)
    });
    steps.step("an account's secrets are its pods'", || ACCOUNT.iter().try_for_each(|row| row.run(&kubectl, "b")));
    steps.step("a registry that wants tokens gets them from where it sends to", || by_token(&sandbox, &kubectl));
    let imported = Image::busybox(IMPORTED).unwrap();
    sandbox.import_on(&["node-1".into()], "imported", imported).unwrap();
    steps.step("what was imported on one node runs on all, what is private stays", || run(&kubectl, SHARED));
    steps.step("no password is told", || untold(&sandbox, &kubectl, &registry));
    steps.end();
}
