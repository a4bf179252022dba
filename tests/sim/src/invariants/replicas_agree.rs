//! All nodes hold the same in the end.

use store::View;

use crate::{Report, client, history::Value};

/// Judges a run.
///
/// # Errors
/// Where they differ.
pub fn judge(report: &Report) -> Result<(), String> {
    let held = |view: &View| -> Vec<(Value, i64)> {
        let registers = 0..client::KEYS;
        registers.map(|key| (client::value(view, key), view.counter(&client::counter(key)))).collect()
    };
    let mut all = report.finals.iter().map(held);
    let first = all.next();
    match all.position(|other| Some(&other) != first.as_ref()) {
        Some(place) => Err(format!("nodes 1 and {} hold different states", place + 2)),
        None => Ok(()),
    }
}
