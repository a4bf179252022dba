//! Nodes are upgraded one by one under load: no pod is replaced, no call of a pod or of an API client fails, and the feature
//! level rises with the last. DESIGN 3.
//!
//! `MESH_PREVIOUS_BIN` names the binary to upgrade from; without it the nodes start with a copy of the one under test whose data
//! plane is of another build, so that both processes of each node are replaced.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::{Api, Callers, Kubectl, Load, Sandbox, Steps, eventually, of_another_build, row, uptime};
use serde_json::Value;

const WEB: &str = include_str!("heal_node/web.yaml");

/// How long a node may take to end, start and be ready, on a busy machine.
const NODE_LIMIT: Duration = Duration::from_secs(60);

/// How long a call may take. Packets between nodes wait for a moment while the data plane is replaced: a connection that is
/// opened in it begins anew after 1 s (RFC 6298 §2).
const CALL_SECONDS: u32 = 3;

/// How often a client asks again, each time another node, when its connection fails.
const TRIES: usize = 6;

#[test]
fn an_upgrade_node_by_node_fails_no_call_and_replaces_no_pod() {
    let folder = tempfile::tempdir().unwrap();
    let named = std::env::var_os("MESH_PREVIOUS_BIN").map(PathBuf::from);
    let previous = named.clone().unwrap_or_else(|| folder.path().join("mesh"));
    if named.is_none() {
        of_another_build(&previous).unwrap();
    }
    let sandbox = Sandbox::start_with(&previous, "upgrade", 3).unwrap();
    let kubectl = sandbox.newest("node-1");
    let mut steps = Steps::new();
    let (mut callers, mut before) = (None, BTreeMap::new());
    let level = levels(&sandbox, "node-1").unwrap().0;
    steps.step("servers and callers run on every node", || {
        kubectl.prints("apply -f -", WEB, &["deployment.apps/web created"])?;
        row("rollout status deployment/web --timeout=120s", &["successfully rolled out"]).run(&kubectl, "")?;
        callers = Some(Callers::start_with(
            &kubectl,
            &sandbox.names(),
            "http://web.default.svc.cluster.local/",
            CALL_SECONDS,
        )?);
        before = pods(&kubectl)?;
        Ok(())
    });
    let workload = sandbox.work(Load::default()).unwrap();
    let (stop, began) = (AtomicBool::new(false), uptime().unwrap_or_default());
    let mut api = workload.api(0);
    let asked = std::thread::scope(|scope| {
        let client = scope.spawn(|| ask_until(&mut api, &stop));
        for node in sandbox.names() {
            steps.step(&format!("{node} is upgraded"), || {
                ensure!(
                    levels(&sandbox, &node)?.0 == level,
                    "the feature level changed while this node could not know it"
                );
                upgrade(&sandbox, &node)
            });
        }
        stop.store(true, Ordering::Relaxed);
        client.join().expect("the client does not panic")
    });
    steps.step("the feature level is the newest, since all nodes know it", || {
        sandbox.names().iter().try_for_each(|node| is_newest(&sandbox, node))
    });
    steps.step("each data plane was replaced where it is of another build", || {
        sandbox.names().iter().filter(|_| named.is_none()).try_for_each(|node| followed(&sandbox, node))
    });
    steps.step("no request of an API client failed", || {
        println!("    {} requests", asked?);
        Ok(())
    });
    steps.step("no call between pods failed", || {
        none_failed(&callers.context("callers run")?, &kubectl, &sandbox.names(), began)
    });
    steps.step("no pod was replaced or restarted", || {
        let after = pods(&kubectl)?;
        ensure!(before == after, "before {before:?}, after {after:?}");
        Ok(())
    });
    steps.step("no write is lost or applied twice, reads are linearizable, watches complete", || {
        println!("    {}", workload.finish()?);
        Ok(())
    });
    steps.end();
}

fn is_newest(sandbox: &Sandbox, node: &str) -> Result<()> {
    eventually("the feature level", NODE_LIMIT, || {
        let (level, newest) = levels(sandbox, node)?;
        ensure!(level == newest, "{node} is at {level} of {newest}");
        Ok(())
    })
}

/// Whether the node's data plane followed one of another build.
fn followed(sandbox: &Sandbox, node: &str) -> Result<()> {
    let log = std::fs::read_to_string(sandbox.home(node).join("data/dataplane.log"))?;
    ensure!(log.contains("is followed"), "{node}: {log}");
    Ok(())
}

fn none_failed(callers: &Callers, kubectl: &Kubectl, nodes: &[String], began: f64) -> Result<()> {
    for (node, calls) in callers.calls(kubectl, nodes)? {
        let during: Vec<_> = calls.iter().filter(|call| call.at > began).collect();
        let failed: Vec<_> = during.iter().filter(|call| !call.answered()).collect();
        ensure!(failed.is_empty() && !during.is_empty(), "{node}: of {} calls failed {failed:?}", during.len());
    }
    Ok(())
}

/// The feature level in force, and the newest that this node knows. The first release tells of none.
fn levels(sandbox: &Sandbox, node: &str) -> Result<(u64, u64)> {
    let status: Value = serde_json::from_str(&sandbox.on(node, "status -o json").run()?.prints(&[])?)?;
    let level = |field: &str| status[field].as_u64().unwrap_or(1);
    Ok((level("featureLevel"), level("newestFeatureLevel")))
}

/// SIGTERM, as systemd sends it, then the new binary on the same data.
fn upgrade(sandbox: &Sandbox, node: &str) -> Result<()> {
    let began = Instant::now();
    sandbox.stop(node, NODE_LIMIT)?;
    sandbox.dev(&format!("start {node}"))?;
    println!("    {node} is back after {:.1?}", began.elapsed());
    eventually("it is a node again", NODE_LIMIT, || {
        sandbox.newest(node).prints("get nodes", "", &[node, "!NotReady"]).map(drop)
    })
}

/// Reads again and again, at another node where a connection fails; how often, if each was answered at last.
fn ask_until(api: &mut Api, stop: &AtomicBool) -> Result<usize> {
    for count in 0.. {
        if stop.load(Ordering::Relaxed) {
            return Ok(count);
        }
        let mut tries = (0..TRIES).map(|_| api.ask("GET", "/api/v1/namespaces/default", "application/json", ""));
        let answer = tries.find_map(Result::ok).with_context(|| format!("request {count}: no node answered"))?;
        ensure!(answer.code == 200, "request {count}: {} {}", answer.code, answer.json());
    }
    Ok(0)
}

/// UID and restarts of each pod.
fn pods(kubectl: &Kubectl) -> Result<BTreeMap<String, String>> {
    let path = r#"get pods -o 'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.status.containerStatuses[0].restartCount}{"\n"}{end}'"#;
    let said = kubectl.prints(path, "", &[])?;
    Ok(said.lines().filter_map(|line| line.split_once(' ')).map(|(name, what)| (name.into(), what.into())).collect())
}
