//! `mesh dev` itself: nodes die and come back, and `down` leaves no trace, whatever state it finds.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use cluster::{Program, Sandbox, Steps, mesh, row};

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
