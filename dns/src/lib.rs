//! Names of Services and pods: which there are ([`zone`]), and a server that answers for them and forwards the rest
//! ([`server`]). Spec: <https://github.com/kubernetes/dns/blob/master/docs/specification.md>.
//!
//! Who runs it gives a [`Server`] the addresses to listen at and feeds its [`SharedZone`] with changed objects. Only the
//! wire format comes from elsewhere (`hickory-proto`): a server on every node has to bound its memory and connections.

pub mod metrics;
pub mod server;
pub mod zone;

pub use metrics::Metrics;
pub use server::{Server, ServerConfig, SharedZone, StartError, Upstream};
pub use zone::{Change, Object, Zone};
