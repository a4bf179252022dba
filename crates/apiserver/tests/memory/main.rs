//! The API over memory, through the in-process client: no sockets, no disk, no other node.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail loudly")]

mod cluster;
mod evictions;
mod pipeline;
mod pods;
mod quotas;
mod services;
mod storage;
mod workloads;
