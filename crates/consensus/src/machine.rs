//! The replicated state machine as openraft drives it, around [`store::State`]. Main type: [`Machine`].
//!
//! Entries are applied in batches: one publication to watchers, one new [`View`], one wake-up of those who wait,
//! then the proposers' answers. Watchers are told before the view can be read, as [`store::Storage`] promises.

use std::{io, sync::Arc};

use futures::{Stream, TryStreamExt};
use openraft::{
    EntryPayload, OptionalSend,
    alias::SnapshotOf,
    storage::{ApplyResponder, EntryResponder, RaftStateMachine},
};
use parking_lot::RwLock;
use store::{Command, Hub, State, View};
use tokio::sync::watch;

use crate::{
    snapshot::{Builder, SnapshotData, Snapshots},
    types::{Applied, Entry, LogId, SnapshotMeta, StoredMembership, TypeConfig},
};

/// Entries applied between two publications: bounds how long readers wait for the first of a long batch.
const BATCH: usize = 256;

/// How far the state of this node has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Index of the last entry applied.
    pub index: u64,
    /// Its term.
    pub term: u64,
}

/// What readers and watchers of this node share with the machine.
#[derive(Debug)]
pub(crate) struct Published {
    view: RwLock<View>,
    pub(crate) hub: Hub,
    pub(crate) progress: watch::Sender<Progress>,
}

impl Published {
    pub(crate) fn new(state: &State) -> Self {
        Self { view: RwLock::new(state.view()), hub: Hub::new(state), progress: watch::Sender::default() }
    }

    /// The newest state.
    pub(crate) fn view(&self) -> View {
        self.view.read().clone()
    }
}

/// Applies committed entries; openraft owns it.
pub(crate) struct Machine {
    state: State,
    last: Option<LogId>,
    membership: StoredMembership,
    published: Arc<Published>,
    snapshots: Snapshots,
}

/// Effects of applied entries that nobody has been told of yet.
#[derive(Default)]
struct Pending {
    events: Vec<store::Batch>,
    answers: Vec<(ApplyResponder<TypeConfig>, Applied)>,
    entries: usize,
}

impl Machine {
    pub(crate) fn new(published: Arc<Published>, snapshots: Snapshots) -> Self {
        Self { state: State::default(), last: None, membership: StoredMembership::default(), published, snapshots }
    }

    /// The state now; shares structure.
    pub(crate) fn state(&self) -> State {
        self.state.clone()
    }

    fn apply_one(&mut self, entry: Entry, pending: &mut Pending) -> io::Result<Applied> {
        let at = store::Entry { index: entry.log_id.index, term: *entry.log_id.leader_id };
        let outcome = match entry.payload {
            EntryPayload::Normal(proposal) => {
                let command: Command = store::wire::decode_command(&proposal.0).map_err(io::Error::other)?;
                let applied = self.state.apply(at, &command);
                if !applied.events.is_empty() {
                    pending.events.push(applied.events);
                }
                Some(applied.outcome)
            }
            EntryPayload::Blank => {
                self.state.note(at);
                None
            }
            EntryPayload::Membership(membership) => {
                self.state.note(at);
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                None
            }
        };
        self.last = Some(entry.log_id);
        pending.entries += 1;
        Ok(Applied(outcome))
    }

    fn publish(&self, pending: &mut Pending) {
        for events in pending.events.drain(..) {
            self.published.hub.publish(&events);
        }
        *self.published.view.write() = self.state.view();
        self.publish_progress();
        for (responder, applied) in pending.answers.drain(..) {
            responder.send(applied);
        }
        pending.entries = 0;
    }

    fn publish_progress(&self) {
        let progress = self.last.map_or_else(Progress::default, |id| Progress { index: id.index, term: *id.leader_id });
        self.published.progress.send_replace(progress);
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.last, last_membership: self.membership.clone() }
    }

    fn builder(&self) -> Builder {
        Builder { snapshots: self.snapshots.clone(), meta: self.meta(), state: self.state.snapshot() }
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut pending = Pending::default();
        while let Some((entry, responder)) = entries.try_next().await? {
            let applied = self.apply_one(entry, &mut pending)?;
            pending.answers.extend(responder.map(|responder| (responder, applied)));
            if pending.entries == BATCH {
                self.publish(&mut pending);
                tokio::task::yield_now().await;
            }
        }
        self.publish(&mut pending);
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Builder> {
        Some(self.builder())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.builder()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotData) -> io::Result<()> {
        let state = self.snapshots.install(meta, snapshot).await?;
        self.state = state;
        self.last = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.published.hub.reset(&self.state);
        *self.published.view.write() = self.state.view();
        self.publish_progress();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<TypeConfig, SnapshotData>>> {
        self.snapshots.current().await
    }
}
