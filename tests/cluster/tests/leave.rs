//! Leaving for good, tokens that admit once, names taken over: DESIGN, "Identity, joining, trust".

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Cluster, Kubectl, Launch, Node, Program, Sandbox, Steps, becomes, eventually, named, refuses, row};

/// Servers with a budget, and a pod that no controller makes anew.
const PODS: &str = include_str!("leave/pods.yaml");

/// How long the cluster may take to forget a member, on a busy machine.
const FORGET_LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_node_that_leaves_is_forgotten_and_the_rest_goes_on() {
    let mut cluster = Cluster::start(3).unwrap();
    let mut steps = Steps::new();
    let kept = cluster.root().join("kept");
    steps.step("something is stored", || {
        cluster.newest(2).prints("create configmap before -n default --from-literal=k=v", "", &["created"]).map(drop)
    });
    steps.step("an old copy of its data directory is kept aside", || {
        cluster.nodes[2].stop()?;
        copy(&cluster.nodes[2].dir, &kept)?;
        cluster.restart(2)
    });
    steps.step("the third node leaves", || leave(&mut cluster, 2));
    steps.step("the other two work", || works(&cluster, "after"));
    steps.step("what left cannot come back with its old data", || comes_not_back(&cluster, &kept));
    steps.step("the same machine joins as a new node", || join_anew(&mut cluster));
    steps.step("the leader leaves", || {
        let leader = cluster.leader()?;
        leave(&mut cluster, leader)
    });
    steps.step("the others work without it", || works(&cluster, "later"));
    steps.step("a token for one use admits one node", || once(&cluster));
    steps.end();
}

#[test]
fn a_node_that_leaves_moves_its_pods_away_first_as_their_budget_allows() {
    let sandbox = Sandbox::start("leave", 3).unwrap();
    let kubectl = sandbox.newest("node-1");
    let mut steps = Steps::new();
    steps.step("servers run, one on each node, under a budget that spares none; and a pod of nobody's", || {
        kubectl.prints(
            "apply -f -",
            PODS,
            &["deployment.apps/web created", "poddisruptionbudget.policy/web created"],
        )?;
        row("rollout status deployment/web --timeout=120s", &["successfully rolled out"]).run(&kubectl, "")?;
        becomes("get pod fixed", &["Running"]).run(&kubectl, "")?;
        row("get pods -l app=web -o wide", &["node-1", "node-2", "node-3"]).run(&kubectl, "")
    });
    steps.step("what nobody would make anew is not lost without a word, and nothing has changed", || {
        sandbox.on("node-3", "leave").run()?.refuses(&["default/fixed", "--force", "has not left"])?;
        row("get node node-3", &["!SchedulingDisabled"]).run(&kubectl, "")
    });
    steps.step("the budget is respected: the node is cordoned and stays, its server runs on", || {
        let said = sandbox.on("node-3", "leave --force --timeout 7s").run()?;
        said.refuses(&["stays for now", "disruption budget", "has not left", "default/web-", "uncordon"])?;
        row("get node node-3", &["SchedulingDisabled"]).run(&kubectl, "")?;
        row("get deployment web", &["3/3"]).run(&kubectl, "")
    });
    steps.step("when the budget allows it the server moves, and the node leaves", || {
        kubectl.prints("patch pdb web --type=merge -p '{\"spec\":{\"minAvailable\":2}}'", "", &["patched"])?;
        let left = sandbox.on("node-3", "leave --force").run()?;
        ensure!(left.stderr.contains("evicting pod default/web-"), "{left}");
        left.prints(&["node node-3 has left the cluster"])?;
        gone(&sandbox, &kubectl, "node-3")?;
        refuses("get pod fixed", "", &["NotFound"]).run(&kubectl, "")?;
        becomes("get deployment web", &["3/3"]).run(&kubectl, "")
    });
    steps.step("a node leaves at once when told to, and nothing of its pods runs on", || {
        sandbox.on("node-2", "leave --no-drain").run()?.prints(&["node node-2 has left the cluster"])?;
        gone(&sandbox, &kubectl, "node-2")
    });
    steps.end();
}

/// Neither its Node object nor a container is left, and its data directory is empty.
fn gone(sandbox: &Sandbox, kubectl: &Kubectl, node: &str) -> Result<()> {
    eventually("the end of the node", FORGET_LIMIT, || {
        let data = std::fs::read_dir(sandbox.home(node).join("data"))?.count();
        ensure!(data == 0, "its data directory holds {data} things");
        Ok(())
    })?;
    let socket = Path::new("/run/mesh-dev").join(&sandbox.name).join(node).join("containerd.sock");
    let containers = Program::new(Path::new("ctr"), &format!("-a {} -n mesh containers list -q", socket.display()));
    let containers = containers.run()?.prints(&[])?;
    ensure!(containers.trim().is_empty(), "containers are left: {containers}");
    eventually("the end of its Node object", FORGET_LIMIT, || {
        let nodes = kubectl.prints("get nodes -o name", "", &["node/node-1"])?;
        ensure!(!nodes.contains(node), "{nodes}");
        Ok(())
    })
}

fn leave(cluster: &mut Cluster, node: usize) -> Result<()> {
    let leaver = &mut cluster.nodes[node];
    let name = leaver.name.clone();
    leaver.command("leave").run()?.prints(&[&name, "has left the cluster"])?;
    ensure!(leaver.ended()?.success(), "it did not end well: {}", leaver.log());
    let left = std::fs::read_dir(&leaver.dir)?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
    ensure!(left.is_empty(), "its data directory still holds {left:?}");
    let rest: Vec<_> = cluster.nodes.iter().filter(|node| node.runs()).collect();
    for node in rest {
        eventually("the member is forgotten", FORGET_LIMIT, || {
            let status = node.status()?;
            let members = status["members"].as_array().context("no members")?;
            ensure!(members.iter().all(|member| member["name"] != name.as_str()), "{name} is a member");
            ensure!(status["leader"].is_string(), "no leader");
            Ok(())
        })?;
    }
    cluster.settle()
}

/// Each running node takes a write, and the others show it.
fn works(cluster: &Cluster, name: &str) -> Result<()> {
    let running: Vec<_> = (0..cluster.nodes.len()).filter(|node| cluster.nodes[*node].runs()).collect();
    for node in &running {
        let make = format!("create configmap {name}-{node} -n default --from-literal=k=v");
        cluster.newest(*node).prints(&make, "", &["created"])?;
        for other in &running {
            let listed =
                cluster.newest(*other).prints("get configmaps -n default -o name", "", &["configmap/before"])?;
            ensure!(listed.contains(&format!("{name}-{node}")), "node {other} shows {listed}");
        }
    }
    Ok(())
}

/// What left and was forgotten: it is told so, ends by itself, and changes nothing.
fn comes_not_back(cluster: &Cluster, kept: &Path) -> Result<()> {
    let mut ghost = Node::new(cluster.root(), "n3")?;
    ghost.dir = kept.to_owned();
    let before = cluster.nodes[0].status()?;
    let parts = ["was removed from", "cluster for ever", "empty ", "join as a new node"];
    ghost.program(Launch::Up, "").run()?.refuses(&parts)?;
    ghost.program(Launch::Join(&cluster.line), "").run()?.refuses(&parts)?;
    let after = cluster.nodes[0].status()?;
    for what in ["leader", "term"] {
        ensure!(before[what] == after[what], "{what} was {} and is {}", before[what], after[what]);
    }
    ensure!(named(&before, "voter") == named(&after, "voter"), "the quorum changed");
    Ok(())
}

fn join_anew(cluster: &mut Cluster) -> Result<()> {
    let line = cluster.line.clone();
    cluster.nodes[2].start(Launch::Join(&line))?;
    cluster.nodes[2].ready()?;
    cluster.settle()?;
    works(cluster, "anew")
}

fn once(cluster: &Cluster) -> Result<()> {
    let running = cluster.leader()?;
    let line = cluster.nodes[running].command("token create --once").run()?.prints(&["mesh join"])?;
    let (mut first, second) = (Node::new(cluster.root(), "once")?, Node::new(cluster.root(), "twice")?);
    first.start(Launch::Join(line.trim()))?;
    let parts = ["was for one use and has been used", "mesh token create"];
    second.program(Launch::Join(line.trim()), "").run()?.refuses(&parts)?;
    cluster.nodes[running].command("token list").run()?.prints(&["used by once"])?;
    Ok(())
}

/// A copy of a data directory, with its modes.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        match source.is_dir() {
            true => copy(&source, &target)?,
            false => drop(std::fs::copy(&source, &target)?),
        }
    }
    Ok(())
}
