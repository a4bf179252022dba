//! Controllers run on the leader, whoever that is: DESIGN, "Deciders". Their decisions have tests of their own.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use cluster::{Cluster, Kubectl, Steps, eventually};
use serde_json::json;

/// How long controllers may take on two cores that run all nodes and clients.
const LIMIT: Duration = Duration::from_secs(30);

/// Objects in the namespace that is deleted while the leader dies: more than one run deletes.
const OBJECTS: usize = 800;

#[test]
fn controllers_do_their_work_and_go_on_when_the_leader_dies() {
    let mut cluster = Cluster::start(3).unwrap();
    let mut steps = Steps::new();
    let kubectl = cluster.newest(0);
    steps.step("a new namespace is furnished", || furnished(&kubectl, "fresh"));
    steps.step("what is taken from it comes back", || comes_back(&kubectl));
    steps.step("a namespace says what holds it, and goes once nothing does", || held(&kubectl));
    steps.step("dependents go after their owner", || cascade(&kubectl, "background", false));
    steps.step("dependents go before their owner", || cascade(&kubectl, "foreground", false));
    steps.step("orphans stay", || cascade(&kubectl, "orphan", true));
    steps.step("a role is made of others", || aggregated(&kubectl));
    steps.step("a full namespace goes although the leader dies meanwhile", || leader_dies(&mut cluster));
    steps.end();
}

fn shows(kubectl: &Kubectl, what: &str, parts: &[&str]) -> Result<()> {
    eventually(what, LIMIT, || kubectl.prints(&format!("get {what}"), "", parts).map(drop))
}

fn gone(kubectl: &Kubectl, what: &str) -> Result<()> {
    eventually(what, LIMIT, || kubectl.refuses(&format!("get {what}"), "", &["NotFound"]).map(drop))
}

fn furnished(kubectl: &Kubectl, namespace: &str) -> Result<()> {
    kubectl.prints(&format!("create namespace {namespace}"), "", &["created"])?;
    shows(kubectl, &format!("serviceaccount default -n {namespace}"), &["default"])?;
    shows(kubectl, &format!("configmap kube-root-ca.crt -n {namespace} -o yaml"), &["BEGIN CERTIFICATE"])
}

fn comes_back(kubectl: &Kubectl) -> Result<()> {
    kubectl.prints("delete serviceaccount default -n fresh --wait=false", "", &["deleted"])?;
    shows(kubectl, "serviceaccount default -n fresh", &["default"])?;
    let spoilt = r#"patch configmap kube-root-ca.crt -n fresh --type=merge -p {"data":{"ca.crt":"spoilt"}}"#;
    kubectl.prints(spoilt, "", &["patched"])?;
    shows(kubectl, "configmap kube-root-ca.crt -n fresh -o yaml", &["BEGIN CERTIFICATE", "!spoilt"])
}

fn held(kubectl: &Kubectl) -> Result<()> {
    let holder = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "holder", "namespace": "fresh", "finalizers": ["example.com/hold"] },
    });
    kubectl.prints("create -f -", &holder.to_string(), &["created"])?;
    kubectl.prints("delete namespace fresh --wait=false", "", &["deleted"])?;
    let told = [
        "Some resources are remaining: configmaps. has 1 resource instances",
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
    ];
    shows(kubectl, "namespace fresh -o json", &told)?;
    let free = r#"patch configmap holder -n fresh --type=merge -p {"metadata":{"finalizers":null}}"#;
    kubectl.prints(free, "", &["patched"])?;
    gone(kubectl, "namespace fresh")
}

fn cascade(kubectl: &Kubectl, how: &str, stays: bool) -> Result<()> {
    kubectl.prints(&format!("create configmap owner-{how} -n default"), "", &["created"])?;
    let uid =
        kubectl.prints(&format!("get configmap owner-{how} -n default -o jsonpath={{.metadata.uid}}"), "", &[])?;
    let owner = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": format!("owner-{how}"), "uid": uid.trim(),
        "blockOwnerDeletion": true,
    });
    let metadata = json!({ "name": format!("owned-{how}"), "namespace": "default", "ownerReferences": [owner] });
    let owned = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata });
    kubectl.prints("create -f -", &owned.to_string(), &["created"])?;
    kubectl.prints(&format!("delete configmap owner-{how} -n default --cascade={how}"), "", &["deleted"])?;
    let secret = format!("secret owned-{how} -n default");
    if stays { shows(kubectl, &format!("{secret} -o yaml"), &["!ownerReferences"]) } else { gone(kubectl, &secret) }
}

fn aggregated(kubectl: &Kubectl) -> Result<()> {
    kubectl.prints("create clusterrole whole --aggregation-rule=part-of=whole", "", &["created"])?;
    let part = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": { "name": "part", "labels": { "part-of": "whole" } },
        "rules": [{ "verbs": ["get"], "apiGroups": [""], "resources": ["nodes"] }],
    });
    kubectl.prints("create -f -", &part.to_string(), &["created"])?;
    shows(kubectl, "clusterrole whole -o jsonpath={.rules}", &[r#""resources":["nodes"]"#])
}

fn leader_dies(cluster: &mut Cluster) -> Result<()> {
    let leader = cluster.leader()?;
    let kubectl = cluster.newest((leader + 1) % cluster.nodes.len());
    kubectl.prints("create namespace full", "", &["created"])?;
    let mut objects = String::new();
    for number in 0..OBJECTS {
        let metadata = json!({ "name": format!("c{number}"), "namespace": "full" });
        writeln!(objects, "---\n{}", json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata }))?;
    }
    kubectl.prints("create -f - -o name", &objects, &["configmap/c0"])?;
    kubectl.prints("delete namespace full --wait=false", "", &["deleted"])?;
    let left = eventually("the first to go", LIMIT, || {
        let left = kubectl.prints("get configmaps -n full -o name", "", &[])?.lines().count();
        ensure!(left < OBJECTS, "{left} are left");
        Ok(left)
    })?;
    cluster.nodes[leader].kill9()?;
    println!("    {left} of {OBJECTS} objects were left when the leader died");
    gone(&kubectl, "namespace full")?;
    let rest = kubectl.prints("get configmaps -n full -o name", "", &[])?;
    ensure!(rest.trim().is_empty(), "left in a namespace that is gone: {rest}");
    furnished(&kubectl, "after")
}
