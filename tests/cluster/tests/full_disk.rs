//! A disk without room: writes are refused with a reason, reads go on, and room given back is all it takes.

use std::time::Duration;

use anyhow::{Result, ensure};
use cluster::{Cluster, Kubectl, SmallDisk, Steps, eventually};

/// Room of the data directory. Holds an empty cluster's log; a few dozen large objects fill it.
const SMALL: u64 = 24 << 20;

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
    let mut written = 0;
    steps.step("writes are refused clearly once the disk is full", || {
        written = fill(&kubectl)?;
        println!("    {written} objects of {VALUE} bytes fit into {SMALL}");
        Ok(())
    });
    steps.step("reads go on", || reads(&kubectl, written));
    steps.step("refused writes changed nothing", || reads(&kubectl, written));
    steps.step("with room given back, writes go on", || {
        disk.resize(LARGE)?;
        eventually("a write", Duration::from_secs(30), || kubectl.prints(LAST, "", &["created"]))?;
        Ok(())
    });
    steps.step("all that was acknowledged is there", || reads(&kubectl, written));
    drop(cluster);
    drop(disk);
    steps.end();
}

const LAST: &str = "create configmap last -n default --from-literal=a=b";

/// Creates large objects until one is refused; returns how many were not.
fn fill(kubectl: &Kubectl) -> Result<usize> {
    let value = "x".repeat(VALUE);
    for number in 0..TRIES {
        let object = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: large-{number}}}\ndata: {{v: {value}}}\n");
        let ended = kubectl.run("create -n default -f -", &object)?;
        if ended.code != Some(0) {
            ended.refuses(&["Error from server", "no space is left on the disk"])?;
            kubectl.refuses(LAST, "", &["Error from server", "no space is left on the disk"])?;
            return Ok(number);
        }
    }
    anyhow::bail!("{TRIES} objects of {VALUE} bytes fit into {SMALL}")
}

fn reads(kubectl: &Kubectl, written: usize) -> Result<()> {
    let listed = kubectl.prints("get configmaps -n default -o name", "", &["kube-root-ca.crt"])?;
    let found = listed.lines().filter(|line| line.starts_with("configmap/large-")).count();
    ensure!(found == written, "{found} objects instead of {written}");
    kubectl.prints("get --raw /livez", "", &["ok"])?;
    Ok(())
}
