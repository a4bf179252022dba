//! Streams of pods: logs, commands, forwarded ports, proxied requests, from whichever node runs them. Main type: [`Kubelets`], which the node
//! provides; this side speaks with the client. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Operations>.
//!
//! An upgraded connection lives beside the HTTP server until either side ends it, `IDLE_TIMEOUT` passes without a byte,
//! or the server stops. Buffers are a few frames in each direction: a slow reader slows the writer.

mod command;
mod forward;
#[doc(hidden)]
pub mod fuzz;
mod log;
mod place;
mod proxy;
mod session;
mod spdy;
mod upgrade;
mod websocket;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{future::BoxFuture, stream::BoxStream};
use http::Response;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, mpsc},
};

use crate::{
    http::body::ReplyBody,
    pipeline::User,
    route::{PROXY, Target, Verb},
    serve::Head,
    shared::Shared,
    status::ApiError,
};

/// Streams open at once: each takes some 100 KiB when busy.
const STREAMS_MAX: usize = 2048;

/// A stream on which nothing moves for so long has been forgotten: upstream's own number.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4 * 3600);

/// A container of a pod, and the node that runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// `spec.nodeName`.
    pub node: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
    /// The container's name; empty where the pod is meant.
    pub container: String,
    /// Which of the pod's addresses a port is wanted of; empty: its loopback.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
}

/// What of a log is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogOptions {
    /// Of this container, as a pod's status names it; else the newest that has started.
    pub container_id: Option<String>,
    /// Go on until the container ends.
    pub follow: bool,
    /// So many of the last lines.
    pub tail: Option<u64>,
    /// What was printed from then on.
    pub since: Option<Timestamp>,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// End after so many bytes.
    pub limit_bytes: Option<u64>,
    /// Only `Stdout` or `Stderr`.
    pub stream: Option<String>,
}

/// What to run in a container, or which streams of the container itself are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Command {
    /// Program and arguments; empty to attach.
    pub command: Vec<String>,
    /// The caller writes.
    pub stdin: bool,
    /// The caller reads.
    pub stdout: bool,
    /// The caller reads errors too.
    pub stderr: bool,
    /// All of it is a terminal's.
    pub tty: bool,
}

/// A terminal's size, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Size {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// It could not be run, or not be followed.
    Failed(String),
}

/// A command that runs somewhere. Dropping `exit` before it is done gives it up.
pub struct Process {
    /// Takes its input.
    pub stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Gives its output.
    pub stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Gives its errors.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Takes its terminal's sizes.
    pub resize: mpsc::Sender<Size>,
    /// Its end.
    pub exit: BoxFuture<'static, Exit>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

/// A connection to a pod's port.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Why there is no stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum StreamError {
    /// The node does not answer, or runs no pods.
    #[error("error dialing backend: {0}")]
    Unreachable(String),
    /// No such container runs there.
    #[error("container not found ({0:?})")]
    NoContainer(String),
    /// No such container has started there; the pod's status says why.
    #[error("there is no log yet")]
    NotStarted,
    /// The node could not do it.
    #[error("{0}")]
    Failed(String),
}

/// The nodes that run pods, as the API server reaches them.
#[async_trait]
pub trait Kubelets: Send + Sync + 'static {
    /// A container's log.
    async fn logs(&self, place: &Place, options: &LogOptions) -> Result<BoxStream<'static, Bytes>, StreamError>;

    /// Runs a command in a container that runs.
    async fn exec(&self, place: &Place, command: &Command) -> Result<Process, StreamError>;

    /// The streams of a container that runs.
    async fn attach(&self, place: &Place, command: &Command) -> Result<Process, StreamError>;

    /// A connection to a port within a pod.
    async fn port_forward(&self, place: &Place, port: u16) -> Result<Box<dyn Duplex>, StreamError>;
}

/// What streams share.
pub struct Streams {
    kubelets: OnceLock<Arc<dyn Kubelets>>,
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Streams({} places free)", self.places.available_permits())
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self { kubelets: OnceLock::new(), places: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }
}

impl Streams {
    /// From now on nodes are reached so; the first call counts.
    pub(crate) fn reach(&self, kubelets: Arc<dyn Kubelets>) {
        let _ = self.kubelets.set(kubelets);
    }

    fn kubelets(&self) -> Result<Arc<dyn Kubelets>, ApiError> {
        let missing = || ApiError::unavailable("error dialing backend: this API server reaches no nodes");
        self.kubelets.get().cloned().ok_or_else(missing)
    }
}

/// A request for a stream.
pub(crate) struct Asked<'a> {
    pub(crate) user: Arc<User>,
    pub(crate) verb: Verb,
    pub(crate) target: Target,
    pub(crate) head: &'a Head,
    /// Not yet read.
    pub(crate) body: Incoming,
    /// The connection itself, once the client has been told that it is no longer HTTP's.
    pub(crate) upgrade: Option<OnUpgrade>,
}

/// Is this what [`answer`] answers?
pub(crate) fn is_stream(target: &Target) -> bool {
    let named = target.sub.map(|sub| sub.name);
    let of_pod = target.kind.plural == "pods" && matches!(named, Some("log" | "exec" | "attach" | "portforward"));
    of_pod || target.is_proxy()
}

/// Answers a request for a stream that was authorized as any other is.
pub(crate) async fn answer(shared: &Arc<Shared>, asked: Asked<'_>) -> Result<Response<ReplyBody>, ApiError> {
    match asked.target.sub.map(|sub| sub.name) {
        Some("log") => log::answer(shared, asked).await,
        Some("portforward") => forward::answer(shared, asked).await,
        Some(PROXY) => proxy::answer(shared, asked).await,
        _ => command::answer(shared, asked).await,
    }
}
