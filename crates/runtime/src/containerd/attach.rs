//! The streams of containers themselves: where they come from, and how others join them.
//!
//! Output goes through the container's logger, which lets listeners in; see [`crate::log`]. Input comes through a FIFO that
//! the shim holds open, so that it does not end when we do. Where a container has input but no terminal, the shim takes
//! FIFOs only: then we start the logger ourselves, and it outlives us all the same.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use async_trait::async_trait;
use containerd_client::services::v1::{CloseIoRequest, ResizePtyRequest};
use nix::{errno::Errno, fcntl::OFlag, sys::stat::Mode, unistd::mkfifo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::{UnixStream, unix::pipe},
    sync::oneshot,
    time::{Duration, timeout},
};

use super::{
    Containerd, Record,
    sandbox::blocking,
    tasks::{is_alive, is_gone},
};
use crate::{
    ContainerId, Exec, ExecControl, RuntimeError, TerminalSize, labels,
    log::{HEAD_BYTES, LoggerConfig},
};

/// Digits of an id in names of sockets, which may not be long: 64 bits, of a hash.
const SHORT_ID: usize = 16;

/// Bytes that wait for a reader.
const STREAM_BYTES: usize = 64 * 1024;

/// Bytes of one part of a logger's: what it reads at once.
const PART_BYTES_MAX: usize = 64 * 1024;

/// What a container printed last still comes so long after its end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A logger lets a listener in within this time; one of an earlier release does not say so.
const LET_IN: Duration = Duration::from_secs(1);

/// Where a container's streams go, as containerd is told.
#[derive(Default)]
pub(super) struct Wires {
    pub(super) stdin: String,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Containerd {
    /// Makes what a container's streams need.
    pub(super) async fn wires(&self, record: &Record) -> Result<Wires, RuntimeError> {
        let Some(log) = record.labels.get(labels::LOG_PATH) else { return Ok(Wires::default()) };
        let terminal = record.labels.contains_key(labels::TTY);
        let stdin = record.labels.contains_key(labels::STDIN);
        let folder = self.streams(&record.id);
        let config = LoggerConfig { audience: Some(folder.join("out")), ..LoggerConfig::new(log.into()) };
        let logger = self.shared.config.helper.clone();
        blocking("make a container's streams", move || {
            fs::create_dir_all(&folder)?;
            let text = |path: &Path| path.display().to_string();
            if stdin {
                fifo(&folder.join("in"))?;
            }
            let input = if stdin { text(&folder.join("in")) } else { String::new() };
            if stdin && !terminal {
                let pipes = ["1", "2"].map(|name| folder.join(name));
                pipes.iter().try_for_each(|pipe| fifo(pipe))?;
                let [stdout, stderr] = pipes.clone().map(|pipe| text(&pipe));
                start_logger(&logger, &LoggerConfig { input: Some(pipes), ..config })?;
                return Ok(Wires { stdin: input, stdout, stderr });
            }
            let output = config.uri(&logger);
            let stderr = if terminal { String::new() } else { output.clone() };
            Ok(Wires { stdin: input, stdout: output, stderr })
        })
        .await
    }

    fn streams(&self, id: &str) -> PathBuf {
        self.shared.config.state.join("io").join(id.get(..SHORT_ID).unwrap_or(id))
    }

    /// What cannot be removed goes with the next boot.
    pub(super) async fn forget_streams(&self, id: &str) {
        let folder = self.streams(id);
        let _ = blocking("remove a container's streams", move || {
            // A logger that still waits for a container's output finds its end.
            for name in ["1", "2"] {
                let _ = OpenOptions::new().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(folder.join(name));
            }
            fs::remove_dir_all(folder)
        })
        .await;
    }

    pub(super) async fn attach_container(&self, id: &ContainerId, stdin: bool) -> Result<Exec, RuntimeError> {
        let record = self.existing(id).await?;
        if !self.task(id.as_str()).await?.is_some_and(|task| is_alive(&task)) {
            return Err(RuntimeError::Conflict { what: "container", id: id.to_string(), state: "is not running" });
        }
        let folder = self.streams(id.as_str());
        let listening = UnixStream::connect(folder.join("out")).await;
        let listening = listening.map_err(RuntimeError::host(format!("listen to container {id}")))?;
        let ((stdout, output), (stderr, errors)) = (tokio::io::duplex(STREAM_BYTES), tokio::io::duplex(STREAM_BYTES));
        let (inside, let_in) = oneshot::channel();
        let listening = Ended(tokio::spawn(listen(listening, inside, output, errors)));
        let _ = timeout(LET_IN, let_in).await;
        let input = match record.labels.get(labels::STDIN).filter(|_| stdin) {
            Some(kind) => {
                let sender = pipe::OpenOptions::new().open_sender(folder.join("in"));
                let sender = sender.map_err(RuntimeError::host(format!("write to container {id}")))?;
                let (ours, theirs) = tokio::io::duplex(STREAM_BYTES);
                let once = kind == labels::STDIN_ONCE;
                tokio::spawn(feed(self.clone(), id.to_string(), theirs, sender, once));
                Some(Box::new(ours) as _)
            }
            None => None,
        };
        let terminal = record.labels.contains_key(labels::TTY);
        let (containerd, of) = (self.clone(), id.to_string());
        let exit = async move {
            containerd.wait(&of).await?;
            // Listed, its remains are removed, and the logger ends.
            let _ = timeout(LAST_WORDS, listening.until()).await;
            Ok(0)
        };
        Ok(Exec {
            stdin: input,
            stdout: Box::new(stdout),
            stderr: (!terminal).then(|| Box::new(stderr) as _),
            control: Box::new(Control { containerd: self.clone(), container: id.to_string() }),
            exit: Box::pin(exit),
        })
    }
}

/// A task that ends with whoever waits for it.
struct Ended(tokio::task::JoinHandle<()>);

impl Ended {
    async fn until(mut self) {
        let _ = (&mut self.0).await;
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One that is left of an earlier start will do.
fn fifo(path: &Path) -> io::Result<()> {
    match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Starts a logger that no signal to us reaches.
fn start_logger(program: &Path, config: &LoggerConfig) -> io::Result<()> {
    let config = serde_json::to_string(config).map_err(io::Error::other)?;
    let mut command = Command::new(program);
    command.arg("logger").arg(config).process_group(0);
    let mut logger = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    // Only waits; if we end before it, it goes on.
    std::thread::Builder::new().name("logger".into()).spawn(move || logger.wait())?;
    Ok(())
}

/// Takes a logger's parts apart, until it ends. The first that comes, a greeting as a rule, shows that we are let in.
async fn listen(mut from: UnixStream, inside: oneshot::Sender<()>, mut output: DuplexStream, mut errors: DuplexStream) {
    let mut inside = Some(inside);
    let mut part = Vec::new();
    loop {
        let mut head = [0; HEAD_BYTES];
        if from.read_exact(&mut head).await.is_err() {
            return;
        }
        if let Some(inside) = inside.take() {
            let _ = inside.send(()); // who no longer waits joined without it
        }
        let [number, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if length > PART_BYTES_MAX {
            return;
        }
        part.resize(length, 0);
        if from.read_exact(&mut part).await.is_err() {
            return;
        }
        let to = if number == 2 { &mut errors } else { &mut output };
        // Whoever reads no more misses nothing.
        let _ = to.write_all(&part).await;
    }
}

/// Writes to a container. With `once`, the end of this input is the end of its.
async fn feed(containerd: Containerd, container: String, mut from: DuplexStream, mut to: pipe::Sender, once: bool) {
    // A container that has ended takes no more.
    let _ = tokio::io::copy(&mut from, &mut to).await;
    drop(to);
    if once {
        let request =
            containerd.request(CloseIoRequest { container_id: container, exec_id: String::new(), stdin: true });
        let _ = containerd.tasks().close_io(request).await;
    }
}

struct Control {
    containerd: Containerd,
    container: String,
}

#[async_trait]
impl ExecControl for Control {
    async fn resize(&self, size: TerminalSize) -> Result<(), RuntimeError> {
        let request = ResizePtyRequest {
            container_id: self.container.clone(),
            exec_id: String::new(),
            width: size.width.into(),
            height: size.height.into(),
        };
        match self.containerd.tasks().resize_pty(self.containerd.request(request)).await {
            Err(status) if !is_gone(&status) => Err(self.containerd.refused("resize a terminal")(status)),
            _ => Ok(()),
        }
    }
}
