//! One `mesh` process with its ports, data directory and log: [`Node`].

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::ports::{Ports, reserve};
use crate::program::{Program, without_settings};
use crate::{eventually, mesh};

/// How long a node may take to say that it is up, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long a node may take to end after SIGTERM: it drains requests for up to 10 s.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Lines of a node's output that may wait for the test; more are only logged.
const LINES: usize = 256;

/// Lines of a log that a failed test shows.
const SHOWN_LINES: usize = 80;

/// How a node is started.
#[derive(Clone, Copy, Debug)]
pub enum Launch<'a> {
    /// `mesh up`.
    Up,
    /// The line that `mesh up` or `mesh token create` printed.
    Join(&'a str),
}

/// A node, running or not. Killed on drop.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its data directory.
    pub dir: PathBuf,
    /// Where it listens.
    pub ports: Ports,
    log: PathBuf,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    lines: Mutex<Receiver<String>>,
}

impl Node {
    /// A node that does not run yet; keeps its files below `root`.
    ///
    /// # Errors
    /// Where no port is free.
    pub fn new(root: &Path, name: &str) -> Result<Self> {
        let (dir, log) = (root.join(name), root.join(format!("{name}.log")));
        Ok(Self { name: name.into(), dir, ports: reserve()?, log, process: None })
    }

    /// What starts this node, for a test of how that fails: it must be [`Program::run`] to its end.
    pub fn program(&self, launch: Launch<'_>, more: &str) -> Program {
        self.arguments(launch, more).into_iter().fold(Program::new(mesh(), ""), Program::arg).limit(START_LIMIT)
    }

    /// Starts it and returns at once.
    ///
    /// # Errors
    /// Where it runs already, or cannot be run.
    pub fn launch(&mut self, launch: Launch<'_>, more: &str) -> Result<()> {
        ensure!(self.process.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(mesh());
        command.args(self.arguments(launch, more)).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(log.try_clone()?);
        without_settings(&mut command);
        let mut child = command.spawn().with_context(|| format!("cannot run {}", mesh().display()))?;
        let (sender, lines) = sync_channel(LINES);
        let stdout = child.stdout.take();
        std::thread::spawn(move || stdout.map(|stdout| copy(stdout, log, &sender)));
        self.process = Some(Process { child, lines: lines.into() });
        Ok(())
    }

    /// Starts it and waits until it says that it is up; returns the line that says so.
    ///
    /// # Errors
    /// As [`Node::launch`], or where it ends instead.
    pub fn start(&mut self, launch: Launch<'_>) -> Result<String> {
        self.launch(launch, "")?;
        let part = match launch {
            Launch::Up => "Node ",
            Launch::Join(_) => "joined",
        };
        self.says(part)
    }

    fn arguments(&self, launch: Launch<'_>, more: &str) -> Vec<String> {
        let mut arguments: Vec<String> = match launch {
            Launch::Up => vec!["up".into()],
            Launch::Join(line) => line.split_whitespace().filter(|word| *word != "mesh").map(Into::into).collect(),
        };
        let Ports { control, api } = self.ports;
        let ours =
            [("--name", self.name.clone()), ("--listen", control.to_string()), ("--api-listen", api.to_string())];
        for (flag, value) in ours.into_iter().chain([("--data-dir", self.dir.display().to_string())]) {
            if !more.contains(flag) {
                arguments.extend([flag.into(), value]);
            }
        }
        arguments.push("--no-pods".into());
        arguments.extend(more.split_whitespace().map(Into::into));
        arguments
    }

    /// Waits for a line on its standard output that holds `part`.
    ///
    /// # Errors
    /// Where it does not come in time, or the process ends before.
    pub fn says(&self, part: &str) -> Result<String> {
        let process = self.process.as_ref().with_context(|| format!("{} does not run", self.name))?;
        let lines = process.lines.lock().expect("nobody panics holding it");
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) if line.contains(part) => return Ok(line),
                Ok(_) => {}
                Err(why) => bail!("{} did not say {part:?} ({why}): {}", self.name, self.log()),
            }
        }
    }

    /// A command about this node: `mesh <arguments> --data-dir ...`.
    pub fn command(&self, arguments: &str) -> Program {
        Program::new(mesh(), arguments).arg("--data-dir").arg(&self.dir)
    }

    /// What `mesh status -o json` says, once the node is ready.
    ///
    /// # Errors
    /// Where it is not within a minute.
    pub fn ready(&self) -> Result<Value> {
        let said = self.command("status --wait 60 -o json").limit(START_LIMIT * 2).run()?.prints(&[])?;
        Ok(serde_json::from_str(&said)?)
    }

    /// What `mesh status -o json` says now.
    ///
    /// # Errors
    /// Where the node does not run.
    pub fn status(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.command("status -o json").run()?.prints(&[])?)?)
    }

    /// Whether the process was started and not stopped by the test.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn kill9(&mut self) -> Result<()> {
        let mut process = self.process.take().with_context(|| format!("{} does not run", self.name))?;
        process.child.kill()?;
        process.child.wait()?;
        Ok(())
    }

    /// SIGSTOP: it stands still, with all its connections open.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process.as_ref().with_context(|| format!("{} does not run", self.name))?;
        Ok(kill(Pid::from_raw(i32::try_from(process.child.id())?), signal)?)
    }

    /// SIGTERM, and waits until it has ended by itself.
    ///
    /// # Errors
    /// Where it does not end in time, or not with success.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let status = self.ended()?;
        ensure!(status.success(), "{} stopped with {status}: {}", self.name, self.log());
        Ok(())
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// Where it does not in time.
    pub fn ended(&mut self) -> Result<ExitStatus> {
        let process = self.process.as_mut().with_context(|| format!("{} does not run", self.name))?;
        let child = &mut process.child;
        let look = || child.try_wait()?.context("it runs");
        let status = eventually("the end of a node", STOP_LIMIT, look)?;
        self.process = None;
        Ok(status)
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.process.is_some() {
            // It may have ended already.
            let _ = self.kill9();
        }
        if std::thread::panicking() {
            println!("--- {} ({})\n{}", self.name, self.ports.control, self.log());
        }
    }
}

/// Logs each line and offers it to the test.
fn copy(stdout: ChildStdout, mut log: File, lines: &SyncSender<String>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        // Logging is for people; a test that waits for a line gets it all the same.
        let _ = writeln!(log, "{line}");
        let _ = lines.try_send(line);
    }
}
