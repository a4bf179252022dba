//! An old member, with its old disk, moves nothing in the cluster that was recovered without it.

use std::fmt::Debug;

/// Judges the survivor's term, and whether it leads.
///
/// # Errors
/// Where it moved.
pub(crate) fn judge<T: PartialEq + Debug>(before: &T, now: &T) -> Result<(), String> {
    if before == now { Ok(()) } else { Err(format!("the survivor's term and lead were {before:?} and are {now:?}")) }
}
