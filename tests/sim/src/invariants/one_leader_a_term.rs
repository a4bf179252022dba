//! A term has one leader at most (Raft §5.2).

use std::collections::BTreeMap;

/// Notes that a node leads a term.
///
/// # Errors
/// Where another did.
pub(crate) fn judge(leaders: &mut BTreeMap<u64, u64>, term: u64, id: u64) -> Result<(), String> {
    let first = *leaders.entry(term).or_insert(id);
    if first == id { Ok(()) } else { Err(format!("term {term} is led by {first} and by {id}")) }
}
