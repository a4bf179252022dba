//! `mesh backup` while clients write, all disks lost, `mesh restore` on one machine, and another joins. DESIGN 3, "Recovery".

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Api, Kubectl, Load, Program, Sandbox, Steps, becomes, eventually, mesh, row, with};
use serde_json::Value;

/// Servers on both nodes, and a Secret.
const OBJECTS: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{ name: web, image: "mesh.test/busybox:1", command: [sh, -c, "exec httpd -f -p 8080 -h /tmp"] }]
---
apiVersion: v1
kind: Secret
metadata: { name: kept }
stringData: { password: swordfish }
"#;

/// The founder, which votes alone of two, and the other.
const VOTER: &str = "node-1";
const OTHER: &str = "node-2";

/// What writers make.
const COLLECTION: &str = "/api/v1/namespaces/default/configmaps";

/// Writes before and after the backup.
const WRITES: usize = 20;

/// How far the revision moves on, at least.
const JUMP: u64 = 1_000_000_000;

/// How long anything here may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn a_cluster_comes_back_from_a_backup_that_was_taken_while_it_was_written_to() {
    let sandbox = Sandbox::start("backup", 2).unwrap();
    let kubectl = sandbox.newest(VOTER);
    let file = sandbox.root().join("cluster.backup");
    let (mut before, mut span) = (0, (0, 0));
    let mut steps = Steps::new();
    steps.step("servers run, and a Secret is there", || {
        with("apply -f -", OBJECTS, &["deployment.apps/web created"]).run(&kubectl, "")?;
        row("rollout status deployment/web --timeout=120s", &["successfully rolled out"]).run(&kubectl, "")
    });
    steps.step("a backup is taken while clients write", || {
        let workload = sandbox.work(Load::default())?;
        span = write_during(workload.api(0), || backup(&sandbox, VOTER, &file, "").prints(&[]).map(drop))?;
        before = revision(&kubectl)?;
        Ok(())
    });
    steps.step("it is its owner's alone, is not overwritten unasked, and only a voter gives it", || {
        kept_safe(&sandbox, &file)
    });
    steps.step("what is damaged, cut off or something else is refused, and no node is made", || {
        damaged(&sandbox, &file)
    });
    steps.step("all disks are lost", || {
        for node in sandbox.names() {
            sandbox.dev(&format!("kill {node}"))?;
            std::fs::remove_dir_all(sandbox.home(&node).join("data"))?;
        }
        Ok(())
    });
    steps.step("one machine takes the backup over, once", || {
        let data = sandbox.home(VOTER).join("data");
        let restored = restore(&sandbox, &file, &data)?;
        ensure!(restored.stderr.contains("Its former members (node-"), "{restored}");
        restored.prints(&["node node-1 is the only member of its cluster now", "mesh token create"])?;
        restore(&sandbox, &file, &data)?.refuses(&["is not empty", "--data-dir"])?;
        Ok(())
    });
    steps.step("it starts, and another joins it", || {
        sandbox.dev("up --nodes 2").map(drop)?;
        let ready: &[&str] = &["node-1", "node-2", "!NotReady"];
        eventually("both nodes", LIMIT, || kubectl.prints("get nodes", "", ready).map(drop))
    });
    steps.step("the kubeconfig of before still opens it: all that was written before the backup is there", || {
        row("get secret kept -o jsonpath={.data.password}", &["c3dvcmRmaXNo"]).run(&kubectl, "")?;
        one_moment(&written(&kubectl)?, span)
    });
    steps.step("revisions jump, and who watches from before must list anew", || {
        let after = revision(&kubectl)?;
        ensure!(after > before.max(JUMP), "revision {after} follows {before}");
        let path = format!("get --raw '{COLLECTION}?watch=1&timeoutSeconds=5&resourceVersion={before}'");
        let said = kubectl.run(&path, "")?.to_string();
        ensure!(said.contains("too old resource version"), "the watch goes on: {said}");
        Ok(())
    });
    steps.step("the Deployment runs again", || {
        becomes("get deployment web", &["2/2"]).run(&kubectl, "")?;
        let running = "get pods -l app=web --field-selector=status.phase=Running -o name";
        eventually("two pods", LIMIT, || {
            let pods = kubectl.prints(running, "", &["pod/web"])?;
            ensure!(pods.lines().count() == 2, "{pods}");
            Ok(())
        })
    });
    steps.end();
}

fn kept_safe(sandbox: &Sandbox, file: &Path) -> Result<()> {
    let mode = file.metadata()?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "its mode is {mode:o}");
    backup(sandbox, VOTER, file, "").refuses(&["cluster.backup exists", "--force"])?;
    let again = sandbox.root().join("again.backup");
    std::fs::write(&again, "old")?;
    let said = backup(sandbox, VOTER, &again, "--force");
    ensure!(said.code == Some(0) && said.stderr.contains("keep it like a root password"), "{said}");
    let elsewhere = backup(sandbox, OTHER, &sandbox.root().join("none"), "");
    elsewhere.refuses(&["node-2 is no voter", "run this on one of node-1"]).map(drop)
}

fn backup(sandbox: &Sandbox, node: &str, file: &Path, more: &str) -> cluster::Ended {
    let program = sandbox.on(node, &format!("backup {more}")).arg("--output").arg(file);
    program.run().expect("mesh can be run")
}

/// `mesh restore` as `mesh dev` would start the node.
fn restore(sandbox: &Sandbox, file: &Path, data: &Path) -> Result<cluster::Ended> {
    let address = sandbox.address(VOTER)?;
    let program = Program::new(mesh(), &format!("restore --name {VOTER} --advertise {address}"));
    program.arg("--data-dir").arg(data).arg(file).run()
}

fn damaged(sandbox: &Sandbox, file: &Path) -> Result<()> {
    let whole = std::fs::read(file)?;
    let (mut flipped, mut newer) = (whole.clone(), whole.clone());
    flipped[whole.len() / 2] ^= 0x10;
    newer[8] = 9;
    let rows: [(&str, &[u8], &str); 4] = [
        ("flipped", &flipped, "it is damaged"),
        ("cut", &whole[..whole.len() / 2], "it is cut off"),
        ("newer", &newer, "restore it with the release that wrote it"),
        ("foreign", b"apiVersion: v1", "name a file that `mesh backup` wrote"),
    ];
    for (name, bytes, part) in rows {
        let (path, data): (PathBuf, PathBuf) = (sandbox.root().join(name), sandbox.root().join("nothing"));
        std::fs::write(&path, bytes)?;
        restore(sandbox, &path, &data)?.refuses(&[name, "cannot be restored", part])?;
        ensure!(!data.exists(), "{name}: something was made");
    }
    Ok(())
}

/// How many writes were acknowledged before `during` began, and how many may have been made when it ended.
fn write_during(mut api: Api, during: impl FnOnce() -> Result<()>) -> Result<(usize, usize)> {
    let (made, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let so_far = |count: usize| {
        eventually("some writes", LIMIT, || {
            ensure!(made.load(Ordering::SeqCst) >= count, "too few");
            Ok(())
        })
    };
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let name = name(made.load(Ordering::SeqCst));
                let body = format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}}}}"#);
                let answer = api.ask("POST", COLLECTION, "application/json", &body)?;
                ensure!(answer.code == 201, "{} {}", answer.code, answer.json());
                made.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        });
        let done = (|| {
            so_far(WRITES)?;
            let from = made.load(Ordering::SeqCst);
            during()?;
            // One more may have been on its way.
            let to = made.load(Ordering::SeqCst) + 1;
            so_far(to + WRITES)?;
            Ok((from, to))
        })();
        stop.store(true, Ordering::SeqCst);
        writer.join().expect("the writer does not panic")?;
        done
    })
}

fn name(number: usize) -> String {
    format!("written-{number}")
}

/// Names of what [`write_during`] made.
fn written(kubectl: &Kubectl) -> Result<Vec<String>> {
    let names = kubectl.prints("get configmaps -o name", "", &[])?;
    let names = names.lines().filter_map(|line| line.strip_prefix("configmap/"));
    Ok(names.filter(|name| name.starts_with("written-")).map(Into::into).collect())
}

/// All writes up to one moment within the span are there: as many as were made before it at least, after it at most, without a gap.
fn one_moment(written: &[String], (at_least, at_most): (usize, usize)) -> Result<()> {
    let count = written.len();
    ensure!((at_least..=at_most).contains(&count), "{count} of {at_least} to {at_most} are there");
    let gapless = (0..count).all(|number| written.contains(&name(number)));
    ensure!(gapless, "not the state of one moment: {written:?}");
    Ok(())
}

/// The revision that a list shows now.
fn revision(kubectl: &Kubectl) -> Result<u64> {
    let list: Value = serde_json::from_str(&kubectl.prints(&format!("get --raw {COLLECTION}?limit=1"), "", &[])?)?;
    Ok(list["metadata"]["resourceVersion"].as_str().context("no revision")?.parse()?)
}
