//! Containers by containerd, through its own gRPC API. Main type: [`Containerd`].
//! Spec: <https://github.com/containerd/containerd/tree/main/api>; works with 1.6 and newer.
//!
//! A sandbox is a record and pinned namespaces; it needs no image and no process. All that must outlive us is a label of
//! a record, so that listing gives everything back.

mod attach;
mod container;
mod exec;
mod images;
mod import;
mod pull;
mod sandbox;
mod share;
mod store;
mod tasks;

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
pub(crate) use images::{configuration, full};

use containerd_client::services::v1::{
    Container as Record, CreateNamespaceRequest, GetContainerRequest, ListContainersRequest, Namespace, PublishRequest,
    SubscribeRequest, UpdateContainerRequest, containers_client::ContainersClient, events_client::EventsClient,
    namespaces_client::NamespacesClient, version_client::VersionClient,
};
use futures::StreamExt;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{net::UnixStream, time::timeout};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};

use crate::{
    Container, ContainerId, ContainerRuntime, ContainerSpec, Credentials, Events, Exec, ExecSpec, Image, ImageSource,
    Part, PullError, RuntimeError, Sandbox, SandboxId, SandboxSpec, Version, cgroup::Cgroups, host::Host, keyed::Keyed,
    labels, pins::Pins,
};

/// An answer takes no longer, or containerd is not well. Calls that wait for a container have none.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Images pulled at once; the next waits. Each holds some MiB and three connections.
const PULLS_MAX: usize = 5;

/// The topic and type of our own event; the type is one that containerd knows and we take no notice of.
const SUBSCRIBED: &str = "/mesh/subscribed";
const SUBSCRIBED_TYPE: &str = "containerd.events.TaskPaused";

/// How often and how long a subscriber asks whether it is one: some 30 s.
const SUBSCRIBE_PERIOD: Duration = Duration::from_millis(10);
const SUBSCRIBE_TRIES: usize = 3000;

/// The low-level runtime: runc, by containerd's own shim.
const SHIM: &str = "io.containerd.runc.v2";

/// How containerd is reached and what it is told.
#[derive(Clone, Debug)]
pub struct ContainerdConfig {
    /// Its socket.
    pub socket: PathBuf,
    /// Our namespace in it; what others run there is not ours.
    pub namespace: String,
    /// Who keeps root filesystems: `overlayfs`, or `native` where that does not work.
    pub snapshotter: String,
    /// A folder for what a reboot ends, as `/run/mesh/containers`.
    pub state: PathBuf,
    /// The program that calls [`crate::helper_main`] first.
    pub helper: PathBuf,
}

/// A client of one containerd; clones share it.
#[derive(Clone)]
pub struct Containerd {
    shared: Arc<Shared>,
}

struct Shared {
    config: ContainerdConfig,
    channel: Channel,
    host: Host,
    cgroups: Cgroups,
    pins: Pins,
    images: Mutex<images::Cache>,
    /// One import at a time: they take the disk.
    import: tokio::sync::Mutex<()>,
    pulls: tokio::sync::Semaphore,
    /// Content by digest and snapshots by chain: images share layers.
    storing: Keyed,
}

impl std::fmt::Debug for Containerd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Containerd({})", self.shared.config.socket.display())
    }
}

impl Containerd {
    /// Connects and makes our namespace.
    ///
    /// # Errors
    /// [`RuntimeError::Unavailable`] when nobody answers.
    pub async fn connect(config: ContainerdConfig) -> Result<Self, RuntimeError> {
        let client = Self::open(config)?;
        client.make_namespace().await?;
        Ok(client)
    }

    /// A client that connects when it is first asked for something, and again when the connection is lost; our namespace
    /// comes to be with what is put into it. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`RuntimeError::Host`] where this process lacks what containers need.
    pub fn open(config: ContainerdConfig) -> Result<Self, RuntimeError> {
        // Commands' streams and pods' shared memory are below it.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&config.state)
            .map_err(RuntimeError::host(format!("make {}", config.state.display())))?;
        let host = Host::read().map_err(RuntimeError::host("read what this host grants"))?;
        let pins = Pins::new(config.state.join("sandboxes"), config.helper.clone());
        let (images, import) = (Mutex::default(), tokio::sync::Mutex::default());
        let channel = channel(config.socket.clone());
        let (pulls, storing) = (tokio::sync::Semaphore::new(PULLS_MAX), Keyed::default());
        let shared = Shared { pulls, storing, config, channel, host, cgroups: Cgroups::detect(), pins, images, import };
        Ok(Self { shared: Arc::new(shared) })
    }

    async fn make_namespace(&self) -> Result<(), RuntimeError> {
        let namespace = Namespace { name: self.shared.config.namespace.clone(), labels: HashMap::new() };
        let request = self.request(CreateNamespaceRequest { namespace: Some(namespace) });
        match NamespacesClient::new(self.channel()).create(request).await {
            Err(status) if status.code() != Code::AlreadyExists => Err(self.refused("make a namespace")(status)),
            _ => Ok(()),
        }
    }

    fn channel(&self) -> Channel {
        self.shared.channel.clone()
    }

    fn snapshotter(&self) -> String {
        self.shared.config.snapshotter.clone()
    }

    /// A request in our namespace that is answered soon.
    fn request<T>(&self, body: T) -> Request<T> {
        let mut request = self.request_that_waits(body);
        request.set_timeout(CALL_TIMEOUT);
        request
    }

    fn request_that_waits<T>(&self, body: T) -> Request<T> {
        let mut request = Request::new(body);
        if let Ok(namespace) = self.shared.config.namespace.parse() {
            request.metadata_mut().insert("containerd-namespace", namespace);
        }
        request
    }

    /// For `map_err` on a call.
    fn refused(&self, call: &'static str) -> impl FnOnce(Status) -> RuntimeError {
        let socket = self.shared.config.socket.clone();
        move |status| match status.code() {
            Code::Unavailable => RuntimeError::Unavailable { socket, source: cause(&status).into() },
            _ => RuntimeError::Refused { call, message: status.message().to_owned() },
        }
    }

    /// containerd answers a subscription with its first event only: this is one, so that a subscriber knows that it is.
    async fn publish_subscribed(&self) -> Result<(), RuntimeError> {
        let event = prost_types::Any { type_url: SUBSCRIBED_TYPE.to_owned(), value: Vec::new() };
        let request = self.request(PublishRequest { topic: SUBSCRIBED.to_owned(), event: Some(event) });
        let published = EventsClient::new(self.channel()).publish(request).await;
        published.map(|_| ()).map_err(self.refused("publish"))
    }

    async fn record(&self, id: &str) -> Result<Option<Record>, RuntimeError> {
        let request = self.request(GetContainerRequest { id: id.to_owned() });
        match ContainersClient::new(self.channel()).get(request).await {
            Ok(found) => Ok(found.into_inner().container),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.refused("read a container")(status)),
        }
    }

    /// All records of a kind.
    async fn records(&self, kind: &str) -> Result<Vec<Record>, RuntimeError> {
        let filters = vec![format!("labels.\"{}\"=={kind}", labels::KIND)];
        let request = self.request(ListContainersRequest { filters });
        let listed =
            ContainersClient::new(self.channel()).list(request).await.map_err(self.refused("list containers"))?;
        Ok(listed.into_inner().containers)
    }

    /// Keeps facts with a record; one that is gone needs none.
    async fn label(&self, id: &str, facts: Vec<(&'static str, String)>) -> Result<(), RuntimeError> {
        let paths = facts.iter().map(|(key, _)| format!("labels.{key}")).collect();
        let labels = facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let record = Record { id: id.to_owned(), labels, ..Record::default() };
        let update_mask = Some(prost_types::FieldMask { paths });
        let request = self.request(UpdateContainerRequest { container: Some(record), update_mask });
        match ContainersClient::new(self.channel()).update(request).await {
            Err(status) if status.code() != Code::NotFound => Err(self.refused("label a container")(status)),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl ContainerRuntime for Containerd {
    async fn version(&self) -> Result<Version, RuntimeError> {
        let mut request = Request::new(());
        request.set_timeout(CALL_TIMEOUT);
        let answer =
            VersionClient::new(self.channel()).version(request).await.map_err(self.refused("tell its version"))?;
        let version = answer.into_inner().version;
        // Distributions add to it: 1.6.20~ds1.
        let plain = version.split(['~', ' ']).next().unwrap_or_default().trim_start_matches('v').to_owned();
        Ok(Version { name: "containerd".to_owned(), version: plain })
    }

    async fn images(&self) -> Result<Vec<Image>, RuntimeError> {
        self.list_images().await
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, RuntimeError> {
        Ok(self.find_image(reference).await?.map(|found| found.image))
    }

    async fn import(&self, archive: &Path) -> Result<Vec<Image>, RuntimeError> {
        self.import_archive(archive).await
    }

    async fn pull(&self, reference: &str, credentials: Option<&Credentials>) -> Result<Image, PullError> {
        self.pull_image(reference, credentials).await
    }

    async fn part(&self, reference: &str, digest: &str) -> Result<Option<Part>, RuntimeError> {
        self.part_of(reference, digest).await
    }

    async fn receive(&self, reference: &str, digest: &str, source: &dyn ImageSource) -> Result<Image, PullError> {
        self.receive_image(reference, digest, source).await
    }

    async fn remove_image(&self, reference: &str) -> Result<(), RuntimeError> {
        self.forget_image(reference).await
    }

    async fn run_sandbox(&self, spec: &SandboxSpec) -> Result<SandboxId, RuntimeError> {
        self.make_sandbox(spec).await
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        self.end_sandbox(id).await
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        self.forget_sandbox(id).await
    }

    async fn sandboxes(&self) -> Result<Vec<Sandbox>, RuntimeError> {
        self.list_sandboxes().await
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, RuntimeError> {
        self.make_container(spec).await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        self.start_container(id).await
    }

    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), RuntimeError> {
        self.stop_container(id, grace).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        self.forget_container(id).await
    }

    async fn containers(&self) -> Result<Vec<Container>, RuntimeError> {
        self.list_containers().await
    }

    async fn exec(&self, id: &ContainerId, spec: &ExecSpec) -> Result<Exec, RuntimeError> {
        self.run_exec(id, spec).await
    }

    async fn attach(&self, id: &ContainerId, stdin: bool) -> Result<Exec, RuntimeError> {
        self.attach_container(id, stdin).await
    }

    async fn events(&self) -> Result<Events, RuntimeError> {
        let namespace = &self.shared.config.namespace;
        let topics = ["topic~=\"^/tasks/\"".to_owned(), format!("topic==\"{SUBSCRIBED}\"")];
        let filters = topics.iter().map(|topic| format!("namespace=={namespace},{topic}")).collect();
        let mut client = EventsClient::new(self.channel());
        let mut subscribing = pin!(client.subscribe(self.request_that_waits(SubscribeRequest { filters })));
        let subscribed = 'answered: {
            for _ in 0..SUBSCRIBE_TRIES {
                self.publish_subscribed().await?;
                if let Ok(answer) = timeout(SUBSCRIBE_PERIOD, &mut subscribing).await {
                    break 'answered answer.map_err(self.refused("tell news"))?;
                }
            }
            return Err(RuntimeError::Refused { call: "tell news", message: "no answer".to_owned() });
        };
        // Its end is the end of the connection; who listens subscribes again.
        let news = subscribed.into_inner().take_while(|envelope| futures::future::ready(envelope.is_ok()));
        let news = news.filter_map(|envelope| {
            let event = envelope.ok().and_then(|envelope| envelope.event);
            futures::future::ready(event.and_then(tasks::news))
        });
        Ok(news.boxed())
    }
}

/// What is wrong in the end, without the layers that passed it on: their texts repeat it.
fn cause(status: &Status) -> String {
    let causes = std::iter::successors(std::error::Error::source(status), |error| error.source());
    causes.last().map_or_else(|| status.message().to_owned(), ToString::to_string)
}

/// A connection made when it is needed.
fn channel(socket: PathBuf) -> Channel {
    // The address is not looked at: every connection is one to the socket.
    Endpoint::from_static("http://containerd").connect_with_connector_lazy(tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    }))
}

/// A time as containerd tells it.
fn time(at: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    // The zero time of Go is year 1: never.
    at.filter(|at| at.seconds > 0).and_then(|at| Timestamp::new(at.seconds, at.nanos).ok())
}
