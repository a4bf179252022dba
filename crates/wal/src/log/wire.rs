//! What log frames carry: the kinds and the checkpoint that opens each segment. Format version 1.

use bytes::Bytes;

use super::state::Meta;
use crate::envelope::{u32_at, u64_at};

/// Kinds of frames in a log segment. The frame's index is the record's, or what the kind says.
pub(crate) mod kind {
    /// First frame of each segment: a [`super::Checkpoint`].
    pub(crate) const CHECKPOINT: u8 = 1;
    /// A record.
    pub(crate) const APPEND: u8 = 2;
    /// All records from the index on are void; no payload.
    pub(crate) const TRUNCATE: u8 = 3;
    /// All records up to the index are void; the payload is the caller's mark.
    pub(crate) const PURGE: u8 = 4;
    /// The payload is the vote.
    pub(crate) const VOTE: u8 = 5;
    /// The payload is the committed mark.
    pub(crate) const COMMITTED: u8 = 6;
}

/// What held when the segment was begun, so that earlier segments may go; and where the one before ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Length of the previous segment: what its file has past it is void. 0 where there was none.
    pub(crate) previous_end: u64,
    /// Frames of the previous segment.
    pub(crate) previous_frames: u64,
    /// Index of the first record.
    pub(crate) first: u64,
    /// Index of the next record.
    pub(crate) next: u64,
    pub(crate) meta: Meta,
}

impl Checkpoint {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        for number in [self.previous_end, self.previous_frames, self.first, self.next] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        put(&mut out, self.meta.vote.as_ref());
        put(&mut out, self.meta.committed.as_ref());
        put(&mut out, self.meta.purged.as_ref().map(|(_, mark)| mark));
        out.extend_from_slice(&self.meta.purged.as_ref().map_or(0, |(index, _)| *index).to_le_bytes());
        out
    }

    /// `None` where the bytes are not a checkpoint: with a checked tag, a bug or a newer writer.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, mut rest) = bytes.split_at_checked(32)?;
        let (vote, committed, mark) = (take(&mut rest)?, take(&mut rest)?, take(&mut rest)?);
        let purged_index = u64_at(rest.get(..8)?, 0);
        let meta = Meta { vote, committed, purged: mark.map(|mark| (purged_index, mark)) };
        (rest.len() == 8).then_some(Self {
            previous_end: u64_at(numbers, 0),
            previous_frames: u64_at(numbers, 8),
            first: u64_at(numbers, 16),
            next: u64_at(numbers, 24),
            meta,
        })
    }
}

/// Writes presence (0, 1), length and bytes.
fn put(out: &mut Vec<u8>, bytes: Option<&Bytes>) {
    let content: &[u8] = bytes.map_or(&[], |bytes| bytes);
    let length = u32::try_from(content.len()).expect("marks are bounded by MAX_MARK");
    out.push(u8::from(bytes.is_some()));
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(content);
}

/// The inverse of [`put`]; the outer `None` says that the bytes are no good.
fn take(rest: &mut &[u8]) -> Option<Option<Bytes>> {
    let (head, tail) = rest.split_at_checked(5)?;
    let (content, tail) = tail.split_at_checked(u32_at(head, 1) as usize)?;
    *rest = tail;
    Some((head[0] == 1).then(|| Bytes::copy_from_slice(content)))
}
