//! The twin of a container runtime: keeps the same promises, runs nothing. For tests of those above. Main type:
//! [`MemoryRuntime`]. What a container does is a [`Program`], found by its command; time passes by tokio's clock.

mod published;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::{
    sync::{broadcast, watch},
    time::timeout,
};

use self::published::Published;
use crate::{
    Container, ContainerEvent, ContainerId, ContainerRuntime, ContainerSpec, ContainerState, Credentials, Events, Exec,
    ExecControl, ExecSpec, Exit, Image, ImageConfig, ImageSource, Part, PullError, RuntimeError, Sandbox, SandboxId,
    SandboxSpec, TerminalSize, Version, oci,
};

/// News that wait for a reader; one that lags loses the oldest, as it may.
const EVENTS_MAX: usize = 1024;

/// Process ids start here, so that none is taken for a real one's.
const FIRST_PID: u32 = 1_000_000;

/// Exit codes of signals: 128 and their number.
const KILLED: i32 = 128 + 9;
const TERMINATED: i32 = 128 + 15;

/// What a command does. The default runs until it is asked to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Ends by itself, at once, with this code.
    pub exits: Option<i32>,
    /// Is killed by the kernel for memory, at once.
    pub runs_out_of_memory: bool,
    /// Cannot be started, for this reason.
    pub cannot_start: Option<String>,
    /// Takes no notice of being asked to end.
    pub ignores_stop: bool,
    /// Ends with this code when asked to; else the signal ends it.
    pub exits_when_stopped: Option<i32>,
    /// Written to standard output, when run by exec.
    pub prints: String,
    /// Writes its standard input to standard output, when run by exec.
    pub echoes: bool,
}

/// Containers that are only remembered; clones share them, as several clients of one runtime do.
#[derive(Clone, Debug)]
pub struct MemoryRuntime {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Counts changes, for those who wait for one.
    changed: watch::Sender<u64>,
    events: broadcast::Sender<ContainerEvent>,
}

#[derive(Debug, Default)]
struct State {
    programs: HashMap<Vec<String>, Program>,
    images: BTreeMap<String, Image>,
    registry: Published,
    sandboxes: BTreeMap<SandboxId, Sandbox>,
    containers: BTreeMap<ContainerId, Kept>,
    last_pid: u32,
}

#[derive(Debug)]
struct Kept {
    container: Container,
    program: Program,
    /// Somebody may write to it; it ends with the first who does.
    stdin: bool,
    stdin_once: bool,
}

impl Default for MemoryRuntime {
    fn default() -> Self {
        let state = State { last_pid: FIRST_PID, ..State::default() };
        let (changed, _) = watch::channel(0);
        let (events, _) = broadcast::channel(EVENTS_MAX);
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed, events }) }
    }
}

impl MemoryRuntime {
    /// What a command does from now on, in containers and by exec.
    pub fn teach(&self, command: &[&str], program: Program) {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        self.shared.state.lock().programs.insert(command, program);
    }

    /// Makes an image be there; its reference in any form.
    ///
    /// # Panics
    /// When the reference is none.
    pub fn add_image(&self, reference: &str, config: ImageConfig) {
        let image = made(reference, config);
        self.shared.state.lock().images.insert(image.reference.clone(), image);
    }

    /// Makes an image be in a registry, for those who have the credentials, if any.
    ///
    /// # Panics
    /// When the reference is none.
    pub fn publish(&self, reference: &str, config: ImageConfig, credentials: Option<Credentials>) {
        self.shared.state.lock().registry.add(made(reference, config), credentials);
    }

    /// Ends a container that runs, as if its program had.
    pub fn exit(&self, id: &ContainerId, code: i32) {
        self.end(id, Some(code), false);
    }

    /// What a reboot leaves: records, and nothing that runs.
    pub fn reboot(&self) {
        let running: Vec<ContainerId> = {
            let mut state = self.shared.state.lock();
            state.sandboxes.values_mut().for_each(|sandbox| sandbox.ready = false);
            state.containers.keys().cloned().collect()
        };
        running.iter().for_each(|id| self.end(id, None, false));
    }

    fn end(&self, id: &ContainerId, code: Option<i32>, oom_killed: bool) {
        let ended = {
            let mut state = self.shared.state.lock();
            let kept = state.containers.get_mut(id);
            kept.is_some_and(|kept| match kept.container.state {
                ContainerState::Running { started_at, .. } => {
                    let finished_at = clock::now();
                    let exit = Exit { code, oom_killed, started_at, finished_at, message: None };
                    kept.container.state = ContainerState::Exited(exit);
                    true
                }
                _ => false,
            })
        };
        if ended {
            self.tell(id);
        }
    }

    fn tell(&self, id: &ContainerId) {
        self.shared.changed.send_modify(|count| *count += 1);
        // Nobody may be listening.
        let _ = self.shared.events.send(ContainerEvent { container: id.clone() });
    }

    fn runs(&self, id: &ContainerId) -> bool {
        let state = self.shared.state.lock();
        let kept = state.containers.get(id);
        kept.is_some_and(|kept| matches!(kept.container.state, ContainerState::Running { .. }))
    }

    async fn wait(&self, id: &ContainerId) {
        let mut changed = self.shared.changed.subscribe();
        // We hold the sender: it ends by the condition only.
        let _ = changed.wait_for(|_| !self.runs(id)).await;
    }

    fn containers_of(&self, sandbox: &SandboxId) -> Vec<ContainerId> {
        let state = self.shared.state.lock();
        let of = state.containers.values().filter(|kept| kept.container.sandbox == *sandbox);
        of.map(|kept| kept.container.id.clone()).collect()
    }
}

fn made(reference: &str, config: ImageConfig) -> Image {
    let reference = crate::containerd::full(reference).expect("a test knows its images");
    let digest = crate::archive::sha256(reference.as_bytes());
    Image { reference, digest, size: 1, config }
}

fn not_found(what: &'static str, id: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::NotFound { what, id: id.to_string() }
}

#[async_trait]
impl ContainerRuntime for MemoryRuntime {
    async fn version(&self) -> Result<Version, RuntimeError> {
        Ok(Version { name: "memory".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
    }

    async fn images(&self) -> Result<Vec<Image>, RuntimeError> {
        Ok(self.shared.state.lock().images.values().cloned().collect())
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, RuntimeError> {
        let reference = crate::containerd::full(reference)?;
        Ok(self.shared.state.lock().images.get(&reference).cloned())
    }

    async fn import(&self, archive: &Path) -> Result<Vec<Image>, RuntimeError> {
        let archived = crate::archive::read(archive)?;
        let mut found = Vec::new();
        for image in archived {
            let config = crate::containerd::configuration(&image.config_bytes)?;
            let size = image.manifest.layers.iter().map(|layer| layer.size).sum();
            for name in image.names {
                let reference = crate::containerd::full(&name)?;
                found.push(Image { reference, digest: image.target.digest.clone(), size, config: config.clone() });
            }
        }
        let mut state = self.shared.state.lock();
        state.images.extend(found.iter().map(|image| (image.reference.clone(), image.clone())));
        Ok(found)
    }

    async fn pull(&self, reference: &str, credentials: Option<&Credentials>) -> Result<Image, PullError> {
        let invalid = |error: RuntimeError| PullError::InvalidReference {
            reference: reference.to_owned(),
            reason: error.to_string(),
        };
        let reference = crate::containerd::full(reference).map_err(invalid)?;
        let mut state = self.shared.state.lock();
        let image = state.registry.find(reference, credentials)?;
        state.images.insert(image.reference.clone(), image.clone());
        Ok(image)
    }

    async fn part(&self, reference: &str, digest: &str) -> Result<Option<Part>, RuntimeError> {
        let found = self.image(reference).await?.filter(|image| image.digest == digest);
        Ok(found.map(|image| stream::iter([Ok(published::bytes(&image.config))]).boxed()))
    }

    async fn receive(&self, reference: &str, digest: &str, source: &dyn ImageSource) -> Result<Image, PullError> {
        let failed = |reason: String| PullError::Unreachable { reference: reference.to_owned(), reason };
        let part = source.part(digest).await.map_err(|error| failed(error.to_string()))?;
        let bytes: Vec<Bytes> = part.try_collect().await.map_err(|error| failed(error.to_string()))?;
        let of_runtime = PullError::runtime(reference);
        let config = crate::containerd::configuration(&bytes.concat()).map_err(&of_runtime)?;
        let whole = crate::containerd::full(reference).map_err(&of_runtime)?;
        let image = Image { reference: whole, digest: digest.to_owned(), size: 1, config };
        self.shared.state.lock().images.insert(image.reference.clone(), image.clone());
        Ok(image)
    }

    async fn remove_image(&self, reference: &str) -> Result<(), RuntimeError> {
        let reference = crate::containerd::full(reference)?;
        self.shared.state.lock().images.remove(&reference);
        Ok(())
    }

    async fn run_sandbox(&self, spec: &SandboxSpec) -> Result<SandboxId, RuntimeError> {
        oci::check_sysctls(spec.sysctls.keys(), &spec.namespaces)?;
        let id = SandboxId::of(&spec.pod.uid, spec.attempt);
        let made = Sandbox {
            id: id.clone(),
            pod: spec.pod.clone(),
            attempt: spec.attempt,
            ready: true,
            created_at: clock::now(),
            labels: spec.labels.clone(),
        };
        self.shared.state.lock().sandboxes.entry(id.clone()).or_insert(made).ready = true;
        Ok(id)
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        self.containers_of(id).iter().for_each(|container| self.end(container, Some(KILLED), false));
        if let Some(sandbox) = self.shared.state.lock().sandboxes.get_mut(id) {
            sandbox.ready = false;
        }
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        self.stop_sandbox(id).await?;
        let mut state = self.shared.state.lock();
        state.containers.retain(|_, kept| kept.container.sandbox != *id);
        state.sandboxes.remove(id);
        Ok(())
    }

    async fn sandboxes(&self) -> Result<Vec<Sandbox>, RuntimeError> {
        Ok(self.shared.state.lock().sandboxes.values().cloned().collect())
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, RuntimeError> {
        let id = ContainerId::of(&spec.sandbox, &spec.name, spec.attempt);
        let reference = crate::containerd::full(&spec.image)?;
        let mut state = self.shared.state.lock();
        if state.containers.contains_key(&id) {
            return Ok(id);
        }
        let sandbox = state.sandboxes.get(&spec.sandbox).ok_or_else(|| not_found("sandbox", &spec.sandbox))?;
        if !sandbox.ready {
            let id = spec.sandbox.to_string();
            return Err(RuntimeError::Conflict { what: "sandbox", id, state: "is stopped" });
        }
        let image = state.images.get(&reference);
        let image = image.ok_or_else(|| RuntimeError::ImageMissing(spec.image.clone()))?;
        let command = oci::arguments(spec, &image.config)?;
        let container = Container {
            id: id.clone(),
            sandbox: spec.sandbox.clone(),
            pod: sandbox.pod.clone(),
            name: spec.name.clone(),
            attempt: spec.attempt,
            image: reference,
            image_digest: image.digest.clone(),
            created_at: clock::now(),
            state: ContainerState::Created,
            labels: spec.labels.clone(),
        };
        let program = state.programs.get(&command).cloned().unwrap_or_default();
        let (stdin, stdin_once) = (spec.stdin, spec.stdin_once);
        state.containers.insert(id.clone(), Kept { container, program, stdin, stdin_once });
        Ok(id)
    }

    async fn start(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let program = {
            let mut state = self.shared.state.lock();
            state.last_pid += 1;
            let pid = state.last_pid;
            let kept = state.containers.get_mut(id).ok_or_else(|| not_found("container", id))?;
            if kept.container.state != ContainerState::Created {
                return Ok(());
            }
            let now = clock::now();
            kept.container.state = match &kept.program.cannot_start {
                None => ContainerState::Running { started_at: now, pid },
                Some(message) => ContainerState::Exited(Exit {
                    code: Some(128),
                    oom_killed: false,
                    started_at: now,
                    finished_at: now,
                    message: Some(message.clone()),
                }),
            };
            kept.program.clone()
        };
        self.tell(id);
        if let Some(message) = program.cannot_start {
            return Err(RuntimeError::Start { message });
        }
        if program.runs_out_of_memory {
            self.end(id, Some(KILLED), true);
        }
        if let Some(code) = program.exits {
            self.end(id, Some(code), false);
        }
        Ok(())
    }

    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), RuntimeError> {
        let program = self.shared.state.lock().containers.get(id).map(|kept| kept.program.clone());
        let Some(program) = program else { return Ok(()) };
        if !grace.is_zero() {
            if !program.ignores_stop {
                self.end(id, Some(program.exits_when_stopped.unwrap_or(TERMINATED)), false);
            }
            // It may end by itself meanwhile.
            let _ = timeout(grace, self.wait(id)).await;
        }
        self.end(id, Some(KILLED), false);
        Ok(())
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        self.end(id, Some(KILLED), false);
        self.shared.state.lock().containers.remove(id);
        Ok(())
    }

    async fn containers(&self) -> Result<Vec<Container>, RuntimeError> {
        Ok(self.shared.state.lock().containers.values().map(|kept| kept.container.clone()).collect())
    }

    async fn exec(&self, id: &ContainerId, spec: &ExecSpec) -> Result<Exec, RuntimeError> {
        if !self.shared.state.lock().containers.contains_key(id) {
            return Err(not_found("container", id));
        }
        if !self.runs(id) {
            return Err(RuntimeError::Conflict { what: "container", id: id.to_string(), state: "is not running" });
        }
        let program = self.shared.state.lock().programs.get(&spec.command).cloned().unwrap_or_default();
        match program.cannot_start.clone() {
            Some(message) => Err(RuntimeError::Exec { message }),
            None => Ok(run(program, spec)),
        }
    }

    async fn attach(&self, id: &ContainerId, stdin: bool) -> Result<Exec, RuntimeError> {
        let (program, stdin, once) = {
            let state = self.shared.state.lock();
            let kept = state.containers.get(id).ok_or_else(|| not_found("container", id))?;
            (kept.program.clone(), stdin && kept.stdin, kept.stdin_once)
        };
        if !self.runs(id) {
            return Err(RuntimeError::Conflict { what: "container", id: id.to_string(), state: "is not running" });
        }
        // What it prints was printed before.
        let program = Program { prints: String::new(), ..program };
        let echoing = run(program, &ExecSpec { stdin, tty: true, command: Vec::new() });
        let Exec { exit: input_ended, .. } = echoing;
        if stdin && once {
            let (runtime, id) = (self.clone(), id.clone());
            tokio::spawn(async move {
                // Its end is that of the program that reads it.
                let _ = input_ended.await;
                runtime.end(&id, Some(0), false);
            });
        }
        let (runtime, id) = (self.clone(), id.clone());
        let exit = async move {
            runtime.wait(&id).await;
            Ok(0)
        };
        let Exec { stdin, stdout, stderr, control, .. } = echoing;
        Ok(Exec { stdin, stdout, stderr, control, exit: Box::pin(exit) })
    }

    async fn events(&self) -> Result<Events, RuntimeError> {
        let events = self.shared.events.subscribe();
        let news = stream::unfold(events, |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((event, events)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        Ok(news.boxed())
    }
}

/// A command that prints, copies its input if it does that, and ends.
fn run(program: Program, spec: &ExecSpec) -> Exec {
    /// As much as a pipe holds.
    const STREAM_BYTES: usize = 64 * 1024;
    let (stdout, mut printed) = tokio::io::duplex(STREAM_BYTES);
    let (stdin, mut input) = tokio::io::duplex(STREAM_BYTES);
    let (exited, exit) = tokio::sync::oneshot::channel();
    let has_input = spec.stdin;
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        // A reader that has gone wants nothing.
        let _ = printed.write_all(program.prints.as_bytes()).await;
        if program.echoes && has_input {
            let _ = tokio::io::copy(&mut input, &mut printed).await;
        }
        let _ = exited.send(program.exits.unwrap_or(0));
    });
    Exec {
        stdin: spec.stdin.then(|| Box::new(stdin) as _),
        stdout: Box::new(stdout),
        stderr: (!spec.tty).then(|| Box::new(tokio::io::empty()) as _),
        control: Box::new(NoTerminal),
        exit: Box::pin(
            async move { exit.await.map_err(|_| RuntimeError::Exec { message: "it was abandoned".to_owned() }) },
        ),
    }
}

struct NoTerminal;

#[async_trait]
impl ExecControl for NoTerminal {
    async fn resize(&self, _: TerminalSize) -> Result<(), RuntimeError> {
        Ok(())
    }
}
