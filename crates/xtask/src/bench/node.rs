//! One `mesh` process on loopback: [`Node`]. Its ports follow from its number, and what it keeps is in one folder, so
//! that another run finds the processes again by their command line ([`end_all`]).

use std::{
    fs::{File, OpenOptions},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// How long a node may take to be ready on a busy machine; it takes about a second on an idle one.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// How long it is asked at a time; between, it is looked at whether it still runs.
const READY_SECONDS: &str = "2";

/// How long a node may take to end after SIGTERM; it lets requests finish for 10 s.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How long a quorum may take to change on a busy machine.
pub(crate) const QUORUM_LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at something that tells no event.
const LOOK_PERIOD: Duration = Duration::from_millis(20);

/// Lines of a node's log that are shown when it fails.
const SHOWN_LINES: usize = 12;

/// The first node's number is 1.
const PORTS: (u16, u16) = (27440, 26440);

/// A node: its name, folder, ports, and its process while it runs.
#[derive(Debug)]
pub(crate) struct Node {
    /// `n1`, `n2`, ...
    pub(crate) name: String,
    /// `https://127.0.0.1:...`
    pub(crate) server: String,
    number: u16,
    mesh: PathBuf,
    folder: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// A node that does not run yet; keeps its files below `folder`.
    pub(crate) fn new(mesh: &Path, folder: &Path, number: u16) -> Self {
        Self {
            name: format!("n{number}"),
            server: format!("https://127.0.0.1:{}", PORTS.1 + number),
            number,
            mesh: mesh.into(),
            folder: folder.into(),
            child: None,
        }
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    /// Starts `mesh up`, or `mesh join` with the words of a line that `mesh token create` printed.
    ///
    /// # Errors
    /// Where it cannot be run.
    pub(crate) fn start(&mut self, join: Option<&str>) -> Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.log_path());
        let log = log.with_context(|| format!("cannot write {}", self.log_path().display()))?;
        let mut command = Command::new(&self.mesh);
        match join {
            None => command.arg("up"),
            Some(line) => command.args(line.split_whitespace().filter(|word| *word != "mesh")),
        };
        command.args(["--name", &self.name, "--listen", &format!("127.0.0.1:{}", PORTS.0 + self.number)]);
        command.args(["--no-pods", "--api-listen", &format!("127.0.0.1:{}", PORTS.1 + self.number), "--data-dir"]);
        command.arg(self.data_dir()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("MESH_")) {
            command.env_remove(variable);
        }
        // Not in our group: a ^C at the terminal ends this command, not the nodes.
        let child = command.process_group(0).spawn().with_context(|| format!("cannot run {}", self.mesh.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until the node is ready; returns what `mesh status -o json` says.
    ///
    /// # Errors
    /// With the end of the node's log, where it ends instead or is not ready in time.
    pub(crate) fn ready(&mut self) -> Result<Value> {
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            let answered = self.ask(&["status", "--wait", READY_SECONDS, "-o", "json"]);
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!("node {} ended ({status}): {}", self.name, self.log_end());
            }
            match answered {
                Ok(text) => return Ok(serde_json::from_str(&text)?),
                Err(error) if Instant::now() >= deadline => {
                    return Err(error.context(format!("log of node {}: {}", self.name, self.log_end())));
                }
                Err(_) => {}
            }
        }
    }

    /// Runs `mesh <arguments>` about this node; returns what it prints.
    ///
    /// # Errors
    /// With its words where it fails.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.mesh);
        command.args(arguments).arg("--data-dir").arg(self.data_dir());
        let output = command.output().with_context(|| format!("cannot run {}", self.mesh.display()))?;
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        ensure!(output.status.success(), "mesh {}: {words}", arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// Where it does not run.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().with_context(|| format!("{} does not run", self.name))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Kills it and removes what it kept, so that another may have its number.
    ///
    /// # Errors
    /// Where it does not run, or its files do not go.
    pub(crate) fn wipe(mut self) -> Result<()> {
        self.kill()?;
        let folder = self.data_dir();
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
    }

    /// Process id.
    ///
    /// # Errors
    /// Where it does not run.
    pub(crate) fn pid(&self) -> Result<u32> {
        self.child.as_ref().map(Child::id).with_context(|| format!("{} does not run", self.name))
    }

    fn log_end(&self) -> String {
        let text = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!("\n{}", lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n"))
    }
}

/// Waits until every one of these nodes sees all of them vote.
///
/// # Errors
/// With the node that does not.
pub(crate) fn settled(nodes: &mut [Node]) -> Result<()> {
    let all = nodes.len();
    for node in nodes {
        eventually(QUORUM_LIMIT, || {
            let status = node.ready()?;
            let members = status["members"].as_array().map(Vec::as_slice).unwrap_or_default();
            let voters = members.iter().filter(|member| member["role"] == "voter").count();
            ensure!(voters == all, "{} sees {voters} voters instead of {all}", node.name);
            Ok(())
        })?;
    }
    Ok(())
}

/// Waits until `look` finds what it looks for; tells the last reason where it does not in time.
///
/// # Errors
/// See above.
pub(crate) fn eventually<T>(limit: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() >= deadline => return Err(error.context(format!("not within {limit:?}"))),
            Err(_) => sleep(LOOK_PERIOD),
        }
    }
}

/// Ends the nodes whose files lie below `folder`, and removes what they kept.
///
/// # Errors
/// Where a node does not end, or the folder does not go.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    end_all(folder)?;
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Ends every `mesh` whose data directory lies below `folder`, whoever started it.
///
/// # Errors
/// Where one does not end.
fn end_all(folder: &Path) -> Result<()> {
    let found = processes(folder)?;
    for pid in &found {
        signal("TERM", *pid)?;
    }
    for pid in &found {
        let gone = eventually(STOP_LIMIT, || ended(*pid));
        if gone.is_err() {
            signal("KILL", *pid)?;
            eventually(STOP_LIMIT, || ended(*pid))?;
        }
    }
    Ok(())
}

fn ended(pid: u32) -> Result<()> {
    let state = File::open(format!("/proc/{pid}/stat")).and_then(std::io::read_to_string).unwrap_or_default();
    let state = state.rsplit(')').next().unwrap_or_default().trim_start().to_owned();
    ensure!(state.is_empty() || state.starts_with('Z'), "process {pid} does not end");
    Ok(())
}

fn processes(folder: &Path) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("cannot look at the processes")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        let ours = words.windows(2).any(|pair| pair[0] == "--data-dir" && Path::new(&*pair[1]).starts_with(folder));
        let node = words.get(1).is_some_and(|command| command == "up" || command == "join");
        if ours && node {
            found.push(pid);
        }
    }
    Ok(found)
}

/// The shell has `kill` built in; a machine may have no program of that name.
fn signal(name: &str, pid: u32) -> Result<()> {
    let status =
        Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\" 2> /dev/null", name, &pid.to_string()]).status()?;
    // It may have ended meanwhile; whether it has is looked at by the caller.
    let _ = status;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_gone_has_ended_and_a_running_one_has_not() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep runs");
        assert!(ended(child.id()).is_err());
        signal("KILL", child.id()).expect("signalled");
        child.wait().expect("it ended");
        assert!(ended(child.id()).is_ok());
    }

    #[test]
    fn no_foreign_process_is_ours() {
        assert!(processes(Path::new("/no/such/folder")).expect("processes are seen").is_empty());
    }
}
