//! No write is applied twice: no value appears twice, and each register's counter has counted each once.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Report, client};

/// Judges a run.
///
/// # Errors
/// What was applied twice.
pub fn judge(report: &Report) -> Result<(), String> {
    let (Some(changes), Some(last)) = (report.watchers.first(), report.finals.first()) else { return Ok(()) };
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    let mut values = BTreeSet::new();
    for change in changes {
        if !values.insert(change.value) {
            return Err(format!("{:#x} was written twice", change.value));
        }
        *counts.entry(&change.key).or_default() += 1;
    }
    for register in 0..client::KEYS {
        let key = client::key(register);
        let began = report.before.as_ref().map_or(0, |before| before.register(register).1);
        let told = began + counts.get(&*key).copied().unwrap_or(0);
        let counted = last.counter(&client::counter(register));
        if told != counted {
            return Err(format!("{key}: {told} changes were told, {counted} counted"));
        }
    }
    Ok(())
}
