//! Opening a log: replays the segments, tells a torn tail from damage (rules in [`super`]), and makes what is kept
//! durable before anybody relies on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Record;
use super::pending::End;
use super::state::{Location, State};
use super::wire::{Checkpoint, kind};
use super::witness::{self, Mark};
use crate::damage::{OpenError, damaged, open_header};
use crate::disk::{Disk, DiskError};
use crate::envelope::{
    FILE_HEADER, FRAME_HEADER, FRAME_MAGIC, FRAME_OVERHEAD, FileHeader, FileKey, FileKind, Frame, FrameFault,
};
use crate::keys::KeyRing;
use crate::names::{self, Name};

/// Largest checkpoint: three marks and some numbers.
const MAX_CHECKPOINT: usize = 3 * super::MAX_MARK + 128;

/// What was found at open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments read.
    pub segments: usize,
    /// The torn tail that was cut, if any: worth a log line, not an alarm.
    pub tail: Option<CutTail>,
}

/// Bytes that were being written when the power went, and were never acknowledged as far as can be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutTail {
    /// The file.
    pub file: String,
    /// Where the cut is.
    pub offset: u64,
    /// Bytes ignored.
    pub bytes: u64,
}

/// A recovered log.
pub(super) struct Found {
    pub(super) state: State,
    pub(super) file_keys: BTreeMap<u64, Arc<FileKey>>,
    pub(super) end: End,
    pub(super) generation: u64,
    pub(super) report: Recovery,
}

/// What opens a segment.
struct Head {
    number: u64,
    file: String,
    key: Arc<FileKey>,
    checkpoint: Checkpoint,
}

/// Reads the whole log. Changes nothing before all of it is judged sound.
pub(super) fn run(disk: &dyn Disk, keys: &KeyRing, cache_bytes: usize) -> Result<Found, OpenError> {
    let (numbers, temporaries) = survey(disk)?;
    let (generation, mark) = witness::read(disk)?;
    check_presence(&numbers, mark)?;
    let heads: Vec<Head> = numbers.iter().map(|number| Head::read(disk, keys, *number)).collect::<Result<_, _>>()?;
    let mut state = State::default();
    if let Some(Checkpoint { meta, first, next, .. }) = heads.first().map(|head| &head.checkpoint) {
        state.assume(meta.clone(), *first, *next);
    }
    let mut found =
        Found { state, file_keys: BTreeMap::new(), end: End::default(), generation, report: Recovery::default() };
    for (at, head) in heads.iter().enumerate() {
        found.replay(disk, head, heads.get(at + 1), mark, cache_bytes)?;
    }
    if let (Some(index), Some(head)) = (found.state.missing(), heads.first()) {
        return Err(damaged(&head.file, 0, Some(index), "an earlier segment with this record is missing"));
    }
    for name in temporaries {
        names::remove_if_there(disk, &name)?;
    }
    found.settle(disk, mark)?;
    Ok(found)
}

/// Segment numbers in order, and the log's left-over temporary files.
fn survey(disk: &dyn Disk) -> Result<(Vec<u64>, Vec<String>), OpenError> {
    let (mut numbers, mut temporaries) = (Vec::new(), Vec::new());
    for file in disk.list()? {
        match names::classify(&file) {
            Name::Segment(number) => numbers.push(number),
            Name::Temporary if file.starts_with("log-") => temporaries.push(file),
            Name::Unknown => return Err(OpenError::UnknownFile { file }),
            Name::Lock | Name::Witness | Name::Snapshot(_) | Name::Temporary | Name::Foreign => {}
        }
    }
    numbers.sort_unstable();
    Ok((numbers, temporaries))
}

/// No segment may be missing in the middle, nor one that the durable mark names.
fn check_presence(numbers: &[u64], mark: Mark) -> Result<(), OpenError> {
    let hole = numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]).map(|pair| pair[0] + 1);
    let lost = (mark.segment > numbers.last().copied().unwrap_or(0)).then_some(mark.segment);
    match hole.or(lost) {
        Some(number) => Err(damaged(&names::segment(number), 0, None, "this file is missing")),
        None => Ok(()),
    }
}

impl Head {
    fn read(disk: &dyn Disk, keys: &KeyRing, number: u64) -> Result<Self, OpenError> {
        let file = names::segment(number);
        let mut bytes = vec![0; FILE_HEADER + FRAME_OVERHEAD + MAX_CHECKPOINT];
        let length = disk.read_at(&file, 0, &mut bytes)?;
        bytes.truncate(length);
        let (FileHeader { key: id, .. }, key) = open_header(keys, &file, &bytes, FileKind::Log, number)?;
        let no_good = || damaged(&file, FILE_HEADER as u64, None, "the segment's checkpoint is not readable");
        let checkpoint = match key.open(FILE_HEADER as u64, &mut bytes[FILE_HEADER..]) {
            Ok((Frame { kind: kind::CHECKPOINT, sequence: 0, .. }, payload)) => Checkpoint::decode(payload),
            Ok(_) | Err(FrameFault::Damaged) => None,
            Err(FrameFault::Forged) => return Err(OpenError::WrongKey { file, key: id }),
        };
        Ok(Self { number, checkpoint: checkpoint.ok_or_else(no_good)?, key: Arc::new(key), file })
    }
}

impl Found {
    /// Replays one segment and judges where it ends.
    fn replay(
        &mut self,
        disk: &dyn Disk,
        head: &Head,
        next: Option<&Head>,
        mark: Mark,
        cache_bytes: usize,
    ) -> Result<(), OpenError> {
        let mut bytes = read_whole(disk, &head.file)?;
        let length = bytes.len() as u64;
        let limit = next.map_or(length, |next| next.checkpoint.previous_end.min(length));
        self.state.add_segment(head.number);
        let end = self.scan(head, &mut bytes, limit)?;
        let refuse = |what| Err(damaged(&head.file, end.offset, Some(self.state.next()), what));
        match next {
            Some(next)
                if (end.offset, end.frames) != (next.checkpoint.previous_end, next.checkpoint.previous_frames) =>
            {
                return refuse("a later file says that this was acknowledged, and it does not pass its checks");
            }
            Some(_) => {}
            None if mark.segment == head.number && end.offset < mark.offset => {
                return refuse("it was acknowledged as durable, and is lost or does not pass its checks");
            }
            None if end.offset < length && proven_durable(&head.key, &mut bytes, end.offset) => {
                return refuse("later records prove that this was acknowledged, and it does not pass its checks");
            }
            None if end.offset < length => {
                let (file, offset) = (head.file.clone(), end.offset);
                self.report.tail = Some(CutTail { file, offset, bytes: length - offset });
            }
            None => {}
        }
        self.state.evict(cache_bytes, (head.number + 1, 0));
        self.file_keys.insert(head.number, head.key.clone());
        self.report.segments += 1;
        self.end = end;
        Ok(())
    }

    /// Applies sound frames up to `limit`; returns where the first that is not sound begins.
    fn scan(&mut self, head: &Head, bytes: &mut [u8], limit: u64) -> Result<End, OpenError> {
        let mut end = End { number: head.number, offset: FILE_HEADER as u64, frames: 0 };
        while end.offset < limit {
            let at = end.offset as usize;
            let Ok((frame, payload)) = head.key.open(end.offset, &mut bytes[at..limit as usize]) else { break };
            if frame.sequence != end.frames {
                break;
            }
            let payload = Bytes::copy_from_slice(payload);
            if !self.apply(head.number, end.offset, frame, payload) {
                let what = "the record contradicts those before it";
                return Err(damaged(&head.file, end.offset, Some(frame.index), what));
            }
            end.offset += frame.size() as u64;
            end.frames += 1;
        }
        Ok(end)
    }

    fn apply(&mut self, segment: u64, offset: u64, frame: Frame, payload: Bytes) -> bool {
        let (state, index) = (&mut self.state, frame.index);
        match frame.kind {
            kind::CHECKPOINT => return frame.sequence == 0,
            kind::APPEND if state.accepts(index) => {
                let location = Location { segment, offset, length: frame.length };
                state.push(Record { index, payload }, location);
            }
            kind::TRUNCATE => state.truncate(index),
            kind::PURGE => state.purge(index, payload),
            kind::VOTE => state.meta.vote = Some(payload),
            kind::COMMITTED => state.meta.committed = Some(payload),
            _ => return false,
        }
        true
    }

    /// Makes what was kept durable: what a crashed process left may be in the page cache only, and pages whose sync
    /// failed look clean there, so the bytes past the mark are written once more, the same at the same place.
    fn settle(&mut self, disk: &dyn Disk, mark: Mark) -> Result<(), DiskError> {
        if self.end.number == 0 {
            return Ok(());
        }
        let file = names::segment(self.end.number);
        let from = if mark.segment == self.end.number { mark.offset } else { 0 };
        if from < self.end.offset {
            let mut tail = vec![0; (self.end.offset - from) as usize];
            disk.read_at(&file, from, &mut tail)?;
            disk.write_at(&file, from, &tail)?;
        }
        disk.sync(&file)?;
        disk.sync_directory()
    }
}

/// Whether a sound frame past the damage says that the file was durable beyond it.
fn proven_durable(key: &FileKey, bytes: &mut [u8], damage: u64) -> bool {
    let mut at = damage as usize + 1;
    while let Some(skip) = bytes.get(at..).and_then(|rest| rest.windows(4).position(|four| four == FRAME_MAGIC)) {
        at += skip;
        let claims = key.header(&bytes[at..]).is_some_and(|frame| frame.synced > damage);
        if claims && key.open(at as u64, &mut bytes[at..]).is_ok() {
            return true;
        }
        at += if claims { FRAME_HEADER } else { 1 };
    }
    false
}

fn read_whole(disk: &dyn Disk, file: &str) -> Result<Vec<u8>, DiskError> {
    let length = disk.length(file)?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let read = disk.read_at(file, 0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}
