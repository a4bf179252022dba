//! [`store::Storage`] for a [`Node`]: the replicated store as the API pipeline sees it.

use std::time::Duration;

use futures::future::BoxFuture;
use store::{Command, Freshness, Outcome, ReadError, Revision, Scope, Storage, View, Watch, WatchError, WriteError};
use tokio::time::{Instant, timeout_at};

use crate::node::{Inner, Node};

/// How long a read waits for a revision that this node does not have yet.
const REVISION_LIMIT: Duration = Duration::from_secs(3);

impl Storage for Node {
    fn read(&self, freshness: Freshness) -> BoxFuture<'_, Result<View, ReadError>> {
        Box::pin(async move {
            match freshness {
                Freshness::Any => {}
                Freshness::Linearizable => self.inner.linearize().await?,
                Freshness::AtLeast(wanted) => self.inner.wait_revision(wanted).await?,
            }
            Ok(self.inner.published.view())
        })
    }

    fn as_of(&self, revision: Revision) -> Option<View> {
        self.inner.published.hub.as_of(&self.inner.published.view(), revision)
    }

    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Outcome, WriteError>> {
        Box::pin(async move { self.inner.propose(&command).await })
    }

    fn watch(&self, scope: Scope, after: Revision) -> Result<Watch, WatchError> {
        if self.inner.contact.age(&self.inner.raft) > self.inner.config.leaderless_limit {
            return Err(WatchError::Disconnected);
        }
        self.inner.published.hub.watch(scope, after)
    }

    fn behind(&self) -> Option<Duration> {
        let age = self.inner.contact.age(&self.inner.raft);
        // A leader shows itself several times per lease; one that does not may be gone.
        (age > self.inner.config.lease() * 2).then_some(age)
    }
}

impl Inner {
    async fn wait_revision(&self, wanted: Revision) -> Result<(), ReadError> {
        let deadline = Instant::now() + REVISION_LIMIT;
        let mut progress = self.published.progress.subscribe();
        let reached = progress.wait_for(|_| self.published.view().revision() >= wanted);
        match timeout_at(deadline, reached).await {
            Ok(_) => Ok(()),
            Err(_) => Err(ReadError::Ahead { wanted, newest: self.published.view().revision() }),
        }
    }
}
