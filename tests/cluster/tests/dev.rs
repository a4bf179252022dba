//! `mesh dev` itself: nodes die and come back, and `down` leaves no trace, whatever state it finds.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use cluster::{Program, Sandbox, Steps, eventually, mesh, row};

/// How long a supervisor waits before it starts again what ended: as packaging/mesh-dataplane.service says.
const RESTART: Duration = Duration::from_secs(1);

/// How long a process may take to be there and known, on a busy machine.
const SEEN: Duration = Duration::from_secs(60);

/// What of a sandbox is on this machine.
fn traces(name: &str) -> Result<Vec<String>> {
    let mut traces = Vec::new();
    for folder in ["/var/lib/mesh-dev", "/run/mesh-dev"] {
        let path = Path::new(folder).join(name);
        traces.extend(path.exists().then(|| path.display().to_string()));
    }
    for (program, arguments) in [("ip", &["netns"][..]), ("nft", &["list", "tables"])] {
        let listed = Command::new(program).args(arguments).output()?.stdout;
        traces.extend(String::from_utf8_lossy(&listed).lines().filter(|line| line.contains(name)).map(Into::into));
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    traces.extend(mounts.lines().filter(|line| line.contains(&format!("/{name}/"))).map(Into::into));
    Ok(traces)
}

fn refused(arguments: &str, parts: &[&str]) -> Result<()> {
    Program::new(mesh(), &format!("dev {arguments}")).run()?.refuses(parts).map(drop)
}

/// Where a node's processes meet.
fn state_dir(sandbox: &Sandbox, node: &str) -> PathBuf {
    Path::new("/run/mesh-dev").join(&sandbox.name).join(node).join("mesh")
}

/// Starts a node's data plane as its unit would, and waits until it can be asked.
fn start_as_supervisor(sandbox: &Sandbox, node: &str) -> Result<Child> {
    let state = state_dir(sandbox, node);
    let program = Program::new(Path::new("nsenter"), &format!("--net=/run/netns/{}", sandbox.namespace(node)));
    let program = program.arg(mesh()).arg("dataplane").arg("--data-dir").arg(sandbox.home(node).join("data"));
    let mut child = program.arg("--state-dir").arg(&state).spawn()?;
    eventually("the supervised data plane listens", SEEN, || {
        ensure!(child.try_wait()?.is_none(), "it ended");
        ensure!(std::os::unix::net::UnixStream::connect(state.join("dataplane.sock")).is_ok(), "it does not");
        Ok(())
    })?;
    Ok(child)
}

/// The node feeds this data plane, which runs, and no other.
fn feeds(sandbox: &Sandbox, node: &str, child: &mut Child) -> Result<()> {
    eventually(&format!("{node} feeds process {}", child.id()), SEEN, || {
        let said = sandbox.on(node, "status -o json").run()?.prints(&[])?;
        let status: serde_json::Value = serde_json::from_str(&said)?;
        let dataplane = &status["dataplane"]["up"];
        ensure!(dataplane["pid"] == child.id() && dataplane["fed"] == true, "{}", status["dataplane"]);
        Ok(())
    })?;
    ensure!(child.try_wait()?.is_none(), "it ended");
    Ok(())
}

/// How often `mesh` itself started a data plane.
fn starts(sandbox: &Sandbox, node: &str) -> Result<usize> {
    let log = std::fs::read_to_string(sandbox.home(node).join("mesh.log"))?;
    Ok(log.matches("the data plane was started").count())
}

/// `mesh` finds the data plane that a supervisor started, and leaves it to him to start it again.
fn supervised(sandbox: &Sandbox, node: &str) -> Result<()> {
    sandbox.dev(&format!("kill {node} --only mesh"))?;
    sandbox.dev(&format!("kill {node} --only dataplane"))?;
    let before = starts(sandbox, node)?;
    let mut first = start_as_supervisor(sandbox, node)?;
    sandbox.dev(&format!("start {node}"))?;
    feeds(sandbox, node, &mut first)?;
    first.kill()?;
    first.wait()?;
    // awaited: the pause of a supervisor, in which mesh could start its own
    sleep(RESTART);
    let mut second = start_as_supervisor(sandbox, node)?;
    feeds(sandbox, node, &mut second)?;
    ensure!(starts(sandbox, node)? == before, "mesh started one, too");
    second.kill()?;
    second.wait()?;
    Ok(())
}

#[test]
fn a_sandbox_survives_its_nodes_and_goes_without_a_trace() {
    let sandbox = Sandbox::start("dev", 2).unwrap();
    let mut steps = Steps::new();
    steps.step("what it is asked wrongly is refused with a remedy", || {
        refused("kill node-9 --name t-dev", &["no node \"node-9\"", "node-1 to node-2"])?;
        refused("start node-1 --name none-such", &["mesh dev up --name none-such"])?;
        refused("up --nodes 0 --name t-zero", &["--nodes 0: give 1 to"])?;
        refused("up --name Bad_Name", &["Bad_Name", "lower case"])?;
        refused("up --nodes 1 --name t-dev", &["t-dev has 2 nodes"])
    });
    steps.step("a killed node is down, and comes back as a member", || {
        sandbox.dev("kill node-2")?;
        let status = sandbox.dev("status")?;
        ensure!(status.lines().any(|line| line.starts_with("node-2") && line.ends_with("down")), "{status}");
        sandbox.dev("start node-2")?;
        row("get --raw /readyz", &["ok"]).run(&sandbox.newest("node-2"), "")
    });
    steps.step("up starts whatever does not run", || {
        sandbox.dev("kill node-1 --only mesh")?;
        sandbox.dev("up --nodes 2")?;
        row("get --raw /readyz", &["ok"]).run(&sandbox.newest("node-1"), "")
    });
    steps.step("a data plane that a supervisor started is used, and his to start again", || {
        supervised(&sandbox, "node-1")
    });
    steps.step("down leaves nothing, also of a node that is dead", || {
        sandbox.dev("kill node-2")?;
        sandbox.dev("down")?;
        let left = traces(&sandbox.name)?;
        ensure!(left.is_empty(), "{left:#?}");
        ensure!(sandbox.dev("down")?.contains("nothing there"), "down again finds something");
        Ok(())
    });
    steps.end();
}
