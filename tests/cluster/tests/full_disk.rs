//! A disk without room: writes are refused with a reason, reads go on, and room given back is all it takes.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use cluster::{Cluster, Kubectl, SmallDisk, Steps, eventually};

/// Room of the data directory. Holds an empty cluster's log; a few dozen large objects fill it.
const SMALL: u64 = 12 << 20;

/// Room given back.
const LARGE: u64 = 256 << 20;

/// Objects that are tried at most until the disk is full.
const TRIES: usize = 100;

/// Bytes of one object's value; a ConfigMap may have a MiB.
const VALUE: usize = 900 << 10;

#[test]
fn a_full_disk_refuses_writes_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let disk = match SmallDisk::mount(&root.path().join("n1"), SMALL) {
        Ok(disk) => disk,
        Err(error) => return println!("skipped: this user may not mount a small disk ({error})"),
    };
    let cluster = Cluster::start_in(root, 1).unwrap();
    let kubectl = cluster.newest(0);
    let mut steps = Steps::new();
    let mut filled = Filled::default();
    steps.step("writes are refused clearly once the disk is full", || {
        filled = fill(&kubectl)?;
        println!("    {} objects of {VALUE} bytes fit into {SMALL}", filled.written);
        Ok(())
    });
    steps.step("reads go on and show what was acknowledged", || reads(&kubectl, filled.written..=filled.written));
    steps.step("with room given back, writes go on", || {
        disk.resize(LARGE)?;
        eventually("a write", Duration::from_secs(30), || kubectl.prints(LAST, "", &["created"]))?;
        Ok(())
    });
    let upto = filled.written + usize::from(filled.in_doubt);
    steps.step("what was acknowledged is there, what was refused is not", || reads(&kubectl, filled.written..=upto));
    drop(cluster);
    drop(disk);
    steps.end();
}

/// What came of filling the disk.
#[derive(Default)]
struct Filled {
    /// Acknowledged writes.
    written: usize,
    /// Whether the write after them may be applied yet.
    in_doubt: bool,
}

const LAST: &str = "create configmap last -n default --from-literal=a=b";

/// Creates large objects until one is refused, then a small one, which must be refused for certain.
fn fill(kubectl: &Kubectl) -> Result<Filled> {
    let value = "x".repeat(VALUE);
    for number in 0..TRIES {
        let object =
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: large-{number}}}\ndata: {{v: {value}}}\n");
        let ended = kubectl.run("create -n default -f -", &object)?;
        if ended.code != Some(0) {
            let in_doubt = !ended.stderr.contains("InsufficientStorage");
            println!("    refused: {}", ended.stderr.trim());
            ended.refuses(&["Error from server", "no space is left on the disk"])?;
            kubectl.refuses(LAST, "", &["storage is full", "no space is left on the disk", "free disk space"])?;
            return Ok(Filled { written: number, in_doubt });
        }
    }
    bail!("{TRIES} objects of {VALUE} bytes fit into {SMALL}")
}

fn reads(kubectl: &Kubectl, expect: RangeInclusive<usize>) -> Result<()> {
    let listed = kubectl.prints("get configmaps -n default", "", &["kube-root-ca.crt"])?;
    let found = listed.lines().filter(|line| line.starts_with("large-")).count();
    ensure!(expect.contains(&found), "{found} objects instead of {expect:?}");
    kubectl.prints("get --raw /livez", "", &["ok"])?;
    Ok(())
}
