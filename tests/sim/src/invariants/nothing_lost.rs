//! Every acknowledged write is in the history that watchers were told, and none that was surely refused is.

use std::collections::BTreeSet;

use crate::{
    Report,
    history::{Action, Ending, Value},
};

/// Judges a run.
///
/// # Errors
/// What is missing, or should not be there.
pub fn judge(report: &Report) -> Result<(), String> {
    let told: BTreeSet<Value> = report.watchers.iter().flatten().map(|change| change.value).collect();
    for operation in &report.operations {
        match (operation.action, operation.ending) {
            (Action::Write(value), Ending::Answered(_)) if !told.contains(&value) => {
                return Err(format!("acknowledged write {value:#x} of register {} is lost", operation.key));
            }
            (Action::Write(value), Ending::Denied) if told.contains(&value) => {
                return Err(format!("write {value:#x} of register {} was denied, yet applied", operation.key));
            }
            _ => {}
        }
    }
    Ok(())
}
