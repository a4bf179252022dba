//! The replicated state machine: log entries in, outcomes and events out. Main type: [`State`].
//!
//! The same entries in the same order give the same state on every machine. Durability, and the order of the
//! entries, are `consensus`'s; readers and watchers are served from [`View`] and [`crate::Hub`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::requests::Requests;
use crate::transaction;
use crate::view::{Batch, Tree};
use crate::window::Window;
use crate::{Command, Outcome, Revision, Snapshot, View};

/// How far recover and restore move the revision: past anything the lost history can have reached, so that no
/// client holds a revision that means something else now.
pub const RECOVERY_JUMP: u64 = 1_000_000_000;

/// Which history of the cluster this is. Zero from the founding on; recover and restore draw a new one, so that
/// members of the old history are refused instead of diverging silently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u128);

/// Place of a command in the replicated log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Index in the log.
    pub index: u64,
    /// Leadership term in which it was proposed.
    pub term: u64,
}

/// What applying one command gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The answer to its proposer.
    pub outcome: Outcome,
    /// What changed, for [`crate::Hub::publish`]; empty where no record did.
    pub events: Batch,
}

/// Everything replicated: records, claims, counters, flags, remembered requests and the watch window.
/// Cloning is cheap and shares structure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub(crate) tree: Arc<Tree>,
    pub(crate) requests: Requests,
    pub(crate) window: Window,
    pub(crate) applied: Entry,
}

impl State {
    /// Applies one committed command; all of it or nothing. A repeated request gets its first outcome and no events.
    pub fn apply(&mut self, entry: Entry, command: &Command) -> Applied {
        self.note(entry);
        if let Some(outcome) = self.requests.outcome(command.request) {
            return Applied { outcome, events: Arc::default() };
        }
        let applied = match transaction::run(&self.tree, entry.term, command) {
            Ok(change) => self.commit(change),
            Err(refusal) => Applied { outcome: Outcome::Refused(refusal), events: Arc::default() },
        };
        self.requests.remember(command.request, &applied.outcome);
        applied
    }

    fn commit(&mut self, change: Option<transaction::Change>) -> Applied {
        let Some(transaction::Change { mut tree, events }) = change else {
            return Applied { outcome: Outcome::Applied { revision: self.revision() }, events: Arc::default() };
        };
        let revision = tree.revision;
        if let Some(evicted) = self.window.push(events.clone()) {
            tree.compacted = evicted;
        }
        self.tree = Arc::new(tree);
        Applied { outcome: Outcome::Applied { revision }, events }
    }

    /// Takes note of a committed entry without a command (a new leader's blank one, a membership change).
    pub fn note(&mut self, entry: Entry) {
        self.applied = entry;
        if self.tree.term != entry.term {
            Arc::make_mut(&mut self.tree).term = entry.term;
        }
    }

    /// Starts a new history (recover, restore): the revision moves on by `by` (see [`RECOVERY_JUMP`]), everything
    /// before is compacted, and remembered requests are forgotten. Never part of the log: a snapshot follows.
    pub fn jump(&mut self, by: u64, incarnation: Incarnation) {
        let tree = Arc::make_mut(&mut self.tree);
        tree.revision.0 = tree.revision.0.saturating_add(by);
        tree.compacted = tree.revision;
        tree.incarnation = incarnation;
        self.window = Window::default();
        self.requests = Requests::default();
    }

    /// The newest state, for readers.
    #[must_use]
    pub fn view(&self) -> View {
        View(self.tree.clone())
    }

    /// Revision of the newest transaction that changed something.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.tree.revision
    }

    /// The newest applied entry.
    #[must_use]
    pub fn applied(&self) -> Entry {
        self.applied
    }

    /// Which history of the cluster this is.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.tree.incarnation
    }

    /// The transactions that watches can still start from.
    #[must_use]
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// An immutable picture of the whole state, to write out while `apply` goes on.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.clone())
    }
}
