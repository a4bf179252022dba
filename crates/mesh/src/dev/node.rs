//! One node of a sandbox: [`Node`].

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::network::{self, namespace_path};
use super::processes::{self, NamespaceId, Process};
use super::{Sandbox, containerd, groups, mounts, subnet};

/// How long containerd may take to listen on a busy machine; it takes 35 ms on an idle one.
const CONTAINERD_LIMIT: Duration = Duration::from_secs(30);

/// Between two looks for its socket, which tells no event.
const LOOK_PERIOD: Duration = Duration::from_millis(5);

/// A program that a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Part {
    /// The control process, `mesh up` or `mesh join`.
    Mesh,
    /// The data plane process, `mesh dataplane`.
    Dataplane,
    /// containerd; its containers live on.
    Containerd,
}

impl Part {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Mesh, Self::Dataplane, Self::Containerd];

    /// The word that names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mesh => "mesh",
            Self::Dataplane => "dataplane",
            Self::Containerd => "containerd",
        }
    }

    /// Whether this process is it.
    pub(crate) fn is(self, process: &Process) -> bool {
        let words: Vec<&str> = process.words.iter().map(String::as_str).collect();
        let program = words.first().and_then(|word| word.rsplit('/').next()).unwrap_or_default();
        match (self, words.get(1).copied()) {
            (Self::Mesh, Some("up" | "join")) => program == "mesh" || words.contains(&"--data-dir"),
            (Self::Dataplane, Some("dataplane")) => true,
            (Self::Containerd, _) => program == "containerd",
            _ => false,
        }
    }
}

/// A node, running or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    pub(super) sandbox: &'a Sandbox,
    pub(super) number: u16,
}

impl Node<'_> {
    /// `node-1`, ...
    pub(crate) fn name(&self) -> String {
        format!("node-{}", self.number)
    }

    /// Its network namespace's name.
    pub(super) fn namespace(&self) -> String {
        format!("mesh-{}-{}", self.sandbox.name, self.name())
    }

    /// The file that stands for its network namespace.
    pub(crate) fn namespace_file(&self) -> PathBuf {
        namespace_path(&self.namespace())
    }

    /// What `mesh chaos` asks of it; outlives a power cut.
    pub(crate) fn hooks(&self) -> PathBuf {
        self.sandbox.run().join("chaos").join(format!("{}.json", self.name()))
    }

    /// Its address.
    pub(crate) fn address(&self) -> Ipv4Addr {
        subnet::address(self.sandbox.subnet, self.number)
    }

    fn home(&self) -> PathBuf {
        self.sandbox.home().join(self.name())
    }

    fn run(&self) -> PathBuf {
        self.sandbox.run().join(self.name())
    }

    /// What `mesh` keeps of it.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.home().join("data")
    }

    fn state_dir(&self) -> PathBuf {
        self.run().join("mesh")
    }

    fn containerd_state(&self) -> PathBuf {
        self.run().join("containerd")
    }

    fn socket(&self) -> PathBuf {
        self.run().join("containerd.sock")
    }

    /// Where a program's output goes.
    pub(crate) fn log(&self, part: &str) -> PathBuf {
        self.home().join(format!("{part}.log"))
    }

    /// Whether it was a member before.
    pub(crate) fn is_member(&self) -> bool {
        self.data_dir().join("member.json").exists()
    }

    /// The process of a part, if it runs.
    pub(crate) fn process(&self, part: Part) -> Result<Option<i32>> {
        Ok(self.processes()?.into_iter().find(|process| part.is(process)).map(|process| process.pid))
    }

    /// The namespaces of the node and of its pods.
    fn namespaces(&self) -> BTreeSet<NamespaceId> {
        let pods = mounts::below(&self.run()).unwrap_or_default();
        let own = std::iter::once(namespace_path(&self.namespace()));
        // A pod's folder may hold other mounts too: no process is in those.
        own.chain(pods).filter_map(|path| processes::namespace(&path)).collect()
    }

    /// All that it runs, its pods' too.
    pub(crate) fn processes(&self) -> Result<Vec<Process>> {
        processes::within(&self.namespaces())
    }

    /// Kills one of its programs.
    pub(crate) fn kill(&self, part: Part) -> Result<usize> {
        processes::kill_until_gone(|| Ok(self.processes()?.into_iter().filter(|process| part.is(process)).collect()))
    }

    /// As if the machine lost power: no process is left, and nothing that a reboot ends. Returns how many were killed.
    pub(crate) fn kill_all(&self) -> Result<usize> {
        if namespace_path(&self.namespace()).exists() {
            network::plug(self.sandbox, self, false)?;
        }
        let namespaces = self.namespaces();
        let killed = processes::kill_until_gone(|| processes::within(&namespaces))?;
        containerd::remove_shim_sockets(&self.containerd_state());
        mounts::remove_all(&self.run())?;
        mounts::unmount_below(&self.home())?;
        groups::remove(&self.pods());
        Ok(killed)
    }

    /// UIDs of the pods it keeps folders of.
    fn pods(&self) -> Vec<String> {
        let entries = fs::read_dir(self.data_dir().join("pods")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Starts what does not run: containerd, then `mesh up`, or `mesh join` with the words of this line.
    pub(crate) fn start(&self, join: Option<&str>) -> Result<()> {
        network::plug(self.sandbox, self, true)?;
        for folder in [self.home(), self.run()] {
            fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        if self.process(Part::Containerd)?.is_none() {
            self.start_containerd()?;
        }
        if self.process(Part::Mesh)?.is_none() {
            self.start_mesh(join)?;
        }
        Ok(())
    }

    fn start_containerd(&self) -> Result<()> {
        let (config, socket) = (self.home().join("containerd.toml"), self.socket());
        containerd::configure(&config, &self.home().join("containerd"), &self.containerd_state(), &socket)?;
        let mut command = self.inside(Path::new("containerd"));
        self.spawn(command.arg("--config").arg(&config), "containerd")?;
        let deadline = Instant::now() + CONTAINERD_LIMIT;
        while UnixStream::connect(&socket).is_err() {
            ensure!(
                Instant::now() < deadline,
                "containerd of {} does not listen; see {}",
                self.name(),
                self.log("containerd").display()
            );
            sleep(LOOK_PERIOD);
        }
        Ok(())
    }

    fn start_mesh(&self, join: Option<&str>) -> Result<()> {
        let mut command = self.inside(&std::env::current_exe()?);
        match join {
            None => command.arg("up"),
            Some(line) => command.args(line.split_whitespace().skip_while(|word| *word == "mesh")),
        };
        command.args(["--name", &self.name(), "--advertise", &self.address().to_string()]);
        command.arg("--data-dir").arg(self.data_dir()).arg("--state-dir").arg(self.state_dir());
        command.arg("--containerd-socket").arg(self.socket()).arg("--chaos-hooks").arg(self.hooks());
        self.spawn(&mut command, "mesh")
    }

    /// A program in the node's network namespace. The other namespaces, and with them `/sys/fs/cgroup`, stay the host's.
    fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new("setsid");
        command.arg("nsenter").arg(format!("--net={}", namespace_path(&self.namespace()).display())).arg(program);
        for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("MESH_") && name != "MESH_LOG") {
            command.env_remove(variable);
        }
        command
    }

    fn spawn(&self, command: &mut Command, name: &str) -> Result<()> {
        let path = self.log(name);
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let log = log.with_context(|| path.display().to_string())?;
        let command = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        // Reaped by a thread: it may outlive this command, and must not stay a zombie while it does not.
        std::thread::spawn(move || child.wait());
        Ok(())
    }
}
