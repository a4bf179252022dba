//! A machine whose disk was wiped comes back under its name as a new member. The old one must be dead or removed first;
//! its vote, Node object and pods are taken over. DESIGN 4, "An empty disk is a new NodeId".

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Program, Sandbox, Steps, becomes, eventually, mesh, named};
use serde_json::Value;

/// A pod of the machine that is wiped.
const POD: &str = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fixed"}, "spec": {
    "nodeName": "node-3", "terminationGracePeriodSeconds": 1, "tolerations": [{"operator": "Exists"}],
    "containers": [{"name": "c", "image": "mesh.test/busybox:1", "command": ["sh", "-c", "httpd -f -p 8080 -h /tmp"]}]}}"#;

/// The machine that is wiped.
const WIPED: &str = "node-3";

/// What a second node on one machine needs.
const BESIDE: &str = "--no-pods --listen 0.0.0.0:17443 --api-listen 0.0.0.0:16443";

/// Who is asked.
const ASKED: &str = "node-1";

/// How long anything here may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn a_wiped_machine_takes_its_name_over_once_its_former_self_is_dead() {
    let sandbox = Sandbox::start("rejoin", 3).unwrap();
    let kubectl = sandbox.newest(ASKED);
    let line = sandbox.on(ASKED, "token create").run().unwrap().prints(&["mesh join"]).unwrap();
    let mut steps = Steps::new();
    let before = id(&sandbox).unwrap();
    steps.step("a pod runs on the machine", || {
        kubectl.prints("apply -f -", POD, &["pod/fixed created"])?;
        becomes("get pod fixed", &["Running"]).run(&kubectl, "")
    });
    steps.step("nobody takes the name of a member that is alive", || {
        let elsewhere = sandbox.root().join("elsewhere");
        let join = |more: &str| join(&sandbox, &line, &elsewhere, &format!("{BESIDE} {more}")).run();
        join("")?.refuses(&["node-3", "--replace"])?;
        join("--replace")?.refuses(&["node node-3 is alive and is not replaced"])?;
        ensure!(id(&sandbox)? == before, "the member changed");
        Ok(())
    });
    let mut joined = None;
    steps.step("its disk is wiped, and it joins as a new member of the same name", || {
        sandbox.dev(&format!("kill {WIPED} --only mesh"))?;
        joined = Some(Running(start(&sandbox, &line, &sandbox.home(WIPED).join("wiped"))?));
        eventually("a new id", LIMIT, || {
            ensure!(id(&sandbox)? != before, "the member is the former one");
            Ok(())
        })
    });
    steps.step("three vote again", || {
        eventually("three voters", LIMIT, || {
            let voters = named(&told(&sandbox)?, "voter");
            ensure!(voters == sandbox.names(), "voters are {voters:?}");
            Ok(())
        })
    });
    steps.step("the Node object is the new member's, and is ready", || {
        let new = id(&sandbox)?;
        eventually("the Node", LIMIT, || {
            let node: Value = serde_json::from_str(&kubectl.prints(&format!("get node {WIPED} -o json"), "", &[])?)?;
            ensure!(node["metadata"]["annotations"]["mesh.dev/node-id"] == new.as_str(), "it is another's");
            kubectl.prints(&format!("get node {WIPED}"), "", &[" Ready"]).map(drop)
        })
    });
    steps.step("its pod runs", || becomes("get pod fixed", &["1/1", "Running"]).run(&kubectl, ""));
    drop(joined);
    steps.end();
}

/// The process of the node that joined anew; the sandbox ends what it started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn told(sandbox: &Sandbox) -> Result<Value> {
    Ok(serde_json::from_str(&sandbox.on(ASKED, "status -o json").run()?.prints(&[])?)?)
}

/// Id of the member that has the name.
fn id(sandbox: &Sandbox) -> Result<String> {
    let status = told(sandbox)?;
    let members = status["members"].as_array().context("members are listed")?;
    let found = members.iter().find(|member| member["name"] == WIPED).context("nobody has the name")?;
    Ok(found["id"].as_str().context("it has an id")?.to_owned())
}

/// `mesh join` in the machine's network.
fn join(sandbox: &Sandbox, line: &str, data: &Path, more: &str) -> Program {
    let (mesh, data) = (mesh().display(), data.display());
    let network = format!("--net=/run/netns/mesh-{}-{WIPED}", sandbox.name);
    let words = line.trim().trim_start_matches("mesh ");
    Program::new(Path::new("nsenter"), &format!("{network} {mesh} {words} --name {WIPED} --data-dir {data} {more}"))
}

fn start(sandbox: &Sandbox, line: &str, data: &Path) -> Result<Child> {
    let run = Path::new("/run/mesh-dev").join(&sandbox.name).join(WIPED);
    let more = format!(
        "--replace --advertise {} --state-dir {} --containerd-socket {}",
        sandbox.address(WIPED)?,
        run.join("mesh").display(),
        run.join("containerd.sock").display()
    );
    join(sandbox, line, data, &more).spawn()
}
