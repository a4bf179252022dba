//! A watcher on each node, which goes on where it stopped. Main type: [`Seen`].

use std::{sync::Arc, time::Duration};

use consensus::Node;
use futures::StreamExt;
use parking_lot::Mutex;
use store::{Revision, Scope, Storage, WatchError};
use tokio::time::sleep;

use crate::{client, flaw::Flaw, history::Value, trace};

/// Pause before a watch is started again.
const PAUSE: Duration = Duration::from_millis(100);

/// One change, as it was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// Of which transaction.
    pub revision: u64,
    /// Of which record.
    pub key: String,
    /// Its new value.
    pub value: Value,
}

/// What one watcher was told, over all its node's lives.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    /// The revision after which it begins.
    beginning: u64,
    changes: Vec<Change>,
}

impl Seen {
    /// All changes, in the order told.
    pub fn changes(&self) -> Vec<Change> {
        self.0.lock().changes.clone()
    }

    /// Another history begins after this revision.
    pub fn begin_anew(&self, beginning: u64) {
        *self.0.lock() = Told { beginning, changes: Vec::new() };
    }

    fn last(&self) -> Revision {
        let told = self.0.lock();
        Revision(told.changes.last().map_or(told.beginning, |change| change.revision))
    }

    /// After which revision a watch goes on.
    fn resume(&self, flaw: Option<Flaw>) -> Revision {
        let last = self.last();
        match flaw {
            Some(Flaw::WatchSkips) if last.0 > 0 => Revision(last.0 + 1),
            Some(Flaw::WatchRepeats) => Revision(last.0.saturating_sub(1)),
            _ => last,
        }
    }

    /// Watches until its node crashes.
    ///
    /// # Panics
    /// Where the window no longer reaches back: runs are too short for that.
    pub async fn watch(self, node: Arc<Node>, flaw: Option<Flaw>) {
        loop {
            let scope = Scope { prefix: "register/".into(), index: None };
            if let Ok(mut watch) = node.watch(scope, self.resume(flaw)) {
                while let Some(batch) = watch.next().await {
                    match batch {
                        Ok(events) => {
                            let changes: Vec<Change> = events.iter().map(|event| change(event)).collect();
                            trace::note("told", &changes);
                            self.0.lock().changes.extend(changes);
                        }
                        Err(WatchError::Compacted { wanted, oldest }) => {
                            panic!("window lost: wanted {wanted:?}, oldest {oldest:?}")
                        }
                        Err(WatchError::Lagged | WatchError::Disconnected) => break,
                    }
                }
            }
            sleep(PAUSE).await;
        }
    }
}

fn change(event: &store::Event) -> Change {
    let record = event.new.as_ref().or(event.old.as_ref());
    Change {
        revision: event.revision.0,
        key: record.map(|record| record.key.to_string()).unwrap_or_default(),
        value: event.new.as_ref().map_or(0, |new| client::parse(&new.body)),
    }
}
