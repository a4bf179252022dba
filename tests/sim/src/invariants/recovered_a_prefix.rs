//! A recovery began with a state that was: see [`crate::recovery::began_with_a_prefix`].

use crate::{Report, recovery};

/// Judges a run.
///
/// # Errors
/// Where it did not.
pub fn judge(report: &Report) -> Result<(), String> {
    report.before.as_ref().map_or(Ok(()), recovery::began_with_a_prefix)
}
