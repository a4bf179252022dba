//! `mesh recover`: the disks of two of three voters are lost, and the third goes on alone, loudly. DESIGN 3, "Recovery".

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Cluster, Launch, Steps, eventually, named};

/// How long anything here may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// Who survives, whose disk is gone, whose disk turns up later, and who only stood by.
const SURVIVOR: usize = 0;
const LOST: usize = 1;
const FOUND: usize = 2;
const STANDBY: usize = 3;

/// How far the revision moves on, at least.
const JUMP: u64 = 1_000_000_000;

#[test]
fn the_survivor_of_three_voters_goes_on_alone_and_old_members_disturb_nobody() {
    let mut cluster = Cluster::start(3).unwrap();
    cluster.settle().unwrap();
    // Once three vote: it stands by.
    cluster.grow().unwrap();
    cluster.settle().unwrap();
    let mut steps = Steps::new();
    let mut before = 0;
    steps.step("a write is acknowledged by three voters", || {
        cluster.newest(SURVIVOR).prints("create configmap kept -n default --from-literal=k=v", "", &["created"])?;
        before = revision(&cluster, SURVIVOR)?;
        Ok(())
    });
    steps.step("a node that runs is not recovered", || {
        cluster.nodes[SURVIVOR].command("recover --yes-lose-data").run()?.refuses(&["in use by another process"])?;
        Ok(())
    });
    steps.step("two disks are lost; it is said what that means, and nothing is done unasked", || {
        [SURVIVOR, LOST, FOUND].into_iter().try_for_each(|node| cluster.nodes[node].kill9())?;
        std::fs::remove_dir_all(&cluster.nodes[LOST].dir)?;
        let parts = ["WARNING", "LOST", "Node n2", "Node n3", "refused for ever", "410 Gone", "--yes-lose-data"];
        cluster.nodes[SURVIVOR].command("recover").run()?.refuses(&parts)?;
        Ok(())
    });
    steps.step("the survivor votes alone, and has what was acknowledged", || {
        cluster.nodes[SURVIVOR]
            .command("recover --yes-lose-data")
            .run()?
            .prints(&["only voter", "raft.before-recovery"])?;
        cluster.restart(SURVIVOR)?;
        ensure!(named(&cluster.nodes[SURVIVOR].status()?, "voter") == ["n1"], "others vote");
        cluster.newest(SURVIVOR).prints("get configmap kept -n default -o jsonpath={.data.k}", "", &["v"])?;
        cluster.newest(SURVIVOR).prints("create configmap later -n default", "", &["created"])?;
        Ok(())
    });
    steps.step("revisions jump, and who watches from before must list anew", || {
        let after = revision(&cluster, SURVIVOR)?;
        ensure!(after > before + JUMP, "revision {after} follows {before}");
        let path = format!("get --raw '/api/v1/configmaps?watch=1&timeoutSeconds=5&resourceVersion={before}'");
        let ended = cluster.newest(SURVIVOR).run(&path, "")?;
        let said = ended.to_string();
        ensure!(said.contains("too old resource version"), "the watch goes on: {said}");
        Ok(())
    });
    steps.step("who did not vote follows by itself", || {
        eventually("the standby follows", LIMIT, || {
            let status = cluster.nodes[STANDBY].status()?;
            ensure!(status["members"].as_array().map_or(0, Vec::len) == 2, "{status:#}");
            cluster.newest(STANDBY).prints("get configmap later -n default -o name", "", &["configmap/later"]).map(drop)
        })
    });
    steps.step("a voter whose disk turns up is told that it was forgotten, and ends", || {
        cluster.nodes[FOUND].launch(Launch::Up, "")?;
        let status = cluster.nodes[FOUND].ended()?;
        let log = cluster.nodes[FOUND].log();
        ensure!(!status.success() && log.contains("was removed from its cluster for ever"), "{status}: {log}");
        Ok(())
    });
    steps.step("with one more machine three vote again", || {
        cluster.grow()?;
        cluster.settle()?;
        cluster.newest(STANDBY).prints("get configmap kept -n default -o jsonpath={.data.k}", "", &["v"])?;
        Ok(())
    });
    steps.end();
}

/// The revision that a list shows now.
fn revision(cluster: &Cluster, node: usize) -> Result<u64> {
    let list = cluster.newest(node).prints("get --raw /api/v1/namespaces/default/configmaps?limit=1", "", &[])?;
    let list: serde_json::Value = serde_json::from_str(&list)?;
    let revision = list["metadata"]["resourceVersion"].as_str().context("no revision")?;
    Ok(revision.parse()?)
}
