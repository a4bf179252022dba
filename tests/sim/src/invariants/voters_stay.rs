//! No voter fewer for all that fails.

use consensus::Status;

/// Judges what a leader says.
///
/// # Errors
/// Where fewer vote than should.
pub(crate) fn judge(status: &Status, wanted: u64) -> Result<(), String> {
    let voters = status.voters.len() as u64;
    if voters < wanted { Err(format!("{voters} of {wanted} nodes vote")) } else { Ok(()) }
}
