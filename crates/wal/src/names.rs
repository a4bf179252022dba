//! The one table of file names in a data directory: what belongs here, and what nobody knows.

use crate::disk::{Disk, DiskError};

/// The lock that keeps a second process out.
pub(crate) const LOCK: &str = "lock";
/// Where the log says how much of it is durable; see [`crate::log`].
pub(crate) const WITNESS: &str = "log.mark";
/// Ends the name of a file that is being written; removed when found at open.
const TEMPORARY: &str = ".tmp";
/// Directories that file systems make by themselves.
const FOREIGN: [&str; 1] = ["lost+found"];

/// What a name in the data directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Lock,
    Witness,
    Segment(u64),
    Snapshot(u64),
    Temporary,
    Foreign,
    Unknown,
}

/// Tells what a file is by its name.
pub(crate) fn classify(name: &str) -> Name {
    match name {
        LOCK => Name::Lock,
        WITNESS => Name::Witness,
        _ if FOREIGN.contains(&name) => Name::Foreign,
        _ if name.ends_with(TEMPORARY) => Name::Temporary,
        _ => numbered(name, "log-", ".seg")
            .map(Name::Segment)
            .or_else(|| numbered(name, "snapshot-", ".snap").map(Name::Snapshot))
            .unwrap_or(Name::Unknown),
    }
}

pub(crate) fn segment(number: u64) -> String {
    format!("log-{number:016x}.seg")
}

pub(crate) fn snapshot(number: u64) -> String {
    format!("snapshot-{number:016x}.snap")
}

/// The name under which a file is written before it gets its own.
pub(crate) fn temporary(name: &str) -> String {
    format!("{name}{TEMPORARY}")
}

/// Removes a file that may not be there.
pub(crate) fn remove_if_there(disk: &dyn Disk, name: &str) -> Result<(), DiskError> {
    match disk.remove(name) {
        Err(DiskError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

fn numbered(name: &str, before: &str, after: &str) -> Option<u64> {
    let digits = name.strip_prefix(before)?.strip_suffix(after)?;
    let plain = digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| u64::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_every_name() {
        let cases = [
            ("lock", Name::Lock),
            ("log.mark", Name::Witness),
            ("log-00000000000000ff.seg", Name::Segment(255)),
            ("snapshot-0000000000000001.snap", Name::Snapshot(1)),
            ("snapshot-0000000000000001.snap.tmp", Name::Temporary),
            ("lost+found", Name::Foreign),
            ("log-ff.seg", Name::Unknown),
            ("log-00000000000000FF.seg", Name::Unknown),
            ("log-+0000000000000ff.seg", Name::Unknown),
            ("notes.txt", Name::Unknown),
        ];
        for (name, expect) in cases {
            assert_eq!(classify(name), expect, "{name}");
        }
    }
}
