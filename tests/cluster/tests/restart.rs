//! Everything off, everything on: all machines lose power at once and come back in another order, then once more with one of
//! the disks gone. Nobody helps but who starts them. DESIGN 3 and 4. Leaves out a rest of a year, since the clock is the host's:
//! that members do not mind is tested in `net`, and that API servers' certificates are renewed in `actors`.

use std::time::Duration;

use anyhow::{Result, ensure};
use cluster::{Kubectl, Sandbox, Steps, eventually, named, row};
use serde_json::Value;

const WEB: &str = include_str!("heal_node/web.yaml");

/// Asks the Service once from a pod; its name is that of a Service, so DNS answers too.
const ASK: &str = r#"exec asker -- timeout 3 wget -qO- http://web.default.svc.cluster.local/"#;

/// Who asks: on the machine that comes up last, and there again after each start.
const ASKER: &str = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asker"}, "spec": {
    "nodeName": "node-1", "terminationGracePeriodSeconds": 1, "tolerations": [{"operator": "Exists"}],
    "containers": [{"name": "c", "image": "mesh.test/busybox:1", "command": ["sh", "-c", "exec sleep 100000"]}]}}"#;

/// Whose disk is lost.
const WIPED: &str = "node-2";

/// Who is asked.
const ASKED: &str = "node-1";

/// How long anything here may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn a_cluster_without_power_comes_back_by_itself_also_with_a_disk_lost() {
    let sandbox = Sandbox::start("restart", 3).unwrap();
    let kubectl = sandbox.newest(ASKED);
    let mut steps = Steps::new();
    let mut made = String::new();
    steps.step("servers run behind a Service, and a pod asks them", || {
        kubectl.prints("apply -f -", WEB, &["deployment.apps/web created"])?;
        kubectl.prints("apply -f -", ASKER, &["pod/asker created"])?;
        row("rollout status deployment/web --timeout=120s", &["successfully rolled out"]).run(&kubectl, "")?;
        made = kubectl.prints("create configmap acknowledged -o jsonpath={.metadata.uid}", "", &["-"])?;
        serves(&kubectl)
    });
    steps.step("all machines lose power, and start in another order", || {
        off(&sandbox)?;
        ["node-3", "node-2", "node-1"].iter().try_for_each(|node| sandbox.dev(&format!("start {node}")).map(drop))
    });
    steps.step("what was acknowledged is there; pods, Service and DNS work again", || {
        back(&sandbox, &kubectl, &["node-1", "node-2", "node-3"], &made)?;
        eventually("the Deployment", LIMIT, || kubectl.prints("get deployment web", "", &["3/3"]).map(drop))
    });
    steps.step("all lose power again, and one its disk; two of them go on", || {
        off(&sandbox)?;
        std::fs::remove_dir_all(sandbox.home(WIPED).join("data"))?;
        ["node-1", "node-3"].iter().try_for_each(|node| sandbox.dev(&format!("start {node}")).map(drop))?;
        back(&sandbox, &kubectl, &["node-1", "node-3"], &made)
    });
    steps.step("the third comes back with an empty disk, once its former self is removed, and votes", || {
        sandbox.on(ASKED, &format!("remove {WIPED}")).run()?.prints(&[WIPED])?;
        sandbox.dev("up --nodes 3")?;
        eventually("three voters", LIMIT, || {
            let voters = named(&told(&sandbox)?, "voter");
            ensure!(voters == sandbox.names(), "voters are {voters:?}");
            kubectl.prints("get nodes", "", &[WIPED, "!NotReady"]).map(drop)
        })
    });
    steps.end();
}

/// Cuts the power of all machines.
fn off(sandbox: &Sandbox) -> Result<()> {
    sandbox.names().iter().try_for_each(|node| sandbox.dev(&format!("kill {node}")).map(drop))
}

/// Waits until these nodes are ready and everything works that did before.
fn back(sandbox: &Sandbox, kubectl: &Kubectl, nodes: &[&str], made: &str) -> Result<()> {
    for node in nodes {
        eventually(&format!("{node} is ready"), LIMIT, || {
            kubectl.prints(&format!("get node {node}"), "", &[" Ready"]).map(drop)
        })?;
        sandbox.on(node, "status --wait 60").run()?.prints(&[])?;
    }
    kubectl.prints("get configmap acknowledged -o jsonpath={.metadata.uid}", "", &[made])?;
    serves(kubectl)
}

fn serves(kubectl: &Kubectl) -> Result<()> {
    eventually("the Service", LIMIT, || kubectl.prints(ASK, "", &["web-"]).map(drop))
}

fn told(sandbox: &Sandbox) -> Result<Value> {
    Ok(serde_json::from_str(&sandbox.on(ASKED, "status -o json").run()?.prints(&[])?)?)
}
