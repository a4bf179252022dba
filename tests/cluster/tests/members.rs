//! Founding, joining, growing and restarting: DESIGN, "Voters manage themselves" and "Identity, joining, trust".

use std::time::Duration;

use anyhow::{Result, ensure};
use cluster::{Cluster, Launch, Node, Steps, named};
use serde_json::Value;

/// How long what spreads by gossip may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_cluster_grows_from_one_node_to_three_voters_and_comes_back_after_a_restart() {
    let mut cluster = Cluster::start(1).unwrap();
    let mut steps = Steps::new();
    steps.step("one node is ready and votes", || check(&cluster, &["n1"], &[]));
    cluster.grow().unwrap();
    steps.step("of two nodes one votes and one stands by", || {
        cluster.settle()?;
        cluster::eventually("a standby", PATIENCE, || check(&cluster, &["n1"], &["n2"]))
    });
    steps.step("the API answers on the standby", || api_answers(&cluster, 1));
    cluster.grow().unwrap();
    steps.step("three nodes become three voters", || {
        cluster.settle()?;
        check(&cluster, &["n1", "n2", "n3"], &[])
    });
    steps.step("status tells a person the same", || {
        cluster::eventually("gossip from all", PATIENCE, || status_for_people(&cluster.nodes[1]))
    });
    steps.step("the API answers on each of them", || (0..3).try_for_each(|node| api_answers(&cluster, node)));
    steps.step("joining again changes nothing and says so", || join_again(&mut cluster));
    steps.step("a restart of all nodes resumes", || restart_all(&mut cluster));
    steps.end();
}

/// Every node shows these roles, the same leader, and itself ready.
fn check(cluster: &Cluster, voters: &[&str], standbys: &[&str]) -> Result<()> {
    let mut leaders = std::collections::BTreeSet::new();
    for node in &cluster.nodes {
        let status = node.status()?;
        ensure!(named(&status, "voter") == voters, "{}: {status:#}", node.name);
        ensure!(named(&status, "standby") == standbys, "{}: {status:#}", node.name);
        ensure!(status["name"] == node.name.as_str() && status["whyNotReady"].is_null(), "{status:#}");
        leaders.insert(status["leader"].to_string());
    }
    ensure!(leaders.len() == 1, "leaders are {leaders:?}");
    Ok(())
}

fn api_answers(cluster: &Cluster, node: usize) -> Result<()> {
    cluster.newest(node).prints("get --raw /readyz", "", &["ok"])?;
    cluster.newest(node).prints("get namespaces -o name", "", &["namespace/default", "namespace/kube-system"])?;
    Ok(())
}

fn status_for_people(node: &Node) -> Result<()> {
    let parts = ["Node     n2", "ready", "3 of 3 members heard", "Leader   n", "NAME", "ROLE", "n1", "n3", "voter"];
    node.command("status").run()?.prints(&parts)?;
    Ok(())
}

fn identity(status: &Value) -> (Value, Value, Vec<Value>) {
    let members = status["members"].as_array().cloned().unwrap_or_default();
    (status["id"].clone(), status["cluster"].clone(), members.iter().map(|member| member["id"].clone()).collect())
}

fn join_again(cluster: &mut Cluster) -> Result<()> {
    let line = cluster.line.clone();
    let node = &mut cluster.nodes[2];
    let before = identity(&node.status()?);
    node.stop()?;
    node.launch(Launch::Join(&line), "")?;
    node.says("nothing changed")?;
    node.ready()?;
    let after = identity(&node.status()?);
    ensure!(before == after, "{before:?} became {after:?}");
    cluster.settle()
}

fn restart_all(cluster: &mut Cluster) -> Result<()> {
    cluster.newest(0).prints("create configmap kept -n default --from-literal=k=v", "", &["created"])?;
    let before = identity(&cluster.nodes[0].status()?);
    cluster.nodes.iter_mut().try_for_each(Node::stop)?;
    for node in &mut cluster.nodes {
        node.launch(Launch::Up, "")?;
    }
    for node in &cluster.nodes {
        node.says("goes on in its cluster")?;
    }
    cluster.settle()?;
    for node in 0..3 {
        cluster.newest(node).prints("get configmap kept -n default -o jsonpath={.data.k}", "", &["v"])?;
    }
    let after = identity(&cluster.nodes[0].status()?);
    ensure!(before == after, "{before:?} became {after:?}");
    Ok(())
}
