//! Who belongs to the cluster: member records, join tokens, and who of the members votes.
//!
//! Pure: builds [`store::Command`]s from a [`store::View`] and plans quorum changes; time and randomness are
//! arguments. What is stored under `mesh/` is defined here and nowhere else (**fixed early**).

mod admit;
pub mod features;
#[cfg(test)]
mod fixture;
pub mod id;
pub mod keys;
pub mod member;
pub mod recover;
pub mod token;
pub mod voters;

pub use admit::{Admission, Candidate, Refused, admit, first_pod_ranges, found, remove, removed};
pub use id::{KeyFingerprint, NodeId, Role};
pub use member::{Cluster, Member, VoterPreference};
