//! Once all faults are healed, everything is as it should be again without a hand, in bounded time.

use std::{fmt::Debug, time::Duration};

/// The complaint about what did not come to pass.
pub(crate) fn late(what: &str, patience: Duration, states: impl Debug) -> String {
    format!("{what} took over {patience:?}: {states:?}")
}
