//! Reads and writes are linearizable: see [`crate::linearizable`].

use crate::{Report, recovery::Before};

/// Judges a run.
///
/// # Errors
/// The register whose answers no order explains.
pub fn judge(report: &Report) -> Result<(), String> {
    let beginning = report.before.iter().flat_map(Before::as_operations);
    let operations: Vec<_> = beginning.chain(report.operations.iter().copied()).collect();
    let earlier = report.before.as_ref().map_or(Ok(()), |before| crate::linearizable::check(&before.operations));
    earlier
        .and_then(|()| crate::linearizable::check(&operations))
        .map_err(|violation| format!("no order explains register {}: {:?}", violation.key, violation.operations))
}
