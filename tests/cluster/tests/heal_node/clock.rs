//! Two clocks are ten minutes off, one ahead and one behind, the leader's being one of them: `mesh check` tells, and nothing else
//! happens. DESIGN 3: agreement and liveness go by spans of time, which nobody can set.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::{Kubectl, Sandbox, Workload, eventually};
use serde_json::Value;

/// How far a clock is off.
const MINUTES: i64 = 10;

/// What a slow machine may add to a reading, in seconds.
const SLACK: i64 = 60;

/// How long the clocks stay off: longer than it takes to find a silent node dead.
const HOLD: Duration = Duration::from_secs(4);

/// How long a change may take to be seen on a busy machine.
const SEEN: Duration = Duration::from_secs(60);

/// What is made to see whose time it carries.
const MADE: &str = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "timed-"}}"#;

/// Metrics that rise when somebody is elected, falls silent or is not reached any more.
const COUNTED: [&str; 4] = [
    "etcd_server_leader_changes_seen_total ",
    "mesh_consensus_term ",
    "mesh_gossip_silences_total ",
    "mesh_dataplane_withdrawals_total ",
];

/// What must not change: who leads since when, and since when nodes and pods are as they are.
#[derive(Debug, PartialEq)]
struct Peace {
    agreement: Vec<(Value, Value)>,
    counted: Vec<String>,
    nodes: Vec<(Value, Value, Value)>,
    pods: Vec<(Value, Value, Value)>,
}

impl Peace {
    fn of(sandbox: &Sandbox, kubectl: &Kubectl) -> Result<Self> {
        let list = |what: &str| -> Result<Vec<Value>> {
            let list: Value = serde_json::from_str(&kubectl.prints(&format!("get {what} -o json"), "", &[])?)?;
            Ok(list["items"].as_array().context("a list")?.clone())
        };
        let take = |node: &String| -> Result<(Value, Value)> {
            let said: Value = serde_json::from_str(&sandbox.on(node, "status -o json").run()?.prints(&[])?)?;
            Ok((said["leader"].clone(), said["term"].clone()))
        };
        let metrics = kubectl.prints("get --raw /metrics", "", &COUNTED)?;
        let counted = metrics.lines().filter(|line| COUNTED.iter().any(|name| line.starts_with(name)));
        let node = |one: &Value| (one["metadata"]["uid"].clone(), one["spec"]["taints"].clone(), ready(one));
        let pod = |one: &Value| {
            let restarts = one["status"]["containerStatuses"][0]["restartCount"].clone();
            (one["metadata"]["uid"].clone(), restarts, ready(one))
        };
        Ok(Self {
            agreement: sandbox.names().iter().map(take).collect::<Result<_>>()?,
            counted: counted.map(str::to_owned).collect(),
            nodes: list("nodes")?.iter().map(node).collect(),
            pods: list("pods")?.iter().map(pod).collect(),
        })
    }
}

/// Whether it is ready, and since when.
fn ready(object: &Value) -> Value {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().find(|one| one["type"] == "Ready").map_or(Value::Null, |one| {
        let (status, since) = (&one["status"], &one["lastTransitionTime"]);
        Value::from(vec![status.clone(), since.clone()])
    })
}

/// The leader is ahead and a follower behind, then the other way round.
pub(crate) fn off(sandbox: &Sandbox, kubectl: &Kubectl, workload: &Workload) -> Result<()> {
    [MINUTES, -MINUTES].into_iter().try_for_each(|ahead| round(sandbox, kubectl, workload, ahead))
}

/// The leader is so many minutes ahead and a follower as many behind, for a while.
fn round(sandbox: &Sandbox, kubectl: &Kubectl, workload: &Workload, ahead: i64) -> Result<()> {
    sandbox.chaos("heal")?;
    let before = Peace::of(sandbox, kubectl)?;
    let (leader, names) = (sandbox.leader("node-1")?, sandbox.names());
    let follower = names.iter().find(|name| **name != leader).context("a follower")?;
    let since = Instant::now();
    sandbox.chaos(&format!("clock {leader} --by {ahead}m"))?;
    sandbox.chaos(&format!("clock {follower} --by {}m", -ahead))?;
    told(sandbox, &leader, follower, -2 * ahead * 60)?;
    written(sandbox, &leader, ahead * 60)?;
    written(sandbox, follower, -ahead * 60)?;
    // awaited: the length of the fault itself
    std::thread::sleep(HOLD);
    let gap = workload.next_write(since, SEEN)?;
    println!("    {leader} {ahead:+} min, {follower} {:+} min; next write after {gap:.2?}", -ahead);
    sandbox.chaos("heal")?;
    eventually("clocks agree again", SEEN, || {
        let line = clock_line(sandbox, &leader)?;
        ensure!(line["state"] != "fail", "{line}");
        Ok(())
    })?;
    let after = Peace::of(sandbox, kubectl)?;
    ensure!(after == before, "something happened:\n{before:#?}\n{after:#?}");
    Ok(())
}

/// The line of `mesh check` about clocks.
fn clock_line(sandbox: &Sandbox, node: &str) -> Result<Value> {
    let ended = sandbox.on(node, "check -o json").limit(SEEN).run()?;
    let lines: Vec<Value> = serde_json::from_str(&ended.stdout).with_context(|| format!("no lines: {ended}"))?;
    lines.into_iter().find(|line| line["name"] == "clock").context("no line about clocks")
}

/// Waits until one node's check fails with how far the other's clock is ahead, in seconds.
fn told(sandbox: &Sandbox, node: &str, other: &str, ahead: i64) -> Result<()> {
    eventually(&format!("{node} tells the clock of {other}"), SEEN, || {
        let line = clock_line(sandbox, node)?;
        let figure = line["figure"].as_str().unwrap_or_default();
        let millis =
            figure.strip_prefix(&format!("{other} is ")).and_then(|rest| rest.split_once(" ms")?.0.parse().ok());
        let millis: i64 = millis.with_context(|| line.to_string())?;
        ensure!(line["state"] == "fail" && (millis / 1000 - ahead).abs() < SLACK, "{ahead} s: {line}");
        Ok(())
    })
}

/// What this node writes carries its own time, so many seconds ahead of this machine's.
fn written(sandbox: &Sandbox, node: &str, ahead: i64) -> Result<()> {
    let kubectl = sandbox.newest(node);
    let make = "create -f - -o jsonpath={.metadata.creationTimestamp}";
    let made: jiff::Timestamp = kubectl.prints(make, MADE, &[])?.trim().parse()?;
    let off = made.as_second() - jiff::Timestamp::now().as_second();
    ensure!((off - ahead).abs() < SLACK, "{node} wrote {made}, {off} s from here");
    Ok(())
}
