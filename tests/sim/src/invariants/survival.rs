//! No node's agreement ends while its disk is as it was promised to be, and no process dies of a panic.

use std::{fmt::Display, time::Duration};

/// The complaint about a node whose agreement ended.
pub(crate) fn ended(id: u64, why: &str) -> String {
    format!("node {id}: {why}")
}

/// The complaint about software that ended by itself.
pub(crate) fn died(at: Duration, why: impl Display) -> String {
    format!("at {at:?}: {why}")
}
