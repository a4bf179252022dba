//! HTTP without Kubernetes: connections, bodies, queries, negotiation.

pub mod accept;
pub mod body;
pub mod connection;
mod gather;
pub mod listener;
pub mod query;
pub mod tls;
pub mod unverified;
