//! Damaged data directories: a node names the file and the remedy, or repairs what a power cut may leave; it never
//! goes on with something wrong.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cluster::{Cluster, Launch, Steps};

/// Objects in the log, so that its middle lies well behind its head.
const OBJECTS: usize = 30;

/// What is done, to which file, how, and parts of what the node says then.
type Row = (&'static str, PathBuf, Harm, &'static [&'static str]);

/// Damages a file.
type Harm = fn(&Path) -> Result<()>;

#[test]
fn a_damaged_data_directory_is_named_or_repaired() {
    let mut cluster = Cluster::start(1).unwrap();
    let mut steps = Steps::new();
    steps.step("something is stored", || {
        let object = |number| format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{number}}}\n");
        let objects: String = (0..OBJECTS).map(object).collect();
        cluster.newest(0).prints("create -n default -f -", &objects, &["c29 created"])?;
        cluster.nodes[0].stop()
    });
    let dir = cluster.nodes[0].dir.clone();
    let log = segments(&dir).unwrap().remove(0);
    let rows: [Row; 8] = [
        ("the identity is garbled", dir.join("identity/node.identity"), garble, &["node.identity", "damaged"]),
        (
            "the identity is something else",
            dir.join("identity/node.identity"),
            replace,
            &["node.identity", "not a mesh identity"],
        ),
        (
            "the identity may be read by others",
            dir.join("identity/node.identity"),
            expose,
            &["node.identity", "chmod 600"],
        ),
        ("the membership is cut", dir.join("member.json"), cut, &["member.json is damaged", "--replace"]),
        ("the cluster key is cut", dir.join("cluster.key"), cut, &["cluster.key is damaged"]),
        ("the disk key is another", dir.join("disk.key"), garble, &["log"]),
        ("a bit rots in the middle of the log", log, garble, &["damaged", "byte"]),
        ("a foreign file lies in the log", dir.join("raft/notes.txt"), replace, &["notes.txt"]),
    ];
    for (name, path, harm, parts) in rows {
        steps.step(name, || harmed(&mut cluster, &path, harm, parts));
    }
    steps.step("a torn write at the end of the log is repaired", || {
        OpenOptions::new().append(true).open(segments(&dir)?.pop().context("no log")?)?.write_all(&[7; 100])?;
        cluster.restart(0)?;
        all_there(&cluster)
    });
    steps.end();
}

/// Harms a file; the node must refuse to start and name what is wrong; then takes the harm back.
fn harmed(cluster: &mut Cluster, path: &Path, harm: Harm, parts: &[&str]) -> Result<()> {
    let before = std::fs::read(path).ok();
    harm(path).with_context(|| path.display().to_string())?;
    let ended = cluster.nodes[0].program(Launch::Up, "").run();
    match before {
        Some(bytes) => std::fs::write(path, bytes)?,
        None => std::fs::remove_file(path)?,
    }
    if path.exists() {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
    }
    let said = ended?.refuses(parts)?;
    ensure!(!said.contains("panicked"), "it panicked: {said}");
    cluster.restart(0)?;
    all_there(cluster)?;
    cluster.nodes[0].stop()
}

fn all_there(cluster: &Cluster) -> Result<()> {
    let listed = cluster.newest(0).prints("get configmaps -n default -o name", "", &[])?;
    let found = listed.lines().filter(|line| line.starts_with("configmap/c")).count();
    ensure!(found == OBJECTS, "{found} objects instead of {OBJECTS}");
    Ok(())
}

/// The files of the log, oldest first.
fn segments(dir: &Path) -> Result<Vec<PathBuf>> {
    let files: Vec<_> = std::fs::read_dir(dir.join("raft"))?.collect::<Result<_, _>>()?;
    let mut found: Vec<_> = files.iter().map(std::fs::DirEntry::path).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "seg"));
    found.sort();
    Ok(found)
}

/// Flips one bit in the middle of what was written.
fn garble(path: &Path) -> Result<()> {
    let bytes = std::fs::read(path)?;
    let end = bytes.iter().rposition(|byte| *byte != 0).context("it is empty")?;
    let at = end / 2;
    OpenOptions::new().write(true).open(path)?.write_at(&[bytes[at] ^ 1], u64::try_from(at)?)?;
    Ok(())
}

fn cut(path: &Path) -> Result<()> {
    Ok(OpenOptions::new().write(true).open(path)?.set_len(std::fs::metadata(path)?.len() / 2)?)
}

fn replace(path: &Path) -> Result<()> {
    Ok(std::fs::write(path, "something else\n")?)
}

fn expose(path: &Path) -> Result<()> {
    Ok(std::fs::set_permissions(path, PermissionsExt::from_mode(0o644))?)
}
