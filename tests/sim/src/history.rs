//! What clients did and saw, in the one order in which a single thread did it. Main type: [`History`].

use std::sync::Arc;

use parking_lot::Mutex;

use crate::trace;

/// A value that is written once at most. 0 stands for "never written".
pub type Value = u64;

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Set the register to this.
    Write(Value),
    /// It was this.
    Read(Value),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Answered at this moment.
    Answered(u64),
    /// Said to have surely not happened.
    Denied,
    /// Unknown: it may happen at any later time.
    Open,
}

/// One request of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    /// Which register.
    pub key: u32,
    /// What.
    pub action: Action,
    /// When it was sent.
    pub called: u64,
    /// What became of it.
    pub ending: Ending,
}

/// All operations of a run; moments are counted, not timed.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    moment: u64,
    operations: Vec<Operation>,
}

impl History {
    /// Notes that something is asked now; returns its place.
    pub fn call(&self, key: u32, action: Action) -> usize {
        let mut inner = self.0.lock();
        inner.moment += 1;
        let called = inner.moment;
        trace::note("call", (key, action));
        inner.operations.push(Operation { key, action, called, ending: Ending::Open });
        inner.operations.len() - 1
    }

    /// A write was acknowledged now.
    pub fn acknowledged(&self, place: usize) {
        self.end(place, |inner, moment| inner.operations[place].ending = Ending::Answered(moment));
    }

    /// A read gave this now.
    pub fn read(&self, place: usize, value: Value) {
        self.end(place, |inner, moment| {
            inner.operations[place].action = Action::Read(value);
            inner.operations[place].ending = Ending::Answered(moment);
        });
    }

    /// It has surely not happened, the store said.
    pub fn denied(&self, place: usize) {
        self.end(place, |inner, _| inner.operations[place].ending = Ending::Denied);
    }

    /// What comes is another history's; returns what was.
    pub fn begin_anew(&self) -> Vec<Operation> {
        std::mem::take(&mut self.0.lock().operations)
    }

    fn end(&self, place: usize, note: impl FnOnce(&mut Inner, u64)) {
        let mut inner = self.0.lock();
        inner.moment += 1;
        let moment = inner.moment;
        note(&mut inner, moment);
        trace::note("end", inner.operations[place]);
    }

    /// All operations, in the order of their calls.
    pub fn operations(&self) -> Vec<Operation> {
        self.0.lock().operations.clone()
    }
}
