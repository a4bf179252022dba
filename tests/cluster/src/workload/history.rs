//! What clients asked, what they were answered, and when: [`History`]. Moments are nanoseconds of one monotonic clock.

use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

/// What is written: unlike any other of the run. 0 stands for an object that is not there.
pub type Token = u64;

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A new object; refused where there is one.
    Create,
    /// Replaced, if it still has this revision.
    Update(u64),
    /// A merge patch, whatever is there.
    Patch,
    /// Removed.
    Delete,
    /// A linearizable get.
    Read,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Answered at this moment; the object's revision as far as the answer tells it.
    Answered(u64, Option<u64>),
    /// The server said that it did not and will not happen.
    Denied(u16),
    /// Unknown: it may have happened, may yet, or never will.
    Open,
}

/// One request of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The object's name.
    pub key: String,
    /// What.
    pub action: Action,
    /// Written or read; 0 for a delete and where nothing was found.
    pub token: Token,
    /// When it was sent.
    pub called: u64,
    /// What became of it.
    pub ending: Ending,
}

impl Operation {
    /// Whether it changes something.
    pub fn writes(&self) -> bool {
        self.action != Action::Read
    }

    /// When it was answered.
    pub fn answered(&self) -> Option<u64> {
        match self.ending {
            Ending::Answered(at, _) => Some(at),
            Ending::Denied(_) | Ending::Open => None,
        }
    }
}

/// All operations of a run, in the order of their calls.
#[derive(Debug)]
pub struct History {
    start: Instant,
    operations: Mutex<Vec<Operation>>,
}

impl Default for History {
    fn default() -> Self {
        Self { start: Instant::now(), operations: Mutex::default() }
    }
}

impl History {
    /// A moment as operations tell it.
    pub fn moment(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Notes that something is asked now; returns its place.
    pub(super) fn call(&self, key: &str, action: Action, token: Token) -> usize {
        let mut operations = self.lock();
        let called = self.moment(Instant::now());
        operations.push(Operation { key: key.into(), action, token, called, ending: Ending::Open });
        operations.len() - 1
    }

    /// Notes that it was answered now.
    pub(super) fn answered(&self, place: usize, token: Token, revision: Option<u64>) {
        let mut operations = self.lock();
        operations[place].token = token;
        operations[place].ending = Ending::Answered(self.moment(Instant::now()), revision);
    }

    /// Notes that it surely did not happen.
    pub(super) fn denied(&self, place: usize, code: u16) {
        self.lock()[place].ending = Ending::Denied(code);
    }

    /// All operations so far, looked at in place.
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Operation>> {
        self.operations.lock().expect("nobody panics holding it")
    }
}
