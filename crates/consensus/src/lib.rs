//! Agreement: openraft around [`store`] and [`wal`], as the [`store::Storage`] that everything above uses.
//!
//! A command is proposed on any node that holds the log, forwarded to the leader, put on the disks of a quorum,
//! applied to the state on every node in the same order, and answered once its own node has applied it. The only
//! crate that names openraft. Raft: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm"
//! (2014); §x of the dissertation "Consensus: Bridging Theory and Practice" where cited so.
//! Not here: who should vote (a decider above), how bytes travel ([`net`]), what commands mean ([`store`]).

mod codec;
mod config;
mod contact;
mod convert;
mod leadership;
mod log;
mod machine;
mod media;
mod membership;
mod node;
mod peers;
mod propose;
mod read;
mod recover;
mod rpc;
mod runtime;
mod service;
mod snapshot;
mod storage;
mod sync;
mod types;
pub mod wire;

pub use config::{Config, ConfigError};
pub use leadership::Leadership;
pub use machine::Progress;
pub use media::{Media, SeededBug, Simulated, Syncing};
pub use membership::{Follower, MembershipError, Status};
pub use node::{Broken, Node, StartError};
pub use recover::{PictureError, Recorded, RecoverError, found_anew};
pub use rpc::RpcService;
pub use runtime::seed_thread;
pub use service::RaftService;
