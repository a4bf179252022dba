//! A container prints 60 MiB while `mesh` is dead: it does not block, and no line is lost. Bounded by bytes, not by time.
//!
//! Spec: <https://kubernetes.io/docs/concepts/cluster-administration/logging/#log-rotation>: five files of 10 MiB are kept. What
//! rotation removes by that policy is looked at before it goes: the test holds each file open from when it was put aside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cluster::{Kubectl, Sandbox, Steps, eventually, row};

const CHATTY: &str = include_str!("chatty/chatty.yaml");

const NODE: &str = "node-1";

/// Lines of a chapter, as the manifest has it: 20 MiB of 1 KiB each. Two chapters fit into the files that are kept, so that
/// none is removed before the test has opened it.
const LINES: usize = 20_480;

/// Chapters printed while `mesh` is dead.
const CHAPTERS: usize = 3;

/// Files kept, with the one being written.
const FILES: usize = 5;

/// How long a chapter may take on a busy machine; it takes a second on an idle one.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn a_chatty_container_neither_blocks_nor_loses_a_line_while_mesh_is_dead() {
    let sandbox = Sandbox::start("chatty", 1).unwrap();
    let chatty = Chatty::new(&sandbox);
    let mut steps = Steps::new();
    let mut before = None;
    steps.step("it runs", || {
        before = Some(chatty.run()?);
        Ok(())
    });
    steps.step("mesh is killed", || sandbox.dev(&format!("kill {NODE} --only mesh")).map(drop));
    let mut kept = Files::default();
    steps.step("it prints 60 MiB: its logger takes all of it and puts full files aside", || {
        (0..CHAPTERS).try_for_each(|chapter| {
            chatty.print(chapter)?;
            kept.hold(&chatty.log()?)
        })?;
        chatty.without_mesh()
    });
    steps.step("no line is missing in what was written", || kept.all(&chatty.log()?));
    steps.step("mesh starts and takes on the same container and logger", || {
        sandbox.dev(&format!("start {NODE}"))?;
        eventually("the pod is as it was", PATIENCE, || {
            let (before, now) = (before.as_ref().context("it ran")?, chatty.identity()?);
            ensure!(now == *before, "it was {before:?} and is {now:?}");
            Ok(())
        })
    });
    // Another process would begin with the first chapter again.
    steps.step("the same process prints on", || chatty.print(CHAPTERS));
    steps.step("kubectl logs shows all that is kept, without a gap", || chatty.shown());
    steps.end();
}

/// The pod, and the folder that it and the test tell each other through.
struct Chatty<'a> {
    sandbox: &'a Sandbox,
    kubectl: Kubectl,
    signals: PathBuf,
}

/// What must stay the same.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    /// Id, start, readiness and restarts of the container.
    container: String,
    /// Process id of its logger.
    logger: BTreeSet<u32>,
}

impl<'a> Chatty<'a> {
    fn new(sandbox: &'a Sandbox) -> Self {
        Self { sandbox, kubectl: sandbox.newest(NODE), signals: sandbox.root().join("signals") }
    }

    fn run(&self) -> Result<Identity> {
        fs::create_dir(&self.signals)?;
        let manifest = CHATTY.replace("SIGNALS", &self.signals.to_string_lossy());
        eventually("the default account is there", PATIENCE, || {
            self.kubectl.prints("apply -f -", &manifest, &["pod/chatty"])
        })?;
        row("wait --for=condition=Ready pod/chatty --timeout=90s", &["condition met"]).run(&self.kubectl, "")?;
        self.identity()
    }

    fn identity(&self) -> Result<Identity> {
        let path = "get pod chatty -o 'jsonpath={range .status.containerStatuses[0]}{.containerID} \
                    {.state.running.startedAt} {.ready} {.restartCount}{end}'";
        let container = self.kubectl.prints(path, "", &["containerd://", "true 0"])?;
        let logger = processes(&["logger", &self.log()?.to_string_lossy()])?;
        ensure!(logger.len() == 1, "it has one logger: {logger:?}");
        Ok(Identity { container, logger })
    }

    /// The file being written.
    fn log(&self) -> Result<PathBuf> {
        let pods = self.sandbox.home(NODE).join("data/logs/pods");
        for entry in fs::read_dir(&pods)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("default_chatty_") {
                return Ok(entry.path().join("chatty/0.log"));
            }
        }
        bail!("no log of it in {}", pods.display())
    }

    /// Has it print a chapter, and waits until it is through.
    fn print(&self, chapter: usize) -> Result<()> {
        File::create(self.signals.join(format!("print-{chapter}")))?;
        let printed = self.signals.join(format!("printed-{chapter}"));
        eventually("the container has printed and is not blocked", PATIENCE, || {
            ensure!(printed.exists(), "chapter {chapter} is not printed");
            Ok(())
        })
    }

    fn without_mesh(&self) -> Result<()> {
        let data_dir = self.sandbox.home(NODE).join("data");
        let mesh = processes(&["up", "--data-dir", &data_dir.to_string_lossy()])?;
        ensure!(mesh.is_empty(), "mesh runs: {mesh:?}");
        Ok(())
    }

    fn shown(&self) -> Result<()> {
        let last = (CHAPTERS + 1) * LINES - 1;
        let text = eventually("the last line is shown", PATIENCE, || {
            self.kubectl.prints("logs chatty --tail=1", "", &[&format!("{last:08} x")])?;
            self.kubectl.prints("logs chatty", "", &[])
        })?;
        let numbers = text.lines().map(number).collect::<Result<Vec<_>>>()?;
        contiguous(&numbers, last)?;
        // More than a chapter is kept, though the newest file may have just begun.
        ensure!(numbers.len() > LINES, "{} lines are shown", numbers.len());
        Ok(())
    }
}

/// Files put aside, by their number: open, so that what is removed meanwhile can be read.
#[derive(Default)]
struct Files(BTreeMap<u64, File>);

impl Files {
    fn hold(&mut self, log: &Path) -> Result<()> {
        for (number, path) in aside(log)? {
            self.0.entry(number).or_insert(File::open(path)?);
        }
        Ok(())
    }

    /// Every line is there once and in order, over all the files there ever were.
    fn all(&self, log: &Path) -> Result<()> {
        let last = CHAPTERS * LINES - 1;
        eventually("the logger has written the last line", PATIENCE, || {
            ensure!(fs::read_to_string(log)?.contains(&format!(" F {last:08} x")), "the last line is not there");
            Ok(())
        })?;
        let (there, held) = (aside(log)?, self.0.keys().copied().collect::<Vec<_>>());
        ensure!(held.iter().copied().eq(1..=held.len() as u64), "a file was missed: {held:?}");
        ensure!(there.len() + 1 == FILES && held.len() > there.len(), "{there:?} are kept, of {held:?}");
        let mut numbers = Vec::new();
        for file in self.0.values() {
            numbers.extend(entries(file)?);
        }
        numbers.extend(entries(&File::open(log)?)?);
        ensure!(numbers.first() == Some(&0), "it begins with {:?}", numbers.first());
        contiguous(&numbers, last)
    }
}

/// The files put aside, with their numbers.
fn aside(log: &Path) -> Result<BTreeMap<u64, PathBuf>> {
    let prefix = format!("{}.", log.file_name().context("a file")?.to_string_lossy());
    let entries = fs::read_dir(log.parent().context("a folder")?)?.flatten();
    let number = |name: &str| name.strip_prefix(&prefix)?.parse().ok();
    Ok(entries.filter_map(|entry| Some((number(&entry.file_name().to_string_lossy())?, entry.path()))).collect())
}

/// The numbers of the lines in a file, whose entries are `TIME stdout F LINE`.
fn entries(file: &File) -> Result<Vec<usize>> {
    let line = |entry: std::io::Result<String>| {
        let entry = entry?;
        let (_, line) = entry.split_once(" stdout F ").with_context(|| format!("{entry:?} is no whole line"))?;
        number(line)
    };
    BufReader::new(file).lines().map(line).collect()
}

/// A whole line's number.
fn number(line: &str) -> Result<usize> {
    ensure!(line.len() == 1023, "a line of {} bytes: {line:.40}", line.len());
    line[..8].parse().with_context(|| format!("{line:.40}"))
}

fn contiguous(numbers: &[usize], last: usize) -> Result<()> {
    let gap = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
    ensure!(gap.is_none(), "after line {:?} of {}", gap, numbers.len());
    ensure!(numbers.last() == Some(&last), "it ends with {:?}, not {last}", numbers.last());
    Ok(())
}

/// Process ids of those whose command line holds all of these.
fn processes(parts: &[&str]) -> Result<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended.
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        if parts.iter().all(|part| line.contains(part)) {
            found.insert(pid);
        }
    }
    Ok(found)
}
