//! Commands in running containers, their streams over FIFOs that containerd's shim opens too.

use std::{
    fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use containerd_client::services::v1::{
    CloseIoRequest, DeleteProcessRequest, ExecProcessRequest, KillRequest, ResizePtyRequest, StartRequest, WaitRequest,
};
use nix::{sys::stat::Mode, unistd::mkfifo};
use prost_types::Any;
use tokio::{
    io::{AsyncRead, DuplexStream, ReadBuf},
    net::unix::pipe,
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    Containerd,
    sandbox::blocking,
    tasks::{is_alive, is_gone},
};
use crate::{ContainerId, Exec, ExecControl, ExecSpec, RuntimeError, TerminalSize, oci};

/// The type of a command's description.
const PROCESS_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";

/// Input that waits for the command.
const STDIN_BYTES: usize = 64 * 1024;

/// A command that has ended keeps its output so long for a reader that lets it wait.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Tells commands started in the same instant apart.
static SEQUENCE: AtomicU64 = AtomicU64::new(0);

/// A command in a container.
#[derive(Clone)]
struct Process {
    containerd: Containerd,
    container: String,
    id: String,
    folder: PathBuf,
}

impl Containerd {
    pub(super) async fn run_exec(&self, id: &ContainerId, spec: &ExecSpec) -> Result<Exec, RuntimeError> {
        let record = self.existing(id).await?;
        if !self.task(id.as_str()).await?.is_some_and(|task| is_alive(&task)) {
            return Err(RuntimeError::Conflict { what: "container", id: id.to_string(), state: "is not running" });
        }
        let description = record.spec.map(|spec| spec.value).unwrap_or_default();
        let description = serde_json::from_slice(&description).unwrap_or_default();
        let described = oci::exec(&description, spec)?;
        let unique = format!("{}-{}", clock::now().as_nanosecond(), SEQUENCE.fetch_add(1, Ordering::Relaxed));
        let folder = self.shared.config.state.join("exec").join(&unique);
        let process =
            Process { containerd: self.clone(), container: id.to_string(), id: format!("exec-{unique}"), folder };
        match process.start(spec, described.to_string().into_bytes()).await {
            Ok(streams) => Ok(process.watch(streams)),
            Err(error) => {
                process.clean().await;
                Err(error)
            }
        }
    }
}

/// Our ends of a command's streams.
struct Streams {
    stdin: Option<pipe::Sender>,
    stdout: pipe::Receiver,
    stderr: Option<pipe::Receiver>,
}

impl Process {
    async fn start(&self, spec: &ExecSpec, described: Vec<u8>) -> Result<Streams, RuntimeError> {
        let (folder, stdin, stderr) = (self.folder.clone(), spec.stdin, !spec.tty);
        let fifo = |name: &str, wanted: bool| match wanted {
            true => self.folder.join(name).display().to_string(),
            false => String::new(),
        };
        blocking("make a command's streams", move || make_fifos(&folder, stdin, stderr)).await?;
        let streams = self.open(stdin, stderr).map_err(RuntimeError::host("open a command's streams"))?;
        let exec = ExecProcessRequest {
            container_id: self.container.clone(),
            stdin: fifo("stdin", stdin),
            stdout: fifo("stdout", true),
            stderr: fifo("stderr", stderr),
            terminal: spec.tty,
            spec: Some(Any { type_url: PROCESS_TYPE.to_owned(), value: described }),
            exec_id: self.id.clone(),
        };
        let containerd = &self.containerd;
        containerd.tasks().exec(containerd.request(exec)).await.map_err(containerd.refused("make a command"))?;
        let start = StartRequest { container_id: self.container.clone(), exec_id: self.id.clone() };
        let started = containerd.tasks().start(containerd.request(start)).await;
        started.map_err(|status| RuntimeError::Exec { message: status.message().to_owned() })?;
        Ok(streams)
    }

    /// Opened before the shim opens them, read only after: a FIFO without a writer looks as if it had ended.
    fn open(&self, stdin: bool, stderr: bool) -> io::Result<Streams> {
        let receiver = |name: &str| pipe::OpenOptions::new().open_receiver(self.folder.join(name));
        // Open for both, so that neither side waits for the other.
        let sender = |name: &str| pipe::OpenOptions::new().read_write(true).open_sender(self.folder.join(name));
        Ok(Streams {
            stdin: stdin.then(|| sender("stdin")).transpose()?,
            stdout: receiver("stdout")?,
            stderr: stderr.then(|| receiver("stderr")).transpose()?,
        })
    }

    fn watch(self, streams: Streams) -> Exec {
        // Nothing is sent: it tells when all readers are gone.
        let (reading, read) = mpsc::channel(1);
        let stdin = streams.stdin.map(|fifo| {
            let (ours, theirs) = tokio::io::duplex(STDIN_BYTES);
            let pump = tokio::spawn(self.clone().pump(theirs, fifo)).abort_handle();
            (ours, pump)
        });
        let (stdin, pump) = stdin.unzip();
        let (exited, exit) = oneshot::channel();
        let (keep, dropped) = oneshot::channel::<()>();
        let control = Control(self.clone());
        let tracked = |inner| Tracked { inner, _reading: reading.clone() };
        let (stdout, stderr) = (tracked(streams.stdout), streams.stderr.map(tracked));
        drop(reading);
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = self.wait() => ended,
                _ = dropped => {
                    self.kill().await;
                    self.wait().await
                }
            };
            if let Some(pump) = pump {
                pump.abort();
            }
            // Who asked may have gone.
            let _ = exited.send(ended);
            self.drain(read).await;
            self.clean().await;
        });
        Exec {
            stdin: stdin.map(|stdin: DuplexStream| Box::new(stdin) as _),
            stdout: Box::new(stdout),
            stderr: stderr.map(|stderr| Box::new(stderr) as _),
            control: Box::new(control),
            exit: Box::pin(async move {
                let ended = exit.await;
                drop(keep);
                ended.unwrap_or_else(|_| Err(RuntimeError::Exec { message: "it was abandoned".to_owned() }))
            }),
        }
    }

    async fn wait(&self) -> Result<i32, RuntimeError> {
        let request = WaitRequest { container_id: self.container.clone(), exec_id: self.id.clone() };
        let request = self.containerd.request_that_waits(request);
        let ended =
            self.containerd.tasks().wait(request).await.map_err(self.containerd.refused("wait for a command"))?;
        Ok(i32::try_from(ended.into_inner().exit_status).unwrap_or(i32::MAX))
    }

    async fn kill(&self) {
        let signal = nix::sys::signal::Signal::SIGKILL as u32;
        let (container_id, exec_id) = (self.container.clone(), self.id.clone());
        let request = self.containerd.request(KillRequest { container_id, exec_id, signal, all: false });
        // It may have ended by itself.
        let _ = self.containerd.tasks().kill(request).await;
    }

    async fn pump(self, mut from: DuplexStream, mut to: pipe::Sender) {
        // A command that has ended takes no more.
        let _ = tokio::io::copy(&mut from, &mut to).await;
        drop(to);
        let (container_id, exec_id) = (self.container.clone(), self.id.clone());
        let request = self.containerd.request(CloseIoRequest { container_id, exec_id, stdin: true });
        let _ = self.containerd.tasks().close_io(request).await;
    }

    /// The shim drops what is in its streams when the process is removed.
    async fn drain(&self, mut read: mpsc::Receiver<()>) {
        let _ = timeout(DRAIN_TIMEOUT, read.recv()).await;
    }

    /// Removes what is left; what fails here, goes with the container or the next boot.
    async fn clean(&self) {
        let (container_id, exec_id) = (self.container.clone(), self.id.clone());
        let request = self.containerd.request(DeleteProcessRequest { container_id, exec_id });
        let _ = self.containerd.tasks().delete_process(request).await;
        let folder = self.folder.clone();
        let _ = blocking("remove a command's streams", move || fs::remove_dir_all(folder)).await;
    }
}

fn make_fifos(folder: &Path, stdin: bool, stderr: bool) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, _) in [("stdin", stdin), ("stdout", true), ("stderr", stderr)].iter().filter(|(_, wanted)| *wanted) {
        mkfifo(&folder.join(name), Mode::S_IRUSR | Mode::S_IWUSR)?;
    }
    Ok(())
}

/// A stream that tells when it is let go.
struct Tracked {
    inner: pipe::Receiver,
    _reading: mpsc::Sender<()>,
}

impl AsyncRead for Tracked {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

struct Control(Process);

#[async_trait]
impl ExecControl for Control {
    async fn resize(&self, size: TerminalSize) -> Result<(), RuntimeError> {
        let Process { containerd, container, id, .. } = &self.0;
        let request = ResizePtyRequest {
            container_id: container.clone(),
            exec_id: id.clone(),
            width: size.width.into(),
            height: size.height.into(),
        };
        match containerd.tasks().resize_pty(containerd.request(request)).await {
            Err(status) if !is_gone(&status) => Err(containerd.refused("resize a terminal")(status)),
            _ => Ok(()),
        }
    }
}
