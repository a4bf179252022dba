//! A machine loses power: its endpoints leave every node, its pods run elsewhere, and its return disturbs nobody. DESIGN 3.
//! Before that, clocks are off, and nobody minds.

#[path = "heal_node/clock.rs"]
mod clock;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Callers, Kubectl, Load, Sandbox, Steps, eventually, row, uptime};
use serde_json::Value;

const WEB: &str = include_str!("heal_node/web.yaml");

/// The machine that dies. The newest: the others know it for the shortest time.
const DEAD: &str = "node-3";

/// How long calls may still fail after a machine died, in seconds: 5 are the aim, the rest is for a busy machine.
const WITHDRAWN_SECONDS: f64 = 15.0;

/// How long its pods may take to run elsewhere: 15 s are the aim.
const REPLACED: Duration = Duration::from_secs(60);

/// How long the machine may take to be a node again.
const BACK: Duration = Duration::from_secs(90);

#[test]
fn a_machine_without_power_leaves_services_and_its_pods_run_elsewhere() {
    let sandbox = Sandbox::start("heal-node", 3).unwrap();
    let kubectl = sandbox.newest("node-1");
    let others: Vec<String> = sandbox.names().into_iter().filter(|name| name != DEAD).collect();
    let mut steps = Steps::new();
    let mut callers = None;
    steps.step("servers run on every node, and every other node calls them", || {
        kubectl.prints("apply -f -", WEB, &["deployment.apps/web created"])?;
        row("rollout status deployment/web --timeout=120s", &["successfully rolled out"]).run(&kubectl, "")?;
        let url =
            format!("http://{}/", kubectl.prints("get service web -o jsonpath={.spec.clusterIP}", "", &["10.43."])?);
        callers = Some(Callers::start(&kubectl, &others, &url)?);
        Ok(())
    });
    let workload = sandbox.work(Load::default()).unwrap();
    let before = pods(&kubectl).unwrap_or_default();
    steps.step("clocks ten minutes off: told by the check, minded by nobody", || {
        clock::off(&sandbox, &kubectl, &workload)
    });
    let mut died = 0.0;
    steps.step("a machine loses power: calls succeed again within seconds, on every node", || {
        died = uptime()?;
        sandbox.dev(&format!("kill {DEAD}"))?;
        withdrawn(&kubectl, callers.as_ref().context("callers run")?, &others, died)
    });
    steps.step("its servers run elsewhere", || {
        eventually("three servers on living nodes", REPLACED, || {
            let ready = pods(&kubectl)?.into_iter().filter(|pod| pod.is_server() && pod.ready && pod.node != DEAD);
            let count = ready.count();
            ensure!(count >= 3, "{count} run");
            Ok(())
        })?;
        println!("    {:.1} s after the machine died", uptime()? - died);
        Ok(())
    });
    steps.step("it returns: what ran elsewhere runs on as it is, and all is well", || {
        sandbox.dev(&format!("start {DEAD}"))?;
        eventually("it is a node again", BACK, || kubectl.prints("get nodes", "", &[DEAD, "!NotReady"]).map(drop))?;
        eventually("nothing of its former pods is left", BACK, || {
            let servers = pods(&kubectl)?.into_iter().filter(Pod::is_server).count();
            ensure!(servers == 3, "{servers} servers");
            Ok(())
        })?;
        undisturbed(&before, &pods(&kubectl)?)
    });
    steps.step("no write is lost or applied twice, reads are linearizable, watches complete", || {
        println!("    {}", workload.finish()?);
        Ok(())
    });
    steps.end();
}

/// The last failed call tells when the endpoints left.
fn withdrawn(kubectl: &Kubectl, callers: &Callers, nodes: &[String], died: f64) -> Result<()> {
    for (node, last) in callers.recovered(kubectl, nodes, died, REPLACED)? {
        println!("    {node}: the last failed call began {last:.2} s after the machine died");
        ensure!(last < WITHDRAWN_SECONDS, "calls from {node} failed for {last:.1} s");
    }
    Ok(())
}

/// What this test looks at of a pod.
#[derive(Clone, Debug)]
struct Pod {
    name: String,
    uid: String,
    node: String,
    ready: bool,
    restarts: u64,
}

impl Pod {
    fn is_server(&self) -> bool {
        self.name.starts_with("web-")
    }
}

fn pods(kubectl: &Kubectl) -> Result<Vec<Pod>> {
    let list: Value = serde_json::from_str(&kubectl.prints("get pods -o json", "", &[])?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pod = |item: &Value| Pod {
        name: text(&item["metadata"]["name"]),
        uid: text(&item["metadata"]["uid"]),
        node: text(&item["spec"]["nodeName"]),
        ready: item["status"]["containerStatuses"][0]["ready"] == true,
        restarts: item["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or(0),
    };
    Ok(list["items"].as_array().context("pods are listed")?.iter().map(pod).collect())
}

/// Pods of the other machines are the same as before and were never restarted.
fn undisturbed(before: &[Pod], after: &[Pod]) -> Result<()> {
    for pod in before.iter().filter(|pod| pod.node != DEAD) {
        let now = after.iter().find(|now| now.uid == pod.uid).with_context(|| format!("{} is gone", pod.name))?;
        ensure!(now.restarts == pod.restarts, "{} was restarted {} times", now.name, now.restarts);
    }
    let restarted: Vec<_> = after.iter().filter(|pod| pod.restarts > 0).collect();
    ensure!(restarted.is_empty(), "{restarted:?}");
    Ok(())
}
