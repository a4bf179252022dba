//! Running processes of containers: started, seen, killed. And what became of them.

use std::{collections::HashMap, path::Path};

use containerd_client::{
    events::{TaskExit, TaskOom, TaskStart},
    services::v1::{
        CreateTaskRequest, DeleteTaskRequest, GetRequest, KillRequest, ListTasksRequest, StartRequest, WaitRequest,
        tasks_client::TasksClient,
    },
    types::{Mount, v1::Process, v1::Status as Phase},
};
use prost::Message;
use tonic::{Code, Status, transport::Channel};

use super::{Containerd, Record, attach::Wires, time};
use crate::{ContainerEvent, ContainerId, Exit, RuntimeError, labels};

/// What the shell reports for a program that could not be started, and so does Kubernetes.
const EXIT_CODE_NOT_STARTED: i32 = 128;

impl Containerd {
    pub(super) fn tasks(&self) -> TasksClient<Channel> {
        TasksClient::new(self.channel())
    }

    pub(super) async fn task(&self, id: &str) -> Result<Option<Process>, RuntimeError> {
        let request = self.request(GetRequest { container_id: id.to_owned(), exec_id: String::new() });
        match self.tasks().get(request).await {
            Ok(found) => Ok(found.into_inner().process),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.refused("read a task")(status)),
        }
    }

    pub(super) async fn all_tasks(&self) -> Result<HashMap<String, Process>, RuntimeError> {
        let request = self.request(ListTasksRequest::default());
        let listed = self.tasks().list(request).await.map_err(self.refused("list tasks"))?.into_inner().tasks;
        let by_id =
            |task: Process| (if task.id.is_empty() { task.container_id.clone() } else { task.id.clone() }, task);
        Ok(listed.into_iter().map(by_id).collect())
    }

    /// Makes the process, which waits, and lets it go. Tells apart what is wrong with the container.
    pub(super) async fn start_task(&self, record: &Record, rootfs: Vec<Mount>) -> Result<(), RuntimeError> {
        let id = &record.id;
        let terminal = record.labels.contains_key(labels::TTY);
        let Wires { stdin, stdout, stderr } = self.wires(record).await?;
        let create = CreateTaskRequest {
            container_id: id.clone(),
            rootfs,
            stdin,
            stdout,
            stderr,
            terminal,
            ..CreateTaskRequest::default()
        };
        let started = async {
            match self.tasks().create(self.request(create)).await {
                Err(status) if status.code() != Code::AlreadyExists => return Err(status),
                _ => {}
            }
            // Kept while the task is there: a start time without a task means that the task was lost.
            let started_at = vec![(labels::STARTED_AT, clock::now().to_string())];
            self.label(id, started_at).await.map_err(|error| Status::unavailable(error.to_string()))?;
            let start = StartRequest { container_id: id.clone(), exec_id: String::new() };
            self.tasks().start(self.request(start)).await
        };
        let Err(status) = started.await else { return Ok(()) };
        if !is_the_containers_fault(&status) {
            return Err(self.refused("start a container")(status));
        }
        let message = status.message().to_owned();
        let now = clock::now();
        let failed = Exit {
            code: Some(EXIT_CODE_NOT_STARTED),
            oom_killed: false,
            started_at: now,
            finished_at: now,
            message: Some(message.clone()),
        };
        self.label(id, labels::exit_to_labels(&failed)).await?;
        self.delete_task(id).await?;
        self.forget_streams(id).await;
        Err(RuntimeError::Start { message })
    }

    /// Sends a signal to a container's first process, or to all. One that has ended needs none.
    pub(super) async fn kill(&self, id: &str, signal: i32, all: bool) -> Result<(), RuntimeError> {
        let signal = u32::try_from(signal).unwrap_or_default();
        let request = KillRequest { container_id: id.to_owned(), exec_id: String::new(), signal, all };
        let told = self.tasks().kill(self.request(request)).await;
        self.unless_gone(id, "signal a container", told).await
    }

    /// Returns when a container's process has ended.
    pub(super) async fn wait(&self, id: &str) -> Result<(), RuntimeError> {
        let request = WaitRequest { container_id: id.to_owned(), exec_id: String::new() };
        let told = self.tasks().wait(self.request_that_waits(request)).await;
        self.unless_gone(id, "wait for a container", told).await
    }

    /// What became of a container whose process has ended: kept with its record, and the process's remains removed.
    pub(super) async fn reap(&self, record: &Record, task: Option<&Process>) -> Result<Exit, RuntimeError> {
        if let Some(exit) = labels::exit_from_labels(&record.labels) {
            self.delete_task(&record.id).await?;
            return Ok(exit);
        }
        let finished_at =
            task.and_then(|task| time(task.exited_at.as_ref())).map_or_else(clock::now, clock::of_machine);
        let cgroup = record.labels.get(labels::CGROUP);
        let exit = Exit {
            code: task.map(|task| i32::try_from(task.exit_status).unwrap_or(i32::MAX)),
            oom_killed: cgroup.is_some_and(|cgroup| self.shared.cgroups.oom_killed(Path::new(cgroup))),
            started_at: labels::time(&record.labels, labels::STARTED_AT).unwrap_or(finished_at),
            finished_at,
            message: None,
        };
        self.label(&record.id, labels::exit_to_labels(&exit)).await?;
        self.delete_task(&record.id).await?;
        Ok(exit)
    }

    /// What a call about a task told, which is no failure where the task is gone: a shim that ends with its task says so
    /// in several ways, a closed connection among them.
    async fn unless_gone<T>(&self, id: &str, call: &'static str, told: Result<T, Status>) -> Result<(), RuntimeError> {
        match told {
            Err(status) if !is_gone(&status) && self.task(id).await?.is_some() => Err(self.refused(call)(status)),
            _ => Ok(()),
        }
    }

    /// Removes what is left of a process that has ended.
    pub(super) async fn delete_task(&self, id: &str) -> Result<(), RuntimeError> {
        let told = self.tasks().delete(self.request(DeleteTaskRequest { container_id: id.to_owned() })).await;
        self.unless_gone(id, "remove a task", told).await
    }
}

/// It runs, or is about to.
pub(super) fn is_alive(task: &Process) -> bool {
    matches!(task.status(), Phase::Created | Phase::Running | Phase::Paused | Phase::Pausing)
}

/// It was made and waits for its start.
pub(super) fn is_waiting(task: &Process) -> bool {
    task.status() == Phase::Created
}

/// The container that news are about; what says nothing of its state is none.
pub(super) fn news(event: prost_types::Any) -> Option<ContainerEvent> {
    let id = match event.type_url.rsplit('/').next()? {
        "containerd.events.TaskStart" => TaskStart::decode(&event.value[..]).ok()?.container_id,
        "containerd.events.TaskOOM" => TaskOom::decode(&event.value[..]).ok()?.container_id,
        "containerd.events.TaskExit" => {
            let exit = TaskExit::decode(&event.value[..]).ok()?;
            // Others are of commands in it.
            (exit.id == exit.container_id).then_some(exit.container_id)?
        }
        _ => return None,
    };
    Some(ContainerEvent { container: ContainerId::from(id) })
}

/// Whether a call failed only since what it is about has ended; the shim has no code for that.
pub(super) fn is_gone(status: &Status) -> bool {
    let words = ["process already finished", "a stopped container", "process does not exist"];
    status.code() == Code::NotFound || words.iter().any(|word| status.message().contains(word))
}

/// The low-level runtime's refusals come as unknown errors; containerd's own have codes.
fn is_the_containers_fault(status: &Status) -> bool {
    status.code() == Code::Unknown
        && ["OCI runtime", "runc", "exec:", "mount"].iter().any(|word| status.message().contains(word))
}
