//! The store in one process, without agreement or disk: for tests of what is built on [`Storage`], and for `dev`
//! tools. Main type: [`MemoryStorage`]. It has no clock, so it answers at once what a replicated store waits for.

use std::{sync::Arc, time::Duration};

use futures::future::{BoxFuture, FutureExt, ready};
use parking_lot::{Mutex, RwLock};

use crate::{
    Command, Entry, Freshness, Hub, Outcome, ReadError, Revision, Scope, State, Storage, View, Watch, WatchError,
    WriteError,
};

/// Term of the only leader there is.
const TERM: u64 = 1;

/// A [`Storage`] of one process. Clones share everything.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    /// Newest published view; apart from the state, so that readers never wait for a write.
    view: RwLock<View>,
    hub: Hub,
    cut_off: Mutex<Option<Duration>>,
}

impl MemoryStorage {
    /// Serves a state, restored from a snapshot perhaps.
    #[must_use]
    pub fn new(state: State) -> Self {
        let (view, hub) = (state.view(), Hub::new(&state));
        Self(Arc::new(Inner { state: Mutex::new(state), view: RwLock::new(view), hub, cut_off: Mutex::default() }))
    }

    /// Applies a command now.
    pub fn apply(&self, command: &Command) -> Outcome {
        let mut state = self.0.state.lock();
        let entry = Entry { index: state.applied().index + 1, term: TERM };
        let applied = state.apply(entry, command);
        self.0.hub.publish(&applied.events);
        *self.0.view.write() = state.view();
        applied.outcome
    }

    /// The newest state.
    #[must_use]
    pub fn view(&self) -> View {
        self.0.view.read().clone()
    }

    /// Behaves as a node that has lost its quorum for so long (`None`: has it again): fresh reads and proposals
    /// fail, stale reads work, watches go on.
    pub fn cut_off(&self, since: Option<Duration>) {
        *self.0.cut_off.lock() = since;
    }

    /// Ends all watches, as a node without a leader does.
    pub fn disconnect_all(&self) {
        self.0.hub.disconnect_all();
    }

    fn read_now(&self, freshness: Freshness) -> Result<View, ReadError> {
        let view = self.view();
        match (freshness, self.behind()) {
            (Freshness::Linearizable, Some(since)) => Err(ReadError::NoQuorum(since)),
            (Freshness::AtLeast(wanted), _) if wanted > view.revision() => {
                Err(ReadError::Ahead { wanted, newest: view.revision() })
            }
            _ => Ok(view),
        }
    }
}

impl Storage for MemoryStorage {
    fn read(&self, freshness: Freshness) -> BoxFuture<'_, Result<View, ReadError>> {
        ready(self.read_now(freshness)).boxed()
    }

    fn as_of(&self, revision: Revision) -> Option<View> {
        self.0.hub.as_of(&self.view(), revision)
    }

    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Outcome, WriteError>> {
        let outcome = match self.behind() {
            Some(since) => Err(WriteError::NotAccepted(format!("no leader for {since:?}"))),
            None => Ok(self.apply(&command)),
        };
        ready(outcome).boxed()
    }

    fn watch(&self, scope: Scope, after: Revision) -> Result<Watch, WatchError> {
        self.0.hub.watch(scope, after)
    }

    fn behind(&self) -> Option<Duration> {
        *self.0.cut_off.lock()
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::suite;

    #[test]
    fn behaves_as_every_storage() {
        block_on(suite::run(|| async { MemoryStorage::default() }));
    }

    #[test]
    fn refuses_fresh_reads_and_writes_while_cut_off() {
        let storage = MemoryStorage::default();
        storage.cut_off(Some(Duration::from_secs(3)));
        let no_quorum = ReadError::NoQuorum(Duration::from_secs(3));
        assert_eq!(block_on(storage.read(Freshness::Linearizable)), Err(no_quorum));
        assert!(block_on(storage.read(Freshness::Any)).is_ok());
        let proposal = block_on(storage.propose(suite::command(1, vec![], vec![suite::put("/a", "")])));
        assert!(matches!(proposal, Err(WriteError::NotAccepted(_))));
        storage.cut_off(None);
        assert!(block_on(storage.read(Freshness::Linearizable)).is_ok());
    }

    #[test]
    fn tells_what_revision_it_has_not_reached() {
        let (wanted, newest) = (Revision(1), Revision(0));
        let read = block_on(MemoryStorage::default().read(Freshness::AtLeast(wanted)));
        assert_eq!(read, Err(ReadError::Ahead { wanted, newest }));
    }
}
