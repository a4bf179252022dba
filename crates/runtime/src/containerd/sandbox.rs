//! Sandboxes: a record in containerd, and namespaces pinned beside it.

use containerd_client::services::v1::{
    Container as Record, CreateContainerRequest, DeleteContainerRequest, container::Runtime,
    containers_client::ContainersClient,
};
use jiff::Timestamp;
use prost_types::Any;
use tokio::task::spawn_blocking;
use tonic::Code;

use super::{Containerd, SHIM, time};
use crate::{
    ContainerId, RuntimeError, Sandbox, SandboxId, SandboxSpec,
    labels::{self, Identity},
    oci,
};

/// The type of a container's description.
pub(super) const SPEC_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";

impl Containerd {
    pub(super) async fn make_sandbox(&self, spec: &SandboxSpec) -> Result<SandboxId, RuntimeError> {
        oci::check_sysctls(spec.sysctls.keys(), &spec.namespaces)?;
        let id = SandboxId::of(&spec.pod.uid, spec.attempt);
        // The record first: namespaces without one would never be found again.
        self.create_record(sandbox_record(&id, spec)).await?;
        let (pins, wanted, of) = (self.shared.pins.clone(), spec.clone(), id.clone());
        blocking("make a pod's namespaces", move || pins.make(&of, &wanted)).await?;
        Ok(id)
    }

    pub(super) async fn end_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        for container in self.containers_of(id).await? {
            self.stop_container(&container, std::time::Duration::ZERO).await?;
        }
        let (pins, of) = (self.shared.pins.clone(), id.clone());
        blocking("take a pod's namespaces away", move || pins.remove(&of)).await
    }

    pub(super) async fn forget_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        self.end_sandbox(id).await?;
        for container in self.containers_of(id).await? {
            self.forget_container(&container).await?;
        }
        let Some(record) = self.record(id.as_str()).await? else { return Ok(()) };
        if let Some(group) = record.labels.get(labels::CGROUP) {
            let (cgroups, group) = (self.shared.cgroups.clone(), group.clone());
            blocking("remove a pod's control group", move || cgroups.remove(group.as_ref())).await?;
        }
        self.delete_record(id.as_str()).await
    }

    pub(super) async fn list_sandboxes(&self) -> Result<Vec<Sandbox>, RuntimeError> {
        let records = self.records(labels::SANDBOX).await?;
        Ok(records.into_iter().filter_map(|record| self.sandbox(record)).collect())
    }

    fn sandbox(&self, record: Record) -> Option<Sandbox> {
        let identity = Identity::from_labels(&record.labels)?;
        let id = SandboxId::from(record.id);
        Some(Sandbox {
            ready: self.shared.pins.are_there(&id),
            id,
            pod: identity.pod,
            attempt: identity.attempt,
            created_at: time(record.created_at.as_ref()).unwrap_or(Timestamp::UNIX_EPOCH),
            labels: identity.caller,
        })
    }

    async fn containers_of(&self, id: &SandboxId) -> Result<Vec<ContainerId>, RuntimeError> {
        let is_of = |record: &Record| {
            Identity::from_labels(&record.labels)?.container.filter(|(sandbox, _)| sandbox == id).map(|_| ())
        };
        let records = self.records(labels::CONTAINER).await?;
        let of = records.into_iter().filter(|record| is_of(record).is_some());
        Ok(of.map(|record| ContainerId::from(record.id)).collect())
    }

    /// Makes a record that is not there yet.
    pub(super) async fn create_record(&self, record: Record) -> Result<(), RuntimeError> {
        let request = self.request(CreateContainerRequest { container: Some(record) });
        match ContainersClient::new(self.channel()).create(request).await {
            Err(status) if status.code() != Code::AlreadyExists => Err(self.refused("record a container")(status)),
            _ => Ok(()),
        }
    }

    pub(super) async fn delete_record(&self, id: &str) -> Result<(), RuntimeError> {
        let request = self.request(DeleteContainerRequest { id: id.to_owned() });
        match ContainersClient::new(self.channel()).delete(request).await {
            Err(status) if status.code() != Code::NotFound => Err(self.refused("forget a container")(status)),
            _ => Ok(()),
        }
    }
}

fn sandbox_record(id: &SandboxId, spec: &SandboxSpec) -> Record {
    let identity =
        Identity { pod: spec.pod.clone(), attempt: spec.attempt, container: None, caller: spec.labels.clone() };
    let mut labels = identity.to_labels();
    labels.insert(labels::CGROUP.to_owned(), spec.cgroup_parent.display().to_string());
    let namespaces = serde_json::to_string(&spec.namespaces).expect("paths of namespaces are text");
    labels.insert(labels::NAMESPACES.to_owned(), namespaces);
    Record {
        id: id.to_string(),
        labels,
        // containerd wants both, of a record that never runs too.
        runtime: Some(Runtime { name: SHIM.to_owned(), options: None }),
        spec: Some(Any { type_url: SPEC_TYPE.to_owned(), value: b"{}".to_vec() }),
        ..Record::default()
    }
}

/// Runs what blocks beside the runtime's workers.
pub(super) async fn blocking<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, RuntimeError> {
    let done = spawn_blocking(work).await.map_err(std::io::Error::other).and_then(|done| done);
    done.map_err(RuntimeError::host(action))
}
