//! All watchers were told the same, in rising revisions, and it leads to the final state of every node.

use std::collections::BTreeMap;

use crate::{Report, client, history::Value};

/// Judges a run.
///
/// # Errors
/// Where they differ.
pub fn judge(report: &Report) -> Result<(), String> {
    let Some(first) = report.watchers.first() else { return Ok(()) };
    if let Some(pair) = first.windows(2).find(|pair| pair[0].revision >= pair[1].revision) {
        return Err(format!("revisions do not rise: {pair:?}"));
    }
    if let Some(other) = report.watchers.iter().find(|other| *other != first) {
        let place = first.iter().zip(other).take_while(|(a, b)| a == b).count();
        return Err(format!("watchers differ from change {place} on: {:?}, {:?}", first.get(place), other.get(place)));
    }
    let began = |register| report.before.as_ref().map_or(0, |before| before.register(register).0);
    let folded: BTreeMap<&str, Value> = first.iter().map(|change| (&*change.key, change.value)).collect();
    for (node, view) in report.finals.iter().enumerate() {
        for register in 0..client::KEYS {
            let (told, held) = (
                folded.get(&*client::key(register)).copied().unwrap_or(began(register)),
                client::value(view, register),
            );
            if told != held {
                return Err(format!("node {}: register {register} holds {held:#x}, was told {told:#x}", node + 1));
            }
        }
    }
    Ok(())
}
