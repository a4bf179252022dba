//! The seam between a kubelet and what runs containers. Main type: [`ContainerRuntime`].

use std::{io, path::Path, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{
    Container, ContainerEvent, ContainerId, ContainerSpec, Credentials, Exec, ExecSpec, Image, PullError, RuntimeError,
    Sandbox, SandboxId, SandboxSpec, Version,
};

/// News of containers. Its end means: subscribe again, and list.
pub type Events = BoxStream<'static, ContainerEvent>;

/// A part of an image as it comes.
pub type Part = BoxStream<'static, io::Result<Bytes>>;

/// Where the parts of an image can be had, besides its registry.
#[async_trait]
pub trait ImageSource: Send + Sync {
    /// A part by its digest; who takes it checks that it has it.
    ///
    /// # Errors
    /// Where it is not given.
    async fn part(&self, digest: &str) -> io::Result<Part>;
}

/// Runs containers.
///
/// Every request may be repeated: what is there already is not made again, what is gone already is not missed. A caller
/// that lost its memory finds everything it made by listing.
#[async_trait]
pub trait ContainerRuntime: Send + Sync + std::fmt::Debug {
    /// Who this is.
    async fn version(&self) -> Result<Version, RuntimeError>;

    /// All images that containers can be made from.
    async fn images(&self) -> Result<Vec<Image>, RuntimeError>;

    /// The image a reference means, if it is there; `busybox` is short for `docker.io/library/busybox:latest`.
    async fn image(&self, reference: &str) -> Result<Option<Image>, RuntimeError>;

    /// Takes the images of a tar (`docker save`, or an OCI layout) and returns those; the ones for another platform are
    /// left out.
    async fn import(&self, archive: &Path) -> Result<Vec<Image>, RuntimeError>;

    /// Fetches an image from its registry; one that is there is asked for anew, and fetched if its name means another now.
    /// Dropping the future ends it.
    ///
    /// # Errors
    /// [`PullError`] tells whether asking again, or as somebody else, may help.
    async fn pull(&self, reference: &str, credentials: Option<&Credentials>) -> Result<Image, PullError>;

    /// A part of an image that is here, by digest: its manifest, its configuration or a layer. `None` where it has no such part.
    async fn part(&self, reference: &str, digest: &str) -> Result<Option<Part>, RuntimeError>;

    /// Takes the image whose manifest has this digest from somewhere else than its registry, and gives it this name.
    ///
    /// # Errors
    /// As [`ContainerRuntime::pull`].
    async fn receive(&self, reference: &str, digest: &str, source: &dyn ImageSource) -> Result<Image, PullError>;

    /// Forgets an image; containers made from it stay.
    async fn remove_image(&self, reference: &str) -> Result<(), RuntimeError>;

    /// Makes a pod's sandbox.
    async fn run_sandbox(&self, spec: &SandboxSpec) -> Result<SandboxId, RuntimeError>;

    /// Kills what runs in a sandbox and takes its namespaces away; it stays listed.
    async fn stop_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError>;

    /// Stops a sandbox and forgets it and its containers.
    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError>;

    /// All sandboxes.
    async fn sandboxes(&self) -> Result<Vec<Sandbox>, RuntimeError>;

    /// Makes a container, with its root filesystem, in a sandbox.
    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, RuntimeError>;

    /// Starts a container; one that runs or ran is left as it is.
    ///
    /// # Errors
    /// [`RuntimeError::Start`] where its program cannot be started; it has then exited with code 128.
    async fn start(&self, id: &ContainerId) -> Result<(), RuntimeError>;

    /// Asks a container to end, kills it after `grace`, and returns when it has ended.
    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), RuntimeError>;

    /// Kills and forgets a container; its log stays.
    async fn remove(&self, id: &ContainerId) -> Result<(), RuntimeError>;

    /// All containers.
    async fn containers(&self) -> Result<Vec<Container>, RuntimeError>;

    /// Runs a command in a container that runs.
    async fn exec(&self, id: &ContainerId, spec: &ExecSpec) -> Result<Exec, RuntimeError>;

    /// The streams of a container that runs, from now on: its output, and with `stdin` its input, if it has one. Its end
    /// is told as code 0, whatever its own was; dropping the streams leaves the container alone.
    async fn attach(&self, id: &ContainerId, stdin: bool) -> Result<Exec, RuntimeError>;

    /// Tells which containers have changed, from now on.
    async fn events(&self) -> Result<Events, RuntimeError>;
}
