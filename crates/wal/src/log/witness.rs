//! A small file beside the log that says how much of it is durable, so that lost or rotten records which were
//! acknowledged are told from a tail that never was.
//!
//! Main type: [`Mark`]. Two slots, written in turn and not synced: after a crash one of them holds, perhaps an older
//! one. It is written only after a sync of what it claims, so it never claims too much.

use crate::disk::{Disk, DiskError};
use crate::envelope::{u32_at, u64_at};
use crate::names::WITNESS;

const MAGIC: [u8; 4] = *b"mWm1";
const SLOT: usize = 40;
/// Slots are this far apart, so that no torn sector holds both.
const STRIDE: u64 = 4096;
const FILE: usize = 2 * STRIDE as usize;

/// The log is durable up to `offset` of `segment`, and all segments before are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// Makes the file if it is not there.
pub(crate) fn prepare(disk: &dyn Disk) -> Result<(), DiskError> {
    match disk.create(WITNESS) {
        Ok(()) | Err(DiskError::Exists { .. }) => {}
        Err(error) => return Err(error),
    }
    let there = usize::try_from(disk.length(WITNESS)?).unwrap_or(FILE).min(FILE);
    disk.write_at(WITNESS, there as u64, &vec![0; FILE - there])
}

/// Writes the mark into the slot of this generation. Nothing waits for it.
pub(crate) fn write(disk: &dyn Disk, generation: u64, mark: Mark) -> Result<(), DiskError> {
    let mut slot = [0; SLOT];
    slot[..4].copy_from_slice(&MAGIC);
    slot[8..16].copy_from_slice(&generation.to_le_bytes());
    slot[16..24].copy_from_slice(&mark.segment.to_le_bytes());
    slot[24..32].copy_from_slice(&mark.offset.to_le_bytes());
    let crc = crc32c::crc32c(&slot[..36]);
    slot[36..].copy_from_slice(&crc.to_le_bytes());
    disk.write_at(WITNESS, (generation % 2) * STRIDE, &slot)
}

/// The highest mark that holds and its generation; zeros where there is none.
pub(crate) fn read(disk: &dyn Disk) -> Result<(u64, Mark), DiskError> {
    let mut bytes = vec![0; FILE];
    match disk.read_at(WITNESS, 0, &mut bytes) {
        Ok(_) => {}
        Err(DiskError::NotFound { .. }) => return Ok((0, Mark::default())),
        Err(error) => return Err(error),
    }
    let slots = [0, STRIDE as usize].map(|at| decode(&bytes[at..at + SLOT]));
    Ok(slots.into_iter().flatten().max().unwrap_or_default())
}

fn decode(slot: &[u8]) -> Option<(u64, Mark)> {
    let sound = slot[..4] == MAGIC && crc32c::crc32c(&slot[..36]) == u32_at(slot, 36);
    sound.then(|| (u64_at(slot, 8), Mark { segment: u64_at(slot, 16), offset: u64_at(slot, 24) }))
}
