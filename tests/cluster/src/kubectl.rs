//! kubectl with a home of its own: [`Kubectl`].

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Client;
use crate::program::{Ended, Program};

/// Lines of a following kubectl that may wait for the test.
const LINES: usize = 1024;

/// How long a following kubectl may take to print what a test waits for.
const LINE_LIMIT: Duration = Duration::from_secs(30);

/// A kubectl release, a kubeconfig, and a folder to write its caches to.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    minor: u32,
    home: PathBuf,
    kubeconfig: PathBuf,
    more: Vec<(String, String)>,
}

impl Kubectl {
    /// Everything it writes goes below `root`; releases and kubeconfigs share no cache.
    pub fn new(client: &Client, root: &Path, kubeconfig: PathBuf) -> Self {
        let user = kubeconfig.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let home = root.join(format!("home-{}-{user}", client.minor));
        Self { program: client.path.clone(), minor: client.minor, home, kubeconfig, more: Vec::new() }
    }

    /// Its minor version.
    pub fn minor(&self) -> u32 {
        self.minor
    }

    /// The same with another variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.more.push((name.into(), value.into()));
        self
    }

    /// What is to be run; blanks split arguments outside of single quotes.
    pub fn program(&self, arguments: &str) -> Program {
        self.with_settings(Program::new(&self.program, arguments))
    }

    /// A line for the shell, in which `kubectl` is this one.
    ///
    /// # Errors
    /// Where no link to it can be made.
    pub fn shell(&self, line: &str) -> Result<Program> {
        let folder = self.home.join("bin");
        std::fs::create_dir_all(&folder)?;
        match std::os::unix::fs::symlink(&self.program, folder.join("kubectl")) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let old = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&old)))?;
        Ok(self.with_settings(Program::new(Path::new("/bin/sh"), "-c").arg(line)).env("PATH", path))
    }

    fn with_settings(&self, program: Program) -> Program {
        let program = program
            .env("HOME", &self.home)
            .env("KUBECACHEDIR", self.home.join("cache"))
            .env("KUBECONFIG", &self.kubeconfig);
        self.more.iter().fold(program, |program, (name, value)| program.env(name, value))
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// Where it does not end in time.
    pub fn run(&self, arguments: &str, input: &str) -> Result<Ended> {
        self.program(arguments).input(input).run()
    }

    /// Runs it; it must succeed and print all of `parts` (and no `!part`).
    ///
    /// # Errors
    /// Where it does not.
    pub fn prints(&self, arguments: &str, input: &str, parts: &[&str]) -> Result<String> {
        self.run(arguments, input)?.prints(parts)
    }

    /// Runs it; it must fail and complain of all of `parts` (and no `!part`).
    ///
    /// # Errors
    /// Where it does not.
    pub fn refuses(&self, arguments: &str, input: &str, parts: &[&str]) -> Result<String> {
        self.run(arguments, input)?.refuses(parts)
    }

    /// Starts a kubectl that goes on printing: `get -w`, `proxy`.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn follow(&self, arguments: &str) -> Result<Following> {
        let mut child = self.program(arguments).spawn()?;
        let (sender, lines) = sync_channel(LINES);
        let stdout = child.stdout.take().context("it has no output")?;
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Following { child, lines })
    }
}

/// A kubectl that goes on printing; killed on drop.
#[derive(Debug)]
pub struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    /// Waits for a line that holds `part`.
    ///
    /// # Errors
    /// Where it does not come in time, or the program ends before; tells the lines that came instead.
    pub fn says(&self, part: &str) -> Result<String> {
        let deadline = Instant::now() + LINE_LIMIT;
        let mut others = Vec::new();
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(part) => return Ok(line),
                Ok(line) => others.push(line),
                Err(why) => bail!("did not say {part:?} ({why}), but {others:?}"),
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
