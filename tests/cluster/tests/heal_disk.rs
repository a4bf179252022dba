//! Disks fill up and logs are damaged under load: the others go on, and the node comes back as what it was or says what is wrong.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::{Cluster, Launch, Load, SmallDisk, Steps, Workload, eventually};

/// Room of the small data directory: holds a young cluster's log.
const SMALL: u64 = 48 << 20;

/// How long writes may stop on a machine that does much else.
const GAP_LIMIT: Duration = Duration::from_secs(20);

/// Writes that are to be acknowledged while something is broken.
const WRITES: usize = 60;

/// The node with the small disk.
const FULL: usize = 1;

#[test]
fn full_disks_and_damaged_logs_stop_only_the_node_they_are_on() {
    let root = tempfile::tempdir().unwrap();
    let disk = match SmallDisk::mount(&root.path().join("n2"), SMALL) {
        Ok(disk) => disk,
        Err(error) => return println!("skipped: this user may not mount a small disk ({error})"),
    };
    let mut cluster = Cluster::start_in(root, 3).unwrap();
    let workload = cluster.work(Load::default()).unwrap();
    let mut steps = Steps::new();
    steps.step("a follower's disk is full: writes go on, and it catches up", || {
        ensure_follower(&mut cluster, FULL)?;
        fill(&cluster.nodes[FULL].dir, || goes_on(&workload))?;
        cluster.settle()
    });
    steps.step("it serves what was written meanwhile", || serves(&workload, FULL));
    steps.step("the leader's disk is full: another leads, and writes go on", || {
        ensure_leader(&mut cluster, FULL)?;
        fill(&cluster.nodes[FULL].dir, || {
            eventually("another leads", GAP_LIMIT, || {
                ensure!(cluster.leader()? != FULL, "it leads yet");
                Ok(())
            })?;
            goes_on(&workload)
        })?;
        cluster.settle()
    });
    steps.step("a torn write at the end of a log is repaired", || {
        damaged(
            &mut cluster,
            &workload,
            |log| Ok(OpenOptions::new().append(true).open(log)?.write_all(&[7; 100])?),
            true,
        )
    });
    steps.step("a bit that rots in a log is named, and the node does not start", || {
        damaged(&mut cluster, &workload, flip, false)
    });
    steps.step("no write is lost or applied twice, reads are linearizable, watches complete", || {
        println!("    {}", workload.finish()?);
        Ok(())
    });
    drop(cluster);
    drop(disk);
    steps.end();
}

/// Hands leadership on by a restart, where this node has it.
fn ensure_follower(cluster: &mut Cluster, node: usize) -> Result<()> {
    eventually("another leads", GAP_LIMIT * 3, || {
        if cluster.leader()? != node {
            return Ok(());
        }
        cluster.nodes[node].stop()?;
        cluster.restart(node)?;
        cluster.settle()?;
        ensure!(cluster.leader()? != node, "it leads again");
        Ok(())
    })
}

/// Restarts whichever other node leads until this one does.
fn ensure_leader(cluster: &mut Cluster, node: usize) -> Result<()> {
    eventually("it leads", GAP_LIMIT * 3, || {
        let leader = cluster.leader()?;
        if leader != node {
            cluster.nodes[leader].stop()?;
            cluster.restart(leader)?;
            cluster.settle()?;
        }
        ensure!(cluster.leader()? == node, "another leads");
        Ok(())
    })
}

/// A linearizable read through this node, which must have caught up for that.
fn serves(workload: &Workload, node: usize) -> Result<()> {
    let began = Instant::now();
    eventually("a read through the node", GAP_LIMIT, || {
        let mut api = workload.api(node);
        let answer = api.ask("GET", "/api/v1/namespaces/default", "application/json", "")?;
        ensure!(answer.code == 200, "{}", String::from_utf8_lossy(&answer.body));
        Ok(())
    })?;
    println!("    after {:.2?}", began.elapsed());
    Ok(())
}

/// Takes all room below this folder while something is done.
fn fill(folder: &Path, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
    let path = folder.join("balloon");
    let mut balloon = fs::File::create(&path)?;
    // It ends with the error that there is no room left.
    while balloon.write_all(&[1; 4096]).is_ok() {}
    let done = meanwhile();
    fs::remove_file(path)?;
    done
}

/// A follower is killed, its log damaged; it starts again, or refuses until the damage is undone.
fn damaged(cluster: &mut Cluster, workload: &Workload, harm: fn(&Path) -> Result<()>, starts: bool) -> Result<()> {
    let node = (cluster.leader()? + 1) % cluster.nodes.len();
    cluster.nodes[node].kill9()?;
    let log = newest(&cluster.nodes[node].dir)?;
    let before = fs::read(&log)?;
    harm(&log)?;
    if !starts {
        cluster.nodes[node].program(Launch::Up, "").run()?.refuses(&["damaged", "byte"])?;
        fs::write(&log, before)?;
    }
    goes_on(workload)?;
    cluster.restart(node)?;
    cluster.settle()
}

/// The newest file of the log.
fn newest(dir: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(dir.join("raft"))?.collect::<Result<Vec<_>, _>>()?;
    let logs = files.iter().map(fs::DirEntry::path).filter(|path| path.extension().is_some_and(|end| end == "seg"));
    logs.max().context("no log")
}

/// Flips one bit in the middle of what was written.
fn flip(path: &Path) -> Result<()> {
    let bytes = fs::read(path)?;
    let end = bytes.iter().rposition(|byte| *byte != 0).context("it is empty")?;
    let at = end / 2;
    OpenOptions::new().write(true).open(path)?.write_at(&[bytes[at] ^ 1], u64::try_from(at)?)?;
    Ok(())
}

/// Waits for many writes.
fn goes_on(workload: &Workload) -> Result<()> {
    let since = Instant::now();
    eventually("many writes", GAP_LIMIT, || workload.written_since(since).checked_sub(WRITES).context("too few"))
        .map(drop)
}
