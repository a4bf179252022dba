//! Tells when changes of the log are durable. Main type: [`Syncer`].
//!
//! A thread in production (syncs block), a task in virtual time in simulations. Either way changes that come while
//! one sync runs share the next.

use std::{collections::VecDeque, io, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
};
use wal::{Committer, Log, Position, SyncError};

use crate::media::{SeededBug, Simulated, Syncing};

/// Told once.
type Callback = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Syncs the log whenever somebody waits for it.
pub(crate) enum Syncer {
    Thread(Committer),
    Task(Task),
}

pub(crate) struct Task {
    waiting: Arc<Waiting>,
    bug: Option<SeededBug>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Waiting {
    /// Bounded by what the log lets wait.
    callbacks: Mutex<VecDeque<(Position, Callback)>>,
    more: Notify,
}

impl Syncer {
    pub(crate) fn start(log: Arc<Log>, syncing: Syncing) -> io::Result<Self> {
        match syncing {
            Syncing::Thread => Ok(Self::Thread(Committer::start(log)?)),
            Syncing::Simulated(how) => {
                let waiting = Arc::new(Waiting::default());
                let bug = how.bug;
                let task = tokio::spawn(run(log, waiting.clone(), how));
                Ok(Self::Task(Task { waiting, bug, task }))
            }
        }
    }

    /// Calls back once the position is durable or never will be.
    pub(crate) fn when_durable(&self, position: Position, callback: Callback) {
        match self {
            Self::Thread(committer) => {
                committer.when_durable(position, Box::new(|result| callback(result.map_err(io::Error::other))));
            }
            Self::Task(task) if task.bug == Some(SeededBug::AcknowledgeBeforeSync) => {
                task.wait(position, Box::new(|_| ()));
                callback(Ok(()));
            }
            Self::Task(task) => task.wait(position, callback),
        }
    }

    /// Returns once a vote is durable.
    pub(crate) async fn vote_durable(&self, position: Position) -> io::Result<()> {
        if matches!(self, Self::Task(task) if task.bug == Some(SeededBug::ForgetVotes)) {
            return Ok(());
        }
        let (tell, told) = oneshot::channel();
        self.when_durable(position, Box::new(|result| drop(tell.send(result))));
        told.await.unwrap_or_else(|_| Err(io::Error::other("the log is no longer synced")))
    }
}

impl Task {
    fn wait(&self, position: Position, callback: Callback) {
        self.waiting.callbacks.lock().push_back((position, callback));
        self.waiting.more.notify_one();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(log: Arc<Log>, waiting: Arc<Waiting>, how: Simulated) {
    loop {
        if waiting.callbacks.lock().is_empty() {
            waiting.more.notified().await;
        }
        tokio::time::sleep((how.delay)()).await;
        let result = match log.sync() {
            Ok(_) => Ok(()),
            Err(SyncError::Full) => continue, // as a thread would: again, until there is room
            Err(error) => Err(error),
        };
        let durable = log.durable();
        let callbacks = std::mem::take(&mut *waiting.callbacks.lock());
        for (position, callback) in callbacks {
            match &result {
                Ok(()) if position > durable => waiting.callbacks.lock().push_back((position, callback)),
                Ok(()) => callback(Ok(())),
                Err(error) => callback(Err(io::Error::other(error.clone()))),
            }
        }
    }
}
