//! StatefulSets and DaemonSets as people use them, on nodes that come and die.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/>,
//! <https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/>.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Kubectl, Row, Sandbox, Steps, becomes, eventually, refuses, row, with};
use serde_json::Value;
use testkit::image::Image;

const DB: &str = include_str!("sets/db.yaml");

const AGENT: &str = include_str!("sets/agent.yaml");

/// The machine that comes later, and dies.
const LATE: &str = "node-3";

/// How long what a dead machine causes may take: its pods are asked to go 13 to 15 s after it died.
const NOTICED: Duration = Duration::from_secs(90);

const MADE: &[Row] = &[
    with("apply -f -", DB, &["statefulset.apps/db created"]),
    with("apply -f -", AGENT, &["daemonset.apps/agent created"]),
    row("rollout status sts/db --timeout=120s", &["roll out complete: 3 new pods have been updated"]),
    row("rollout status ds/agent --timeout=120s", &["successfully rolled out"]),
    row("get sts db", &["3/3"]),
    row("get ds agent -o wide", &["<none>", "mesh.test/busybox:1", "app=agent"]),
    row("get ds agent -o jsonpath={.status}", &["\"numberReady\":2", "\"updatedNumberScheduled\":2"]),
    row("get all", &["statefulset.apps/db", "daemonset.apps/agent"]),
    row("get controllerrevisions", &["statefulset.apps/db", "daemonset.apps/agent"]),
    row("describe sts db", &["create Pod db-2 in StatefulSet db successful", "3 Running / 0 Waiting"]),
    row("describe ds agent", &["Created pod: agent-", "2 Running / 0 Waiting"]),
    becomes("get pdb db -o jsonpath={.status.expectedPods}/{.status.disruptionsAllowed}", &["3/1"]),
    row("exec db-1 -- hostname -f", &["db-1.db.default.svc.cluster.local"]),
    becomes("exec db-1 -- nslookup db-2.db.default.svc.cluster.local", &["10.42."]),
    row("get pods -l apps.kubernetes.io/pod-index=2 -o name", &["pod/db-2"]),
    refuses(
        "patch sts db --type=merge -p '{\"spec\":{\"serviceName\":\"other\"}}'",
        "",
        &["updates to statefulset spec for fields other than 'replicas', 'ordinals'"],
    ),
    refuses("rollout pause sts/db", "", &["pausing is not supported"]),
];

const SCALED: &[Row] = &[
    row("scale sts/db --replicas=1", &["scaled"]),
    becomes("get pods -l app=db -o name", &["db-0", "!db-1", "!db-2"]),
    row(
        "get events --field-selector=involvedObject.name=db",
        &["delete Pod db-2 in", "delete Pod db-1 in", "!delete Pod db-0"],
    ),
    row("scale sts/db --replicas=2", &["scaled"]),
    becomes("get sts db", &["2/2"]),
];

const ROLLED: &[Row] = &[
    row(
        "patch sts db --type=merge -p '{\"spec\":{\"updateStrategy\":{\"rollingUpdate\":{\"partition\":1}}}}'",
        &["patched"],
    ),
    row("set env sts/db V=2", &["updated"]),
    row("rollout status sts/db --timeout=120s", &["partitioned roll out complete: 1 new pods have been updated"]),
    row("get pod db-1 -o jsonpath={.spec.containers[0].env}", &["V"]),
    row("get pod db-0 -o jsonpath={.spec.containers[0].env}", &["!V"]),
    row(
        "patch sts db --type=merge -p '{\"spec\":{\"updateStrategy\":{\"rollingUpdate\":{\"partition\":0}}}}'",
        &["patched"],
    ),
    row("rollout status sts/db --timeout=120s", &["roll out complete: 2 new pods have been updated"]),
    row("get pod db-0 -o jsonpath={.spec.containers[0].env}", &["V"]),
    row("rollout history sts/db", &["1         <none>", "2         <none>"]),
    row("rollout undo sts/db", &["rolled back"]),
    row("rollout history sts/db", &["2         <none>", "3         <none>"]),
    row("set env ds/agent V=2", &["updated"]),
    row("rollout status ds/agent --timeout=120s", &["successfully rolled out"]),
    row("rollout undo ds/agent", &["rolled back"]),
    row("rollout status ds/agent --timeout=120s", &["successfully rolled out"]),
    row("rollout history ds/agent", &["2         <none>", "3         <none>"]),
    row("get pods -l app=agent -o jsonpath={.items[*].spec.containers[0].env}", &["!V"]),
    row("rollout status sts/db --timeout=120s", &["roll out complete: 2 new pods have been updated"]),
];

const DRAINED: &[Row] = &[
    refuses("drain node-2 --timeout=60s", "", &["DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"]),
    row("drain node-2 --ignore-daemonsets --timeout=120s", &["evicting pod default/db-", "node/node-2 drained"]),
    row("get pods -l app=agent --field-selector=spec.nodeName=node-2", &["Running"]),
    row("uncordon node-2", &["uncordoned"]),
    becomes("get sts db", &["2/2"]),
];

const ORPHANED: &[Row] = &[
    row("delete ds agent --cascade=orphan", &["deleted"]),
    with("apply -f -", AGENT, &["created"]),
    row("rollout status ds/agent --timeout=120s", &["successfully rolled out"]),
    row("delete sts db --cascade=foreground --timeout=60s", &["deleted"]),
    row("get pods -l app=db", &["!db-"]),
    becomes("get controllerrevisions", &["!statefulset.apps/db"]),
];

fn all(rows: &[Row], kubectl: &Kubectl) -> Result<()> {
    rows.iter().try_for_each(|row| row.run(kubectl, ""))
}

#[test]
fn pods_have_names_that_last_and_every_node_its_own() {
    let sandbox = Sandbox::start("sets", 2).unwrap();
    let kubectl = sandbox.newest("node-1");
    let mut steps = Steps::new();
    steps.step("pods with names, in order; one on each node", || all(MADE, &kubectl));
    steps.step("fewer and more, from the highest and from the lowest", || all(SCALED, &kubectl));
    steps.step("rolled out, in part, undone", || all(ROLLED, &kubectl));
    steps.step("a drain leaves each node its own", || all(DRAINED, &kubectl));
    steps.step("a node that joins gets its own", || joins(&sandbox, &kubectl));
    steps.step("a machine dies: its pod is not there twice, and there again once it is back", || {
        dies(&sandbox, &kubectl)
    });
    steps.step("orphans are taken in, and what goes takes all with it", || all(ORPHANED, &kubectl));
    steps.end();
}

fn joins(sandbox: &Sandbox, kubectl: &Kubectl) -> Result<()> {
    sandbox.dev("up --nodes 3")?;
    sandbox.import_on(&[LATE.to_owned()], "late", Image::busybox(cluster::BUSYBOX)?)?;
    becomes("get pods -l app=agent --field-selector=spec.nodeName=node-3", &["Running"]).run(kubectl, "")?;
    becomes("get ds agent -o jsonpath={.status.numberAvailable}", &["3"]).run(kubectl, "")?;
    // The pod of the highest number is made anew, and nothing else of its kind is on the new node.
    row("cordon node-1 node-2", &["cordoned"]).run(kubectl, "")?;
    row("delete pod db-1", &["deleted"]).run(kubectl, "")?;
    becomes("get pods -l app=db --field-selector=spec.nodeName=node-3", &["db-1", "1/1"]).run(kubectl, "")?;
    row("uncordon node-1 node-2", &["uncordoned"]).run(kubectl, "")
}

/// UID of a pod, and whether it is asked to go.
fn look(kubectl: &Kubectl, pod: &str) -> Result<(String, bool)> {
    let pod: Value = serde_json::from_str(&kubectl.prints(&format!("get pod {pod} -o json"), "", &[])?)?;
    let uid = pod["metadata"]["uid"].as_str().context("a UID")?;
    Ok((uid.to_owned(), !pod["metadata"]["deletionTimestamp"].is_null()))
}

fn dies(sandbox: &Sandbox, kubectl: &Kubectl) -> Result<()> {
    let (before, _) = look(kubectl, "db-1")?;
    sandbox.dev(&format!("kill {LATE}"))?;
    eventually("its pod is asked to go", NOTICED, || {
        let (uid, going) = look(kubectl, "db-1")?;
        ensure!(going && uid == before, "it is {uid}, going: {going}");
        Ok(())
    })?;
    // Whatever makes the controller look again makes no second one.
    row("annotate sts db look=again", &["annotated"]).run(kubectl, "")?;
    becomes("get sts db", &["1/2"]).run(kubectl, "")?;
    ensure!(look(kubectl, "db-1")? == (before.clone(), true), "it was replaced while its machine may still run it");
    sandbox.dev(&format!("start {LATE}"))?;
    eventually("another one runs once it has ended", NOTICED, || {
        let (uid, going) = look(kubectl, "db-1")?;
        ensure!(!going && uid != before, "it is {uid}, going: {going}");
        kubectl.prints("get sts db", "", &["2/2"]).map(drop)
    })?;
    becomes("get ds agent -o jsonpath={.status.numberAvailable}", &["3"]).run(kubectl, "")
}
