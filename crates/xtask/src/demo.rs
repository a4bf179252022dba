//! `cargo xtask demo`: three nodes on this machine run a Deployment behind a Service, and survive the death of their leader.
//!
//! A tour of what works, each step done for real and timed. The nodes stay up for the user to try; `--down` ends them
//! and removes all they kept. The nodes are a sandbox of `mesh dev`.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    build,
    kubectl::{self, KUBECTL},
    system,
    test::PACKAGES,
    workspace::{Features, Workspace},
};

mod calls;
mod images;
mod sandbox;
mod ticks;

use sandbox::Sandbox;
use ticks::Ticks;

/// Where pods run that the tour calls from: its name in the cluster.
const CALLER: &str = "caller";

/// How long a rollout may take on a busy machine.
const ROLLOUT: &str = "--timeout=120s";

/// Runs the tour, or ends what a former one left.
///
/// # Errors
/// Names the step that failed, with the node's own words.
pub(crate) fn run(down: bool) -> Result<()> {
    let workspace = Workspace::load(Features::Default)?;
    ensure!(system::is_root(), "nodes need network namespaces and containerd: run this as root");
    system::install(PACKAGES)?;
    let tools = kubectl::folder(&workspace.root.join("target/tools"))?;
    let kubectl = tools.map_or_else(|| PathBuf::from(KUBECTL.program), |folder| folder.join(KUBECTL.program));
    let ticks = Ticks::start();
    let mut mesh = PathBuf::new();
    ticks.loud("mesh is built (the first time takes minutes)", || {
        mesh = build::build(&workspace.root, "fast", &["-p", "mesh"])?.remove("mesh").context("cargo built no mesh")?;
        Ok(String::new())
    })?;
    let tour = Tour { sandbox: Sandbox::new(mesh, kubectl), root: workspace.root };
    ticks.step("what a former demo left is removed", || tour.sandbox.down())?;
    if down {
        return Ok(());
    }
    tour.walk(&ticks).context("the demo failed; `cargo xtask demo --down` removes what is left of it")?;
    tour.farewell(&ticks);
    Ok(())
}

struct Tour {
    sandbox: Sandbox,
    root: PathBuf,
}

impl Tour {
    fn walk(&self, ticks: &Ticks) -> Result<()> {
        ticks.loud("three nodes are up and vote", || self.sandbox.up())?;
        ticks.step("the example app's image is built and imported on every node", || {
            images::import(&self.root, &self.sandbox)
        })?;
        ticks.step("kubectl applies examples/hello", || self.apply())?;
        ticks.step("three pods are ready", || self.rolled_out())?;
        let leader = self.sandbox.leader()?;
        let (caller, other) = self.sandbox.others(&leader)?;
        ticks.step(&format!("a pod on {caller} waits to call"), || self.start_caller(&caller))?;
        ticks.step("it reaches the Service by address, name and node port", || self.call_all())?;
        ticks.step(&format!("{leader}, the leading node, loses power"), || self.sandbox.kill(&leader))?;
        let killed = Instant::now();
        self.sandbox.talk_to(&other)?;
        ticks.step("the others go on: calls", || calls::settle(&self.sandbox, killed, 2))?;
        ticks.step("the others go on: writes", || self.write(killed))?;
        ticks.step(&format!("{leader} comes back"), || self.sandbox.start(&leader))?;
        let back = Instant::now();
        ticks.step("three pods answer again", || calls::settle(&self.sandbox, back, 3))?;
        ticks.step("the Service is reached by address, name and node port", || self.call_all())
    }

    fn apply(&self) -> Result<String> {
        let folder = self.root.join("examples/hello");
        let said = self.sandbox.kubectl(&["apply", "-f", &folder.to_string_lossy()])?;
        Ok(format!("{} objects", said.lines().count()))
    }

    fn rolled_out(&self) -> Result<String> {
        self.sandbox.kubectl(&["-n", "hello", "rollout", "status", "deployment/hello", ROLLOUT])?;
        let columns = r#"jsonpath={range .items[*]}{.metadata.name} on {.spec.nodeName}{"\n"}{end}"#;
        let pods = self.sandbox.kubectl(&["-n", "hello", "get", "pods", "-l", "app=hello", "-o", columns])?;
        Ok(pods.lines().collect::<Vec<_>>().join(", "))
    }

    fn start_caller(&self, node: &str) -> Result<String> {
        let overrides = format!(r#"{{"spec":{{"nodeSelector":{{"kubernetes.io/hostname":"{node}"}}}}}}"#);
        let image = format!("--image={}", images::BUSYBOX);
        let run = ["-n", "hello", "run", CALLER, &image, "--restart=Always", "--overrides", &overrides];
        self.sandbox.kubectl(&[&run[..], &["--", "sleep", "1000000"]].concat())?;
        self.sandbox.kubectl(&["-n", "hello", "wait", "--for=condition=Ready", "pod/caller", ROLLOUT])?;
        Ok(String::new())
    }

    fn call_all(&self) -> Result<String> {
        let address =
            self.sandbox.kubectl(&["-n", "hello", "get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}"])?;
        let mut told = Vec::new();
        for (what, host) in
            [("address", address.as_str()), ("name", "hello"), ("full name", "hello.hello.svc.cluster.local")]
        {
            let calls = calls::from_pod(&self.sandbox, host)?;
            ensure!(calls.failed == 0, "{} of {} calls to {host} failed", calls.failed, calls::CALLS);
            told.push(format!("{what} {}", calls.pods.len()));
        }
        for node in self.sandbox.addresses()? {
            let answer = calls::from_outside(&node)?;
            if !answer.contains("hello from") {
                bail!("port {} of {node} answered {answer:?}", calls::NODE_PORT);
            }
        }
        Ok(format!("pods that answered by {}; and every node's port", told.join(", ")))
    }

    fn write(&self, killed: Instant) -> Result<String> {
        self.sandbox.kubectl(&["-n", "hello", "create", "configmap", "after", "--from-literal=leader=gone"])?;
        Ok(format!("written {:.1} s after the kill", killed.elapsed().as_secs_f32()))
    }

    fn farewell(&self, ticks: &Ticks) {
        println!("\nDone in {:.1} s. Three nodes keep running; try them:\n", ticks.seconds());
        println!("  export KUBECONFIG={}", self.sandbox.kubeconfig().display());
        println!("  {} get pods -A -o wide", self.sandbox.kubectl.display());
        println!("  {} dev status --name {}", self.sandbox.mesh.display(), sandbox::NAME);
        println!("\nRemove every trace:\n\n  cargo xtask demo --down");
    }
}
