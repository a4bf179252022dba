//! The data plane's process, from start to stop. Main type: [`Process`].

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use net::dataplane::{DataplaneListener, Kept, LinkError};
use nix::fcntl::Flock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::dns::Dns;
use super::knowledge::Knowledge;
use super::launch::{LaunchError, SUPERVISED};
use super::memory::{self, Memory};
use super::overlay::Tunnels;
use super::server::{End, Server};
use super::services::Services;
use super::{dns, overlay, services, takeover};
use crate::host::Handle;
use crate::stage::Stage;

/// Where a data plane finds what it needs; all else it is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node's data directory.
    pub data_dir: PathBuf,
    /// The node's state directory, with the socket.
    pub state_dir: PathBuf,
}

/// Why there is no data plane.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is one.
    #[error("a data plane runs here already ({} is locked)", .0.display())]
    Running(PathBuf),
    /// The file system said no.
    #[error("{}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The socket.
    #[error(transparent)]
    Socket(#[from] LinkError),
    /// One of another build is there, and stays.
    #[error(transparent)]
    Stuck(#[from] LaunchError),
}

/// A running data plane. Dropped, it ends; the kernel keeps what it was told.
pub struct Process {
    knowledge: Arc<Knowledge>,
    end: watch::Receiver<Option<End>>,
    actors: Vec<Handle<()>>,
    tunnels: Arc<Tunnels>,
    tasks: JoinSet<()>,
    settings: Settings,
    _lock: Flock<File>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Process {
    /// Starts with what was remembered; hears the rest over the socket. One of another build that runs is followed: it is
    /// asked to end. Where somebody else than the control process started it, it leaves a mark that says so: both would start
    /// it again, and only one of them should.
    ///
    /// # Errors
    /// [`ProcessError`].
    pub async fn start(stage: &Stage, settings: Settings, by_node: bool) -> Result<Self, ProcessError> {
        let knowledge = Arc::new(Knowledge::new(remembered(&settings)));
        let dns = Arc::new(Dns::new(knowledge.clone()));
        let lock = takeover::lock(&settings, &dns).await?;
        mark(&settings, by_node)?;
        info!(remembered = knowledge.node().is_some(), build = super::build(), "the data plane starts");
        let tunnels = Arc::new(Tunnels::new(knowledge.clone(), settings.data_dir.clone()));
        let actors = start_actors(stage, &knowledge, &settings, &tunnels, dns);
        let (end, ended) = watch::channel(None);
        let server = Arc::new(Server { knowledge: knowledge.clone(), end });
        let listener = DataplaneListener::open(&settings.state_dir)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let error = server.run(listener).await;
            warn!(%error, "no more orders are heard");
        });
        tasks.spawn(refresh_on(knowledge.version.subscribe(), actors.clone()));
        tasks.spawn(refresh_on(knowledge.whole.subscribe(), actors.clone()));
        tasks.spawn(refresh_on(knowledge.withdrawn.subscribe(), actors.clone()));
        Ok(Self { knowledge, end: ended, actors, tunnels, tasks, settings, _lock: lock })
    }

    /// Returns once somebody asked it to end.
    pub async fn asked_to_end(&self) {
        let mut end = self.end.clone();
        if end.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends. What was asked for decides what the kernel keeps; a signal keeps all. Tells whether it was all removed.
    pub async fn stop(mut self) -> bool {
        for actor in &self.actors {
            actor.stop().await;
        }
        let removed = *self.end.borrow() == Some(End::Removed);
        // Before the lock goes: whoever waits for it needs port and device at once.
        self.tunnels.end(removed).await;
        if removed {
            let _ = std::fs::remove_file(self.settings.state_dir.join(SUPERVISED)); // nobody starts it again
            if let Err(error) = Services::remove().await {
                warn!(%error, "the table of Services was not removed");
            }
            if let Some(node) = self.knowledge.node() {
                Dns::remove(&node).await;
            }
        }
        self.tasks.shutdown().await;
        // What is gone already is as good.
        let _ = std::fs::remove_file(self.settings.state_dir.join(net::dataplane::socket::SOCKET));
        info!(removed, "the data plane ended");
        removed
    }
}

fn remembered(settings: &Settings) -> Option<Kept> {
    let kept = memory::file(&settings.data_dir).and_then(|file| match file {
        Some(file) => Ok(file.load()?),
        None => Ok(None),
    });
    kept.unwrap_or_else(|error| {
        warn!(%error, "what was remembered cannot be read; waiting to be told");
        None
    })
}

fn start_actors(
    stage: &Stage,
    knowledge: &Arc<Knowledge>,
    settings: &Settings,
    tunnels: &Arc<Tunnels>,
    dns: Arc<Dns>,
) -> Vec<Handle<()>> {
    let known = knowledge.clone();
    let services = stage.host(services::rules(), move || Services::new(known.clone()));
    let shared = tunnels.clone();
    let overlay = stage.host(overlay::rules(), move || shared.clone());
    let dns = stage.host(dns::rules(), move || dns.clone());
    let (known, data_dir) = (knowledge.clone(), settings.data_dir.clone());
    let memory = stage.host(memory::rules(), move || Memory::new(known.clone(), data_dir.clone()));
    vec![services, overlay, dns, memory]
}

fn mark(settings: &Settings, by_node: bool) -> Result<(), ProcessError> {
    let path = settings.state_dir.join(SUPERVISED);
    let marked = match by_node {
        false => OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map(drop),
        true => std::fs::remove_file(&path),
    };
    match marked {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(ProcessError::Io { path, source }),
        _ => Ok(()),
    }
}

/// Wakes the actors at once and whenever what a channel holds has changed.
async fn refresh_on<T: Send + Sync + 'static>(mut changes: watch::Receiver<T>, actors: Vec<Handle<()>>) {
    loop {
        changes.mark_unchanged();
        actors.iter().for_each(|actor| actor.refresh(()));
        if changes.changed().await.is_err() {
            return;
        }
    }
}
