//! `mesh remove`: a machine is gone for good and somebody says so. Its vote, Node object and pods go; when it boots again
//! it is told, and disturbs nobody. DESIGN 3, "Fencing", and 4, "Removed ids and keys are refused for ever".

use std::time::Duration;

use anyhow::{Result, ensure};
use cluster::{Kubectl, Load, Program, Sandbox, Steps, becomes, eventually, mesh, named, row};
use serde_json::Value;

const PODS: &str = include_str!("remove/pods.yaml");

/// The machine that dies.
const DEAD: &str = "node-3";

/// Who is asked.
const ASKED: &str = "node-1";

/// How long anything here may take on a busy machine: pods of a node that is gone wait for 40 s.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_dead_machine_is_removed_and_disturbs_nobody_when_it_boots_again() {
    let sandbox = Sandbox::start("remove", 3).unwrap();
    let kubectl = sandbox.newest(ASKED);
    let others: Vec<String> = sandbox.names().into_iter().filter(|name| name != DEAD).collect();
    let workload = sandbox.work_at(&others, Load::default()).unwrap();
    let mut steps = Steps::new();
    steps.step("pods run, also on the machine that is to die", || {
        kubectl.prints("apply -f -", PODS, &["deployment.apps/web created", "pod/fixed created"])?;
        becomes("get pod fixed", &["Running"]).run(&kubectl, "")?;
        row("rollout status deployment/web --timeout=120s", &["successfully rolled out"]).run(&kubectl, "")
    });
    steps.step("who is unknown, alive or the node itself is not removed, and it is said why", || refusals(&sandbox));
    steps.step("the machine loses power and is removed: two members are left, of which one votes", || {
        sandbox.dev(&format!("kill {DEAD}"))?;
        eventually("the removal", LIMIT, || {
            sandbox.on(ASKED, &format!("remove {DEAD}")).run()?.prints(&["node node-3", "is removed"])
        })?;
        others.iter().try_for_each(|node| forgotten(&sandbox, node))
    });
    let before = told(&sandbox, ASKED).unwrap_or_default();
    steps.step("its Node object is gone", || becomes("get nodes", &["node-1", "node-2", "!node-3"]).run(&kubectl, ""));
    steps.step("when it boots again it is told that it was removed, and ends", || {
        // It waits until the node is ready, as this one will not be.
        let mut start = Program::new(mesh(), &format!("dev start {DEAD} --name {}", sandbox.name)).spawn()?;
        let told = eventually("the word of its removal", LIMIT, || {
            let log = std::fs::read_to_string(sandbox.home(DEAD).join("mesh.log"))?;
            ensure!(log.contains("was removed from its cluster for ever"), "its log does not tell");
            Ok(())
        });
        start.kill()?;
        start.wait()?;
        told
    });
    steps.step("its return changed nothing", || undisturbed(&sandbox, &kubectl, &before));
    steps.step("its pods are gone, and what can run elsewhere does", || {
        row("rollout status deployment/web --timeout=120s", &["successfully rolled out"]).run(&kubectl, "")?;
        eventually("its pods are gone", LIMIT, || kubectl.prints("get pods -o wide", "", &["web-", "!node-3"]))?;
        Ok(())
    });
    steps.step("no write is lost or applied twice, reads are linearizable, watches complete", || {
        println!("    {}", workload.finish()?);
        Ok(())
    });
    steps.end();
}

fn refusals(sandbox: &Sandbox) -> Result<()> {
    let rows: [(&str, &[&str]); 3] = [
        ("remove node-9", &["there is no member \"node-9\"", "node-1", "node-2", "node-3"]),
        ("remove node-1", &["is this node", "mesh leave"]),
        ("remove node-3", &["is alive", "mesh leave", "--force"]),
    ];
    for (command, parts) in rows {
        sandbox.on(ASKED, command).run()?.refuses(parts)?;
    }
    Ok(())
}

fn told(sandbox: &Sandbox, node: &str) -> Result<Value> {
    Ok(serde_json::from_str(&sandbox.on(node, "status -o json").run()?.prints(&[])?)?)
}

/// A node comes to know two members, one voter and a leader.
fn forgotten(sandbox: &Sandbox, node: &str) -> Result<()> {
    eventually(&format!("{node} knows it"), LIMIT, || {
        let status = told(sandbox, node)?;
        let members = status["members"].as_array().map_or(0, Vec::len);
        let voters = named(&status, "voter");
        ensure!(members == 2 && voters.len() == 1, "{members} members, voters {voters:?}");
        ensure!(status["leader"].is_string(), "there is no leader");
        Ok(())
    })
}

/// Leader, term, members and nodes are as they were.
fn undisturbed(sandbox: &Sandbox, kubectl: &Kubectl, before: &Value) -> Result<()> {
    let after = told(sandbox, ASKED)?;
    for what in ["leader", "term"] {
        ensure!(before[what] == after[what], "{what} was {} and is {}", before[what], after[what]);
    }
    let ids = |status: &Value| -> Vec<Value> {
        status["members"].as_array().into_iter().flatten().map(|member| member["id"].clone()).collect()
    };
    ensure!(ids(before) == ids(&after), "members were {:?} and are {:?}", ids(before), ids(&after));
    ensure!(named(before, "voter") == named(&after, "voter"), "the quorum changed");
    kubectl.prints("get nodes", "", &["node-1", "node-2", "!node-3"]).map(drop)
}
