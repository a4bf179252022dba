//! What is true: a replicated map of opaque records, changed only by [`State::apply`].
//!
//! Knows no Kubernetes: keys are strings, bodies are bytes, selectors are pairs. It reads no clock, draws no
//! random number and does no I/O, so two nodes (and two binary versions) that apply the same commands hold the
//! same state. The design is in ARCHITECTURE.md, "Store".

mod codec;
pub mod command;
mod hub;
pub mod memory;
pub mod record;
mod requests;
mod snapshot;
mod state;
pub mod storage;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
#[cfg(test)]
mod tests;
mod transaction;
mod view;
mod window;
pub mod wire;

pub use command::{Command, Guard, Op, Outcome, Refusal, RequestId};
pub use hub::Hub;
pub use memory::MemoryStorage;
pub use record::{Body, Event, Key, Pairs, Record, Revision};
pub use requests::REMEMBERED_REQUESTS;
pub use snapshot::{Restore, RestoreError, Snapshot};
pub use state::{Applied, Entry, Incarnation, RECOVERY_JUMP, State};
pub use storage::{Freshness, ReadError, Scope, Storage, Watch, WatchError, WriteError};
pub use view::{Batch, View};
pub use window::{WINDOW_BYTES, WINDOW_EVENTS, Window};
