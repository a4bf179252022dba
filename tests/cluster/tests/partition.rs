//! Networks break: the minority keeps its pods, Services and names and says what it cannot do, the majority goes on, and
//! nobody has to heal anything. DESIGN 2 (reads) and 3 (no quorum).

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use cluster::{Answer, Connection, Direction, Kubectl, Load, Program, Sandbox, Steps, Workload, eventually, row};

const PODS: &str = include_str!("partition/pods.yaml");

/// The node that is cut off first: the founder, which leads.
const MINORITY: &str = "node-1";

/// Where the minority's own pods listen, through Services.
const NEAR: u16 = 30112;
const MORTAL: u16 = 30113;

/// How long writes may stop, and each state may take to come about, on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(40);

/// How long one answer may take: a read waits 2 s for a quorum.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// Calls within the minority that are to succeed in a row.
const CALLS: usize = 20;

#[test]
fn cuts_of_every_kind_stop_only_the_minority_and_heal_by_themselves() {
    let sandbox = Sandbox::start("partition", 3).unwrap();
    let kubectl = sandbox.newest("node-2");
    let mut steps = Steps::new();
    let mut cut_at = 0;
    steps.step("pods run on the node that will be cut off", || {
        kubectl.prints("apply -f -", PODS, &["pod/near created"])?;
        let wait = "wait --for=condition=Ready pods --all --timeout=120s";
        row(wait, &["caller condition met"]).run(&kubectl, "")?;
        answers(&sandbox, NEAR, "near")?;
        answers(&sandbox, MORTAL, "mortal")?;
        eventually("calls are made", LIMIT, || kubectl.prints("logs caller", "", &["near"])).map(drop)
    });
    let workload = sandbox.work(Load::default()).unwrap();
    steps.step("the leader is cut off: the majority goes on", || {
        let leader = sandbox.leader(MINORITY)?;
        ensure!(leader == MINORITY, "the founder of a young cluster leads, not {leader}");
        sandbox.cut(MINORITY, &majority(), Direction::Both)?;
        cut_at = unix_now()?;
        let since = Instant::now();
        println!("    next write after {:.2?}", workload.next_write(since, LIMIT)?);
        Ok(())
    });
    steps.step("the minority acknowledges no write, and refuses current reads with 503 and Retry-After", || {
        refuses(&sandbox)
    });
    steps.step("it serves old data when asked, and says how old", || old_data(&sandbox));
    steps.step("its pods, Services and names go on, and a container that ends is started again", || alive(&sandbox));
    steps.step("the cut ends: all is well without a hand", || {
        let mended_at = unix_now()?;
        sandbox.mend()?;
        whole(&sandbox, &workload)?;
        calls_succeeded(&kubectl, cut_at..mended_at)
    });
    for (name, direction) in [("hears nobody", Direction::In), ("is not heard", Direction::Out)] {
        steps.step(&format!("a leader that {name}: another leads, then all is well"), || {
            let leader = sandbox.leader("node-1")?;
            let others: Vec<_> = sandbox.names().into_iter().filter(|name| *name != leader).collect();
            cut_and_heal(&sandbox, &workload, &leader, &others, direction)
        });
    }
    steps.step("the leader and one follower cut apart, both reach the third: writes go on", || {
        let leader = sandbox.leader("node-1")?;
        let other = sandbox.names().into_iter().find(|name| *name != leader).context("another")?;
        cut_and_heal(&sandbox, &workload, &leader, &[other], Direction::Both)
    });
    steps.step("no write is lost or applied twice, reads are linearizable, watches complete", || {
        println!("    {}", workload.finish()?);
        Ok(())
    });
    steps.end();
}

fn majority() -> Vec<String> {
    vec!["node-2".into(), "node-3".into()]
}

fn cut_and_heal(
    sandbox: &Sandbox,
    workload: &Workload,
    node: &str,
    others: &[String],
    direction: Direction,
) -> Result<()> {
    sandbox.cut(node, others, direction)?;
    let since = Instant::now();
    let gap = workload.next_write(since, LIMIT);
    sandbox.mend()?;
    println!("    next write after {:.2?}", gap?);
    whole(sandbox, workload)
}

/// Every node is Ready and reads what is newest.
fn whole(sandbox: &Sandbox, workload: &Workload) -> Result<()> {
    let began = Instant::now();
    workload.next_write(began, LIMIT)?;
    for node in sandbox.names() {
        eventually(&format!("{node} serves and all are ready"), LIMIT * 2, || {
            sandbox.newest(&node).prints("get nodes", "", &["node-3", "!NotReady"]).map(drop)
        })?;
    }
    println!("    whole after {:.1?}", began.elapsed());
    Ok(())
}

/// One request to the minority.
fn ask(sandbox: &Sandbox, method: &str, path: &str, body: &str) -> Result<Answer> {
    let access = sandbox.access(MINORITY)?;
    Connection::open(&access, access.server, ANSWER_LIMIT)?.ask(method, path, "application/json", body.as_bytes())
}

/// Writes and current reads are refused with 503 and Retry-After, once the node knows that it was cut off: a leader that does
/// not know yet takes a write into its log, and says later that the outcome is unknown (504).
fn refuses(sandbox: &Sandbox) -> Result<()> {
    let object = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cut-off"}}"#;
    let requests = [
        ("POST", "/api/v1/namespaces/default/configmaps", object),
        ("GET", "/api/v1/namespaces/default/pods/near", ""),
        ("GET", "/api/v1/pods", ""),
    ];
    for (method, path, body) in requests {
        eventually(&format!("{method} {path}"), LIMIT, || {
            let answer = ask(sandbox, method, path, body)?;
            let said = answer.json();
            ensure!(answer.code == 503 && said["reason"] == "ServiceUnavailable", "{} {said}", answer.code);
            let after = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
            ensure!(after.is_some_and(|seconds| seconds > 0), "Retry-After is {:?}", answer.header("retry-after"));
            Ok(())
        })?;
    }
    Ok(())
}

fn old_data(sandbox: &Sandbox) -> Result<()> {
    for path in ["/api/v1/namespaces/default/pods/near?resourceVersion=0", "/api/v1/pods?resourceVersion=0"] {
        let answer = ask(sandbox, "GET", path, "")?;
        ensure!(answer.code == 200, "{path}: {} {}", answer.code, answer.json());
        let warning = answer.header("warning").with_context(|| format!("{path}: no Warning"))?;
        ensure!(warning.starts_with("299 ") && warning.contains(|one: char| one.is_ascii_digit()), "{warning:?}");
        println!("    {warning}");
    }
    Ok(())
}

/// One request to a port of the minority, from this machine.
fn answers(sandbox: &Sandbox, port: u16, what: &str) -> Result<()> {
    let address = SocketAddr::new(sandbox.access(MINORITY)?.server.ip(), port);
    eventually(&format!("{what} answers"), LIMIT, || {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(3))?;
        stream.set_read_timeout(Some(Duration::from_secs(3)))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.contains(what), "it answered {answer:?}");
        Ok(())
    })
}

fn alive(sandbox: &Sandbox) -> Result<()> {
    for _ in 0..CALLS {
        answers(sandbox, NEAR, "near")?;
    }
    let look = format!(
        "netns exec mesh-{}-{MINORITY} busybox nslookup near.default.svc.cluster.local 10.43.0.10",
        sandbox.name
    );
    Program::new(Path::new("ip"), &look).run()?.prints(&["10.43."])?;
    kill_server()?;
    answers(sandbox, MORTAL, "mortal")
}

/// Ends the process in `mortal`, as a crash would.
fn kill_server() -> Result<()> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if line.starts_with(b"httpd\0-f\0-p\x008099\0") {
            let pid = entry.file_name().to_string_lossy().parse()?;
            return Ok(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)?);
        }
    }
    anyhow::bail!("no server of mortal runs")
}

fn unix_now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// The caller in the minority, which calls from its first success on, saw nothing of the cut, and only what crashed was started
/// again. The majority has taken the minority's pods out of Services: for a moment after the cut the caller may be told so.
fn calls_succeeded(kubectl: &Kubectl, cut: Range<u64>) -> Result<()> {
    let said = kubectl.prints("logs caller", "", &["near"])?;
    let failed = said.lines().filter_map(|line| line.strip_prefix("failed ")?.parse::<u64>().ok());
    let (within, later): (Vec<u64>, Vec<u64>) = failed.filter(|at| *at >= cut.start).partition(|at| cut.contains(at));
    println!(
        "    calls that failed: {} in {} s of the cut, {} after it",
        within.len(),
        cut.end - cut.start,
        later.len()
    );
    ensure!(within.is_empty(), "{} calls within the minority failed", within.len());
    let restarts = |pod: &str| {
        let path = format!("get pod {pod} -o 'jsonpath={{.status.containerStatuses[0].restartCount}}'");
        Ok::<u32, anyhow::Error>(kubectl.prints(&path, "", &[])?.trim().parse()?)
    };
    ensure!((restarts("near")?, restarts("caller")?) == (0, 0), "pods were restarted that did not end");
    eventually("the restart is told", LIMIT, || {
        ensure!(restarts("mortal")? >= 1, "none");
        Ok(())
    })
}
