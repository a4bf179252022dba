//! Reads what a disk records while no node runs on it, and founds a new history on a fresh disk with one voter: what
//! `mesh recover` and `mesh restore` stand on; and gives out a running node's state for `mesh backup`. Main type: [`Recorded`].
//!
//! Raft has no such step: it breaks the promise that what was acknowledged stays. So the new history lies apart from the
//! old one in term, index and revision: whatever a node of the old one holds, a snapshot of the new one takes its place.
//! Who belongs to the new history is the caller's command.

use std::{collections::BTreeSet, io};

use net::NodeId;
use store::{Command, Incarnation, Outcome, RECOVERY_JUMP, ReadError, Snapshot, State};
use wal::{Log, Record};

use crate::{
    codec, config::APPEND_BYTES, config::Config, media::Media, node::Node, snapshot, snapshot::Reassembly, wire,
};

/// How far the term moves on: past all elections that nodes of the old history can have held meanwhile.
const TERM_JUMP: u64 = 1_000_000;

/// Why a disk's record could not be read, or a new history not be founded. The old disk is as before.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// Log or snapshot could not be read or written.
    #[error("log or snapshot not usable: {0}")]
    Storage(#[from] io::Error),
    /// Nothing was ever written here.
    #[error("this disk holds no state: nothing to start from")]
    Empty,
    /// A part of the log is missing.
    #[error("entry {0} of the log is missing: a snapshot was lost")]
    Gap(u64),
    /// The command did not fit the state.
    #[error("the state does not allow it: {0}")]
    Refused(String),
}

/// What a disk records: the state with every entry of the log applied.
///
/// Also those of which this node did not hear that a quorum has them: each may have been acknowledged, and a write that was
/// not may come into being at any time.
#[derive(Debug)]
pub struct Recorded {
    /// The state.
    pub state: State,
    /// Who voted, as far as this node knew.
    pub voters: BTreeSet<NodeId>,
    /// Entries at the end of the log of which this node did not know whether a quorum has them.
    pub unconfirmed: u64,
    /// The newest term heard of.
    term: u64,
}

impl Recorded {
    /// Reads it from a disk that no node runs on. Blocks.
    ///
    /// # Errors
    /// [`RecoverError`].
    pub fn read(media: &Media) -> Result<Self, RecoverError> {
        let log = media.log(&Config::default())?;
        let mut recorded = Self { state: State::default(), voters: BTreeSet::new(), unconfirmed: 0, term: 0 };
        recorded.take_snapshot(media)?;
        recorded.take_log(&log)?;
        if recorded.state.applied().index == 0 {
            return Err(RecoverError::Empty);
        }
        let vote = log.vote().map(|vote| codec::decode::<wire::Vote>(&vote)).transpose().map_err(io::Error::other)?;
        recorded.term = recorded.state.applied().term.max(vote.unwrap_or_default().term);
        Ok(recorded)
    }

    /// As if a disk had recorded this state and nothing after it.
    pub fn of(state: State) -> Self {
        let term = state.applied().term;
        Self { state, voters: BTreeSet::new(), unconfirmed: 0, term }
    }

    fn take_snapshot(&mut self, media: &Media) -> Result<(), RecoverError> {
        let Some(mut reader) = media.snapshots()?.newest().map_err(io::Error::other)? else { return Ok(()) };
        let meta: wire::SnapshotMeta = codec::decode(reader.meta()).map_err(io::Error::other)?;
        let mut reassembly = Reassembly::default();
        while let Some(piece) = reader.next_chunk().map_err(io::Error::other)? {
            reassembly.push(&piece)?;
        }
        self.state = reassembly.finish()?;
        self.take_voters(meta.membership.as_ref());
        Ok(())
    }

    /// Applies what the log holds beyond the snapshot.
    fn take_log(&mut self, log: &Log) -> Result<(), RecoverError> {
        let committed = log.committed().map(|id| codec::decode::<wire::LogId>(&id)).transpose();
        let committed = committed.map_err(io::Error::other)?.map_or(0, |id| id.index);
        let range = log.range();
        // The first entry of all has index 0; a state that has applied nothing says 0 too.
        let fresh = self.state == State::default();
        let mut next = if fresh { 0 } else { self.state.applied().index + 1 };
        if !range.is_empty() && range.start > next {
            return Err(RecoverError::Gap(next));
        }
        while next < range.end {
            for record in log.read(next..range.end, APPEND_BYTES).map_err(io::Error::other)? {
                next = record.index + 1;
                self.take_entry(&record)?;
            }
        }
        self.unconfirmed = self.state.applied().index.saturating_sub(committed);
        Ok(())
    }

    fn take_entry(&mut self, record: &Record) -> Result<(), RecoverError> {
        let entry: wire::Entry = codec::decode(&record.payload).map_err(io::Error::other)?;
        let at = store::Entry { index: entry.id.index, term: entry.id.term };
        match entry.payload {
            wire::Payload::Blank => self.state.note(at),
            wire::Payload::Command(command) => {
                let command = store::wire::decode_command(&command).map_err(io::Error::other)?;
                self.state.apply(at, &command);
            }
            wire::Payload::Membership(membership) => {
                self.state.note(at);
                self.take_voters(Some(&membership));
            }
        }
        Ok(())
    }

    fn take_voters(&mut self, membership: Option<&wire::Membership>) {
        if let Some(membership) = membership {
            self.voters = membership.voters.iter().flatten().map(|id| NodeId(*id)).collect();
        }
    }
}

/// Why a running node's state was not given out.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Nobody can tell whether this node's state is the newest.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The agreement ended.
    #[error("agreement ended on this node: {0}")]
    Ended(String),
}

impl Node {
    /// This node's state, with all that was acknowledged anywhere before the call. Without what happened before: past
    /// events and answers to past requests are left out, as a new history forgets them.
    ///
    /// # Errors
    /// [`PictureError`].
    pub async fn picture(&self) -> Result<Snapshot, PictureError> {
        self.inner.linearize().await?;
        let state = self.inner.raft.with_state_machine(|machine| {
            let state = machine.state();
            Box::pin(async move { state })
        });
        let mut state = state.await.map_err(|fatal| PictureError::Ended(fatal.to_string()))?;
        state.jump(0, state.incarnation());
        Ok(state.snapshot())
    }
}

/// Founds a new history on an empty disk: the recorded state with one command applied, whose only voter is `voter`. The
/// revision moves on by [`RECOVERY_JUMP`], so does the index, and all before counts as compacted. Blocks.
///
/// # Errors
/// [`RecoverError`]; the disk is of no use then.
pub fn found_anew(
    media: &Media,
    recorded: Recorded,
    voter: NodeId,
    command: &Command,
    incarnation: Incarnation,
) -> Result<State, RecoverError> {
    let Recorded { mut state, term, .. } = recorded;
    let place = store::Entry { index: state.applied().index + RECOVERY_JUMP, term: term + TERM_JUMP };
    if let Outcome::Refused(refusal) = state.apply(place, command).outcome {
        return Err(RecoverError::Refused(format!("{refusal:?}")));
    }
    state.jump(RECOVERY_JUMP, incarnation);
    let last = wire::LogId { term: place.term, index: place.index };
    let membership = wire::Membership { voters: vec![vec![voter.0]], nodes: vec![voter.0] };
    let meta = wire::SnapshotMeta { last: Some(last), membership_at: Some(last), membership: Some(membership) };
    let writer = media.snapshots()?.begin(&codec::encode(&meta)).map_err(io::Error::other)?;
    snapshot::write_chunks(writer, &state.snapshot())?;
    let vote = wire::Vote { term: place.term, node: voter.0, committed: true };
    start_log(&*media.log(&Config::default())?, last, vote).map_err(io::Error::other)?;
    Ok(state)
}

/// A log that goes on after the snapshot.
fn start_log(log: &Log, last: wire::LogId, vote: wire::Vote) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    log.purge_to(last.index, codec::encode(&last))?;
    log.set_vote(codec::encode(&vote))?;
    log.set_committed(codec::encode(&last))?;
    log.sync()?;
    Ok(())
}

#[cfg(test)]
mod tests;
