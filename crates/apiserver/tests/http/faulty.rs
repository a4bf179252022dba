//! A store in memory that misbehaves on request: the name of the object written says how. Main type: [`Faulty`].

use std::{sync::Arc, time::Duration};

use futures::future::{BoxFuture, FutureExt, pending};
use store::{
    Command, Freshness, MemoryStorage, Op, Outcome, ReadError, Revision, Scope, Storage, View, Watch, WatchError,
    WriteError,
};
use tokio::sync::Notify;

/// Writing an object of this name panics.
pub(crate) const PANICS: &str = "panics";

/// Writing an object of this name never ends.
pub(crate) const HANGS: &str = "hangs";

/// Writing an object of this name waits for [`Gate::open`].
pub(crate) const WAITS: &str = "waits";

/// Holds up one write.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// The write has come.
    pub(crate) reached: Notify,
    /// It may go on.
    pub(crate) open: Notify,
}

/// Memory with faults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faulty {
    pub(crate) memory: MemoryStorage,
    pub(crate) gate: Arc<Gate>,
}

impl Storage for Faulty {
    fn read(&self, freshness: Freshness) -> BoxFuture<'_, Result<View, ReadError>> {
        self.memory.read(freshness)
    }

    fn as_of(&self, revision: Revision) -> Option<View> {
        self.memory.as_of(revision)
    }

    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Outcome, WriteError>> {
        match written(&command) {
            PANICS => panic!("the store was told to panic"),
            HANGS => pending().boxed(),
            WAITS => async move {
                self.gate.reached.notify_one();
                self.gate.open.notified().await;
                self.memory.propose(command).await
            }
            .boxed(),
            _ => self.memory.propose(command),
        }
    }

    fn watch(&self, scope: Scope, after: Revision) -> Result<Watch, WatchError> {
        self.memory.watch(scope, after)
    }

    fn behind(&self) -> Option<Duration> {
        self.memory.behind()
    }
}

/// Name of the first object written; empty if none is.
fn written(command: &Command) -> &str {
    let mut keys = command.ops.iter().filter_map(|op| match op {
        Op::Put { key, .. } => Some(apiserver::object::name_of(key)),
        _ => None,
    });
    keys.next().unwrap_or_default()
}
