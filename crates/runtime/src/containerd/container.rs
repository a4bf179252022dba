//! Containers: made, started, stopped, listed, forgotten. What runs is in [`super::tasks`].

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use containerd_client::{
    services::v1::{
        Container as Record,
        container::Runtime,
        snapshots::{MountsRequest, PrepareSnapshotRequest, RemoveSnapshotRequest, snapshots_client::SnapshotsClient},
    },
    types::{Mount, v1::Process},
};
use jiff::Timestamp;
use nix::sys::signal::Signal;
use prost_types::Any;
use tokio::time::timeout;
use tonic::Code;

use super::{
    Containerd, SHIM,
    images::Found,
    sandbox::{SPEC_TYPE, blocking},
    tasks::{is_alive, is_waiting},
    time,
};
use crate::{
    Container, ContainerId, ContainerSpec, ContainerState, Namespaces, RuntimeError, SandboxId,
    labels::{self, Identity},
    oci,
};

/// Bytes read of an image's `/etc/passwd` and `/etc/group`: more is no list of users.
const USERS_BYTES_MAX: u64 = 1 << 20;

impl Containerd {
    pub(super) async fn make_container(&self, spec: &ContainerSpec) -> Result<ContainerId, RuntimeError> {
        let id = ContainerId::of(&spec.sandbox, &spec.name, spec.attempt);
        if self.record(id.as_str()).await?.is_some() {
            return Ok(id);
        }
        let sandbox = self.record(spec.sandbox.as_str()).await?;
        let missing = || RuntimeError::NotFound { what: "sandbox", id: spec.sandbox.to_string() };
        let sandbox = sandbox.ok_or_else(missing)?;
        if !self.shared.pins.are_there(&spec.sandbox) {
            let id = spec.sandbox.to_string();
            return Err(RuntimeError::Conflict { what: "sandbox", id, state: "is stopped" });
        }
        let image = self.find_image(&spec.image).await?;
        let image = image.ok_or_else(|| RuntimeError::ImageMissing(spec.image.clone()))?;
        let rootfs = self.rootfs(id.as_str(), &image.chain).await?;
        let (passwd, group) = blocking("read an image's users", move || Ok(users(&rootfs))).await?;
        let user = oci::resolve(spec.security.user, &image.image.config.user, &passwd, &group)?;
        let beside = match &spec.beside {
            Some(other) => Some(self.process_namespace(other).await?),
            None => None,
        };
        let record = self.container_record(&id, spec, &sandbox, &image, (user, beside))?;
        self.create_record(record).await?;
        Ok(id)
    }

    fn container_record(
        &self,
        id: &ContainerId,
        spec: &ContainerSpec,
        sandbox: &Record,
        image: &Found,
        (user, beside): (oci::Resolved, Option<PathBuf>),
    ) -> Result<Record, RuntimeError> {
        let not_ours = || RuntimeError::NotFound { what: "sandbox", id: sandbox.id.clone() };
        let identity = Identity::from_labels(&sandbox.labels).ok_or_else(not_ours)?;
        let label = |key: &str| sandbox.labels.get(key).ok_or_else(not_ours);
        let namespaces: Namespaces = serde_json::from_str(label(labels::NAMESPACES)?).map_err(|_| not_ours())?;
        let cgroup = Path::new(label(labels::CGROUP)?).join(id.as_str());
        let (pins, of) = (&self.shared.pins, &spec.sandbox);
        let described = oci::container(&oci::Input {
            spec,
            image: &image.image.config,
            user,
            namespaces: &namespaces,
            ipc: pins.ipc(of),
            uts: pins.uts(of),
            shm: pins.shm(of),
            pid: beside.or_else(|| namespaces.shared_pid.then(|| pins.pid(of))),
            cgroup: &cgroup,
            cgroup_unified: self.shared.cgroups.is_unified(),
            host: &self.shared.host,
            devices: if spec.security.privileged { oci::devices::of_host(Path::new("/dev"))? } else { Vec::new() },
        })?;
        let identity = Identity {
            attempt: spec.attempt,
            container: Some((of.clone(), spec.name.clone())),
            caller: spec.labels.clone(),
            ..identity
        };
        let mut labels = identity.to_labels();
        let mut keep = |key: &str, value: String| labels.insert(key.to_owned(), value);
        keep(labels::CGROUP, cgroup.display().to_string());
        keep(labels::IMAGE_CHAIN, image.chain.clone());
        keep(labels::IMAGE_DIGEST, image.image.digest.clone());
        if let Some(path) = &spec.log_path {
            keep(labels::LOG_PATH, path.display().to_string());
        }
        if spec.tty {
            keep(labels::TTY, true.to_string());
        }
        if spec.stdin {
            keep(labels::STDIN, if spec.stdin_once { labels::STDIN_ONCE } else { labels::STDIN_KEPT }.to_owned());
        }
        if let Some(signal) = &image.image.config.stop_signal {
            keep(labels::STOP_SIGNAL, signal.clone());
        }
        Ok(Record {
            id: id.to_string(),
            labels,
            image: image.image.reference.clone(),
            runtime: Some(Runtime { name: SHIM.to_owned(), options: None }),
            spec: Some(Any { type_url: SPEC_TYPE.to_owned(), value: described.to_string().into_bytes() }),
            snapshotter: self.snapshotter(),
            snapshot_key: id.to_string(),
            ..Record::default()
        })
    }

    /// The process namespace of a container that runs.
    async fn process_namespace(&self, id: &ContainerId) -> Result<PathBuf, RuntimeError> {
        let gone = || RuntimeError::Conflict { what: "container", id: id.to_string(), state: "does not run" };
        let process = self.task(id.as_str()).await?.ok_or_else(gone)?;
        Ok(Path::new("/proc").join(process.pid.to_string()).join("ns/pid"))
    }

    /// A container's root filesystem; made if it is not there, as when containerd took it for garbage.
    async fn rootfs(&self, id: &str, chain: &str) -> Result<Vec<Mount>, RuntimeError> {
        let mut snapshots = SnapshotsClient::new(self.channel());
        let (snapshotter, key) = (self.snapshotter(), id.to_owned());
        let (parent, labels) = (chain.to_owned(), Default::default());
        let prepare = PrepareSnapshotRequest { snapshotter: snapshotter.clone(), key: key.clone(), parent, labels };
        match snapshots.prepare(self.request(prepare)).await {
            Ok(prepared) => Ok(prepared.into_inner().mounts),
            Err(status) if status.code() == Code::AlreadyExists => {
                let there = snapshots.mounts(self.request(MountsRequest { snapshotter, key })).await;
                Ok(there.map_err(self.refused("find a root filesystem"))?.into_inner().mounts)
            }
            Err(status) => Err(self.refused("make a root filesystem")(status)),
        }
    }

    pub(super) async fn start_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let record = self.existing(id).await?;
        let task = self.task(id.as_str()).await?;
        let ran = task.is_none() && record.labels.contains_key(labels::STARTED_AT);
        let runs = task.as_ref().is_some_and(|task| !is_waiting(task));
        if ran || runs || labels::exit_from_labels(&record.labels).is_some() {
            return Ok(());
        }
        let chain = record.labels.get(labels::IMAGE_CHAIN).cloned().unwrap_or_default();
        let rootfs = self.rootfs(id.as_str(), &chain).await?;
        self.start_task(&record, rootfs).await
    }

    pub(super) async fn existing(&self, id: &ContainerId) -> Result<Record, RuntimeError> {
        let missing = || RuntimeError::NotFound { what: "container", id: id.to_string() };
        self.record(id.as_str()).await?.ok_or_else(missing)
    }

    pub(super) async fn stop_container(&self, id: &ContainerId, grace: Duration) -> Result<(), RuntimeError> {
        let Some(record) = self.record(id.as_str()).await? else { return Ok(()) };
        let Some(task) = self.task(id.as_str()).await? else { return Ok(()) };
        let mut ended = !is_alive(&task);
        if !ended && !grace.is_zero() && !is_waiting(&task) {
            self.kill(id.as_str(), stop_signal(&record) as i32, false).await?;
            ended = match timeout(grace, self.wait(id.as_str())).await {
                Ok(waited) => waited.map(|()| true)?,
                Err(_) => false,
            };
        }
        if !ended {
            self.kill(id.as_str(), Signal::SIGKILL as i32, true).await?;
            self.wait(id.as_str()).await?;
        }
        let task = self.task(id.as_str()).await?;
        if let Some(record) = self.record(id.as_str()).await? {
            self.reap(&record, task.as_ref()).await?;
        }
        Ok(())
    }

    pub(super) async fn forget_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        self.stop_container(id, Duration::ZERO).await?;
        self.delete_record(id.as_str()).await?;
        self.forget_streams(id.as_str()).await;
        let remove = RemoveSnapshotRequest { snapshotter: self.snapshotter(), key: id.to_string() };
        match SnapshotsClient::new(self.channel()).remove(self.request(remove)).await {
            Err(status) if status.code() != Code::NotFound => Err(self.refused("remove a root filesystem")(status)),
            _ => Ok(()),
        }
    }

    pub(super) async fn list_containers(&self) -> Result<Vec<Container>, RuntimeError> {
        let records = self.records(labels::CONTAINER).await?;
        let tasks = self.all_tasks().await?;
        let mut found = Vec::with_capacity(records.len());
        for record in records {
            let Some(identity) = Identity::from_labels(&record.labels) else { continue };
            let Some((sandbox, name)) = identity.container.clone() else { continue };
            // Removed while it was listed.
            let Some(state) = self.state(&record, tasks.get(&record.id)).await? else { continue };
            found.push(container(record, identity, sandbox, name, state));
        }
        Ok(found)
    }

    /// What a container does. An end that nobody has noticed yet is kept with the record.
    async fn state(&self, record: &Record, task: Option<&Process>) -> Result<Option<ContainerState>, RuntimeError> {
        if let Some(exit) = labels::exit_from_labels(&record.labels) {
            return Ok(Some(ContainerState::Exited(exit)));
        }
        match task {
            Some(task) if is_waiting(task) => Ok(Some(ContainerState::Created)),
            Some(task) if is_alive(task) => Ok(Some(running(record, task))),
            None if !record.labels.contains_key(labels::STARTED_AT) => Ok(Some(ContainerState::Created)),
            _ => self.ended(&record.id).await,
        }
    }

    /// The record and the task were read one after the other: only reading the task, then the record, again tells
    /// whether this one has ended, and how. See [`Self::reap`] and [`Self::start_task`] for the order of their writes.
    async fn ended(&self, id: &str) -> Result<Option<ContainerState>, RuntimeError> {
        let task = self.task(id).await?;
        let Some(record) = self.record(id).await? else { return Ok(None) };
        match task {
            Some(task) if is_waiting(&task) => Ok(Some(ContainerState::Created)),
            Some(task) if is_alive(&task) => Ok(Some(running(&record, &task))),
            task => Ok(Some(ContainerState::Exited(self.reap(&record, task.as_ref()).await?))),
        }
    }
}

fn running(record: &Record, task: &Process) -> ContainerState {
    let started_at = labels::time(&record.labels, labels::STARTED_AT).unwrap_or_else(clock::now);
    ContainerState::Running { started_at, pid: task.pid }
}

fn container(record: Record, identity: Identity, sandbox: SandboxId, name: String, state: ContainerState) -> Container {
    Container {
        id: ContainerId::from(record.id),
        sandbox,
        pod: identity.pod,
        name,
        attempt: identity.attempt,
        image: record.image,
        image_digest: record.labels.get(labels::IMAGE_DIGEST).cloned().unwrap_or_default(),
        created_at: time(record.created_at.as_ref()).unwrap_or(Timestamp::UNIX_EPOCH),
        state,
        labels: identity.caller,
    }
}

/// The image's word, if it is a signal.
fn stop_signal(record: &Record) -> Signal {
    let named = record.labels.get(labels::STOP_SIGNAL).map(String::as_str).unwrap_or_default();
    let number = named.parse().ok().and_then(|number: i32| Signal::try_from(number).ok());
    let full = if named.starts_with("SIG") { named.to_owned() } else { format!("SIG{named}") };
    number.or_else(|| Signal::from_str(&full).ok()).unwrap_or(Signal::SIGTERM)
}

/// An image's `/etc/passwd` and `/etc/group`, found in its layers without mounting them.
fn users(rootfs: &[Mount]) -> (String, String) {
    let mut layers: Vec<&str> = Vec::new();
    for mount in rootfs {
        let named = |name: &str| mount.options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
        layers.extend(named("upperdir"));
        layers.extend(named("lowerdir").into_iter().flat_map(|lower| lower.split(':')));
        if mount.r#type == "bind" {
            layers.push(&mount.source);
        }
    }
    let read = |name: &str| layers.iter().find_map(|layer| read_regular(&Path::new(layer).join("etc").join(name)));
    (read("passwd").unwrap_or_default(), read("group").unwrap_or_default())
}

/// A link could lead out of the image.
fn read_regular(path: &Path) -> Option<String> {
    let folder = path.parent()?.symlink_metadata().ok()?;
    if !folder.is_dir() || !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    File::open(path).ok()?.take(USERS_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}
