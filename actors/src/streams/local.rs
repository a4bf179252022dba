//! Streams of this node's own pods, from its container runtime. Main type: [`Local`].

use std::fs::File;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use apiserver::streams::{Command, Duplex, Exit, LogOptions, Place, Process, Size, StreamError};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nix::sched::{CloneFlags, setns};
use parking_lot::Mutex;
use runtime::log::{LogError, LogReader, LogWatcher, ReadOptions, Stream, log_path};
use runtime::{Container, ContainerRuntime, ContainerState, Exec, ExecControl, ExecSpec, RuntimeError, TerminalSize};
use tokio::sync::mpsc;
use tracing::debug;

/// Sizes of a terminal that wait: only the newest matters.
const SIZES_MAX: usize = 4;

/// How long a port of a pod may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Of containers' ids in the API.
const SCHEME: &str = "containerd://";

/// Serves this node's pods; without a runtime, none.
#[derive(Debug)]
pub struct Local {
    runtime: Option<Arc<dyn ContainerRuntime>>,
    /// Where logs are.
    logs: PathBuf,
    /// Made with the first log that is followed.
    watcher: Mutex<Option<LogWatcher>>,
}

impl Local {
    /// `logs` is the root of [`runtime::log::log_path`].
    pub fn new(runtime: Option<Arc<dyn ContainerRuntime>>, logs: PathBuf) -> Self {
        Self { runtime, logs, watcher: Mutex::default() }
    }

    fn runtime(&self) -> Result<&dyn ContainerRuntime, StreamError> {
        let missing = || StreamError::Unreachable("the node runs no pods (--no-pods)".to_owned());
        self.runtime.as_deref().ok_or_else(missing)
    }

    /// All attempts of a container, the oldest first.
    async fn attempts(&self, place: &Place) -> Result<Vec<Container>, StreamError> {
        let mut all = self.runtime()?.containers().await.map_err(failed)?;
        all.retain(|container| container.pod.uid == place.uid && container.name == place.container);
        all.sort_by_key(|container| container.attempt);
        Ok(all)
    }

    async fn running(&self, place: &Place) -> Result<Container, StreamError> {
        let newest = self.attempts(place).await?.pop();
        let newest = newest.filter(|container| matches!(container.state, ContainerState::Running { .. }));
        newest.ok_or_else(|| StreamError::NoContainer(place.container.clone()))
    }

    /// See [`apiserver::streams::Kubelets::logs`].
    pub(super) async fn logs(
        &self,
        place: &Place,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Bytes>, StreamError> {
        let attempts = self.attempts(place).await?;
        let wanted = match options.container_id.as_deref().map(|id| id.strip_prefix(SCHEME).unwrap_or(id)) {
            Some(id) => attempts
                .into_iter()
                .find(|container| container.id.as_str() == id)
                .ok_or_else(|| StreamError::Failed(format!("unable to retrieve container logs for {SCHEME}{id}")))?,
            None => {
                let started = |container: &Container| container.state != ContainerState::Created;
                attempts.into_iter().rfind(started).ok_or(StreamError::NotStarted)?
            }
        };
        let path = log_path(&self.logs, &wanted.pod, &wanted.name, wanted.attempt);
        let reader = LogReader::open(&path, read_options(options), &self.watcher()?).await;
        let reader = match reader {
            Ok(reader) => reader,
            // A program that could not be started has printed nothing.
            Err(LogError::Missing(_)) => return Ok(stream::empty().boxed()),
            Err(error) => return Err(StreamError::Failed(error.to_string())),
        };
        Ok(stream::unfold(reader, |mut reader| async move {
            match reader.next().await {
                Ok(part) => part.map(|part| (part, reader)),
                Err(error) => {
                    debug!(%error, "log not read to its end");
                    None
                }
            }
        })
        .boxed())
    }

    fn watcher(&self) -> Result<LogWatcher, StreamError> {
        let mut watcher = self.watcher.lock();
        if let Some(watcher) = &*watcher {
            return Ok(watcher.clone());
        }
        let made = LogWatcher::new().map_err(|error| StreamError::Failed(error.to_string()))?;
        Ok(watcher.insert(made).clone())
    }

    /// See [`apiserver::streams::Kubelets::exec`].
    pub(super) async fn exec(&self, place: &Place, command: &Command) -> Result<Process, StreamError> {
        let container = self.running(place).await?;
        let Command { command, stdin, tty, .. } = command.clone();
        let spec = ExecSpec { command, stdin, tty };
        Ok(process(self.runtime()?.exec(&container.id, &spec).await.map_err(failed)?))
    }

    /// See [`apiserver::streams::Kubelets::attach`].
    pub(super) async fn attach(&self, place: &Place, command: &Command) -> Result<Process, StreamError> {
        let container = self.running(place).await?;
        Ok(process(self.runtime()?.attach(&container.id, command.stdin).await.map_err(failed)?))
    }

    /// See [`apiserver::streams::Kubelets::port_forward`].
    pub(super) async fn port_forward(&self, place: &Place, port: u16) -> Result<Box<dyn Duplex>, StreamError> {
        let all = self.runtime()?.containers().await.map_err(failed)?;
        let of_pod = all.into_iter().filter(|container| container.pod.uid == place.uid);
        let pid = of_pod.filter_map(|container| match container.state {
            ContainerState::Running { pid, .. } => Some(pid),
            _ => None,
        });
        let no_network = || StreamError::Failed(format!("pod {:?} has no container that runs", place.pod));
        let pid = pid.max().ok_or_else(no_network)?;
        let refused = |error: std::io::Error| StreamError::Failed(error.to_string());
        let wanted = match place.address.as_str() {
            "" => None,
            address => Some(address.parse().map_err(|_| StreamError::Failed(format!("{address:?} is no address")))?),
        };
        let connecting = tokio::task::spawn_blocking(move || connect(pid, wanted, port));
        let connected = connecting.await.map_err(std::io::Error::other);
        let stream = connected.and_then(|connected| connected).map_err(refused)?;
        stream.set_nonblocking(true).map_err(refused)?;
        Ok(Box::new(tokio::net::TcpStream::from_std(stream).map_err(refused)?))
    }
}

/// Connects to a port of the network that a process has: of an address, or of its loopback. Namespaces are a thread's own: this one ends with it.
fn connect(pid: u32, wanted: Option<IpAddr>, port: u16) -> std::io::Result<TcpStream> {
    let network = File::open(format!("/proc/{pid}/ns/net"))?;
    let thread = std::thread::Builder::new().name("port-forward".into()).spawn(move || {
        setns(network, CloneFlags::CLONE_NEWNET)?;
        let dial = |ip: IpAddr| {
            let address = SocketAddr::new(ip, port);
            TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).map_err(|why| (address, why))
        };
        let (network, dialed) = match wanted {
            Some(address) => ("tcp", dial(address)),
            None => (
                "tcp4",
                dial(Ipv4Addr::LOCALHOST.into()).or_else(|why| dial(Ipv6Addr::LOCALHOST.into()).map_err(|_| why)),
            ),
        };
        dialed.map_err(|(address, why)| {
            let text = match why.kind() {
                ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
                ErrorKind::TimedOut => "i/o timeout".to_owned(),
                _ => why.to_string(),
            };
            std::io::Error::new(why.kind(), format!("dial {network} {address}: {text}"))
        })
    })?;
    thread.join().map_err(|_| std::io::Error::other("the thread that connects panicked"))?
}

fn read_options(options: &LogOptions) -> ReadOptions {
    ReadOptions {
        follow: options.follow,
        tail: options.tail,
        since: options.since,
        timestamps: options.timestamps,
        limit_bytes: options.limit_bytes,
        stream: match options.stream.as_deref() {
            Some("Stdout") => Some(Stream::Stdout),
            Some("Stderr") => Some(Stream::Stderr),
            _ => None,
        },
    }
}

fn failed(error: RuntimeError) -> StreamError {
    StreamError::Failed(match error {
        // As people know it from other runtimes.
        RuntimeError::Exec { message } => format!("failed to exec in container: {message}"),
        other => other.to_string(),
    })
}

fn process(exec: Exec) -> Process {
    let (resize, sizes) = mpsc::channel(SIZES_MAX);
    tokio::spawn(follow_sizes(exec.control, sizes));
    Process {
        stdin: exec.stdin,
        stdout: Some(exec.stdout),
        stderr: exec.stderr,
        resize,
        exit: Box::pin(async move {
            match exec.exit.await {
                Ok(code) => Exit::Code(code),
                Err(error) => Exit::Failed(error.to_string()),
            }
        }),
    }
}

async fn follow_sizes(control: Box<dyn ExecControl>, mut sizes: mpsc::Receiver<Size>) {
    while let Some(Size { width, height }) = sizes.recv().await {
        if let Err(error) = control.resize(TerminalSize { width, height }).await {
            debug!(%error, "terminal not resized");
        }
    }
}
