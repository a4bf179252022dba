//! `mesh check`: a healthy cluster has nothing that fails; what is broken is named by its line, with a remedy and a code.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Ended, Program, Sandbox, Steps, eventually, mesh};
use serde_json::Value;

/// How long a change may take to be seen on a busy machine.
const SEEN: Duration = Duration::from_secs(60);

/// How long one look may take, whoever is down: every question has 3 s, and they are asked together.
const LOOK: Duration = Duration::from_secs(30);

/// Lines about this machine, which tests share with others: how they are is not the cluster's matter.
const MACHINE: &[&str] = &["disk latency", "disk space", "memory", "open files"];

/// What a look found: each line's state, and all of its words.
struct Look {
    code: Option<i32>,
    lines: BTreeMap<String, (String, String)>,
}

impl Look {
    fn of(ended: &Ended) -> Result<Self> {
        let found: Vec<Value> = serde_json::from_str(&ended.stdout).with_context(|| format!("no lines: {ended}"))?;
        let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
        let lines = found.iter().map(|line| (text(line, "name"), (text(line, "state"), line.to_string())));
        let look = Self { code: ended.code, lines: lines.collect() };
        for (name, (state, words)) in &look.lines {
            ensure!(words.contains("\"remedy\"") == (state != "ok"), "{name} has a remedy where it is not ok: {words}");
        }
        let failed = look.lines.values().any(|(state, _)| state == "fail");
        ensure!(failed == (look.code != Some(0)), "the code does not tell what fails: {ended}");
        Ok(look)
    }

    /// This line is in this state, and its words hold this.
    fn tells(&self, name: &str, state: &str, part: &str) -> Result<()> {
        let (found, words) = self.lines.get(name).with_context(|| format!("no line {name}: {:#?}", self.lines))?;
        ensure!(found == state && words.contains(part), "{name} should be {state} and tell {part:?}: {words}");
        Ok(())
    }
}

fn look(sandbox: &Sandbox, node: &str) -> Result<Look> {
    Look::of(&sandbox.on(node, "check -o json").limit(LOOK).run()?)
}

/// Looks until these lines are so.
fn finds(sandbox: &Sandbox, node: &str, rows: &[(&str, &str, &str)]) -> Result<()> {
    eventually(&format!("{node} finds {rows:?}"), SEEN, || {
        let look = look(sandbox, node)?;
        rows.iter().try_for_each(|(name, state, part)| look.tells(name, state, part))
    })
}

fn healthy(sandbox: &Sandbox, node: &str) -> Result<()> {
    eventually(&format!("{node} is well"), SEEN, || {
        let look = look(sandbox, node)?;
        let ill: Vec<_> = look.lines.iter().filter(|(name, _)| !MACHINE.contains(&name.as_str())).collect();
        let ill: Vec<_> = ill.into_iter().filter(|(_, (state, _))| state != "ok").collect();
        ensure!(ill.is_empty(), "{ill:#?}");
        let wanted = [
            "quorum",
            "voters",
            "replication",
            "members",
            "clock",
            "certificates",
            "dataplane",
            "paths",
            "dns",
            "containerd",
            "disk latency",
        ];
        wanted.iter().try_for_each(|name| {
            ensure!(look.lines.contains_key(*name), "no line {name}: {:#?}", look.lines);
            Ok(())
        })
    })
}

/// The machine that runs this test, with one port that is taken.
fn before() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let ended = Program::new(mesh(), "check --pre -o json --data-dir /none/such --api-listen")
        .arg(taken.local_addr()?.to_string());
    let look = Look::of(&ended.limit(LOOK).run()?)?;
    look.tells("ports", "fail", "--api-listen")?;
    look.tells("user", "ok", "root")?;
    look.tells("packet filter", "ok", "nftables")?;
    for name in ["kernel", "control groups", "containerd", "runc", "tun", "mtu", "clock", "disk latency", "disk space"]
    {
        ensure!(look.lines.contains_key(name), "no line {name}: {:#?}", look.lines);
    }
    let words = Program::new(mesh(), "check --pre --no-pods --api-listen").arg(taken.local_addr()?.to_string());
    words.limit(LOOK).run()?.refuses(&["checks failed: ", "ports"]).map(drop)
}

#[test]
fn what_is_broken_is_named_with_a_remedy() {
    let sandbox = Sandbox::start("check", 3).unwrap();
    let mut steps = Steps::new();
    steps.step("a machine is looked at before it is a node", before);
    steps.step("a healthy cluster has no line that is not ok", || {
        sandbox.names().iter().try_for_each(|node| healthy(&sandbox, node))
    });
    steps.step("a data plane that hangs is told by its node and by the others", || {
        sandbox.chaos("pause node-3 --only dataplane")?;
        finds(&sandbox, "node-3", &[("dataplane", "fail", "kill -CONT"), ("dns", "fail", "port 53")])?;
        finds(&sandbox, "node-1", &[("paths", "fail", "silent: node-3"), ("members", "ok", "2 of 2 answer")])?;
        sandbox.chaos("heal")?;
        healthy(&sandbox, "node-1")
    });
    steps.step("a killed node is told as down, and the quorum holds", || {
        sandbox.dev("kill node-3")?;
        let rows =
            [("members", "fail", "silent: node-3"), ("voters", "warn", "start node-3"), ("quorum", "ok", "leads")];
        finds(&sandbox, "node-1", &rows)?;
        sandbox.on("node-3", "check").run()?.refuses(&["mesh does not run here", "mesh up"]).map(drop)
    });
    steps.step("a lost quorum is told, and by when to mend it", || {
        sandbox.dev("kill node-2")?;
        finds(&sandbox, "node-1", &[("quorum", "fail", "majority"), ("ready", "fail", "voters")])
    });
    steps.end();
}
