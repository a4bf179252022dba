//! How long a disk takes until what was written is on it. Main function: [`measure`].

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use super::{Verdict, fail, high};

/// Writes by which a disk is judged: enough for one slow one to be seen as such.
const SYNCS: usize = 9;

/// Bytes of each: one page, as a small entry of the log takes.
const SYNC_BYTES: usize = 4096;

/// Microseconds for 4 KiB to be on disk, in the middle of several: every write waits for that. Disks take 1 to 10 ms.
const LIMITS: (u64, u64) = (50_000, 500_000);

/// A file that is made, synced after each write, and removed; microseconds each, or why not.
pub(super) fn measure(folder: &Path) -> Result<Vec<u64>, String> {
    let path = folder.join(format!("check-{}.tmp", std::process::id()));
    let measured = write(&path).map_err(|error| format!("{}: {error}", path.display()));
    let _ = std::fs::remove_file(&path);
    measured
}

fn write(path: &Path) -> std::io::Result<Vec<u64>> {
    let mut file = File::create(path)?;
    let mut took = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[0; SYNC_BYTES])?;
        file.sync_data()?;
        took.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(took)
}

/// Judged by the one in the middle.
pub(super) fn judge(syncs: &Result<Vec<u64>, String>) -> Option<Verdict> {
    let remedy = "every write waits for the disks of a majority of voters: move the data directory to a faster one, or what else writes to this one";
    let mut syncs = match syncs {
        Ok(syncs) => syncs.clone(),
        Err(why) => {
            return fail(format!("4 KiB could not be written: {why}"), "free or mend the disk of the data directory");
        }
    };
    syncs.sort_unstable();
    let (middle, most) = (syncs.get(syncs.len() / 2)?, syncs.last()?);
    let millis = |micros: u64| micros as f64 / 1000.0;
    let figure =
        format!("4 KiB synced in {:.1} ms, {:.1} ms at most of {}", millis(*middle), millis(*most), syncs.len());
    high(*middle, LIMITS, figure, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_are_measured_and_a_folder_that_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(measure(folder.path()).unwrap().len(), SYNCS);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing stays");
        assert!(measure(&folder.path().join("none")).is_err());
    }
}
