//! Runs one controller over its keys: settles what is unknown, reads, decides, acts. Main type: [`Runner`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use apiserver::Client;
use auth::User;
use controllers::{Controller, Key, Plan};
use futures::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use store::{Guard, View};

use super::execute::{self, Failure, Hands};
use super::snapshot::{Decoded, Snapshot};
use crate::context::Context;
use crate::host::{Error, Next, Work};

/// Namespace of the controllers' ServiceAccounts.
const ACCOUNTS: &str = "kube-system";

/// Field manager of what controllers write, as clients know it.
const MANAGER: &str = "kube-controller-manager";

/// Wait before a plan is made anew because what it saw has changed: long enough for the change to be seen.
const CONFLICT_PAUSE: Duration = Duration::from_millis(10);

/// See the file's head.
pub(super) struct Runner {
    controller: &'static Controller,
    context: Arc<Context>,
    objects: Arc<Decoded>,
    /// Keys with a write whose outcome is unknown.
    unsettled: Mutex<BTreeSet<Key>>,
    /// Why the last plan of a key was not carried out, in the API's words.
    refused: Mutex<BTreeMap<Key, String>>,
}

impl Runner {
    pub(super) fn new(controller: &'static Controller, context: Arc<Context>, objects: Arc<Decoded>) -> Self {
        Self { controller, context, objects, unsettled: Mutex::default(), refused: Mutex::default() }
    }

    async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(term) = self.context.leading() else {
            self.unsettled.lock().clear();
            self.refused.lock().clear();
            return Ok(Next::Done);
        };
        let client = self.client(term)?;
        self.settle(&key, term).await?;
        // Writes return only once this node has applied them, so any view from now on holds those of the last run.
        let view = self.context.view().await?;
        let now = clock::now();
        let Plan { actions, wake_at } = self.decide(view, &key, now);
        let hands = Hands { context: &self.context, client: &client, controller: self.controller.name, now };
        if let Err(failure) = execute::all(hands, actions).await {
            return self.failed(key, failure);
        }
        self.refused.lock().remove(&key);
        Ok(wake_at.map_or(Next::Done, |at| Next::After(Duration::try_from(at.duration_since(now)).unwrap_or_default())))
    }

    fn client(&self, term: u64) -> Result<Client, Error> {
        let serving = self.context.api.borrow().clone().ok_or("the API server does not run yet")?;
        let user = User::service_account(ACCOUNTS, self.controller.account, "");
        Ok(serving.server.client().of(user, MANAGER).fenced(term))
    }

    /// A barrier through the log: once it is applied, an earlier write of ours is too, or never will be.
    async fn settle(&self, key: &Key, term: u64) -> Result<(), Error> {
        if self.unsettled.lock().contains(key) {
            self.context.write(vec![Guard::Term(term)], Vec::new()).await?;
            self.unsettled.lock().remove(key);
        }
        Ok(())
    }

    fn decide(&self, view: View, key: &Key, now: Timestamp) -> Plan {
        let refused = self.refused.lock().get(key).cloned();
        let snapshot = Snapshot::new(view, &self.context, &self.objects, refused);
        (self.controller.reconcile)(&snapshot, key, now)
    }

    fn failed(&self, key: Key, failure: Failure) -> Result<Next, Error> {
        if failure.is_conflict() {
            return Ok(Next::After(CONFLICT_PAUSE));
        }
        if let Some(why) = failure.refused() {
            self.refused.lock().insert(key.clone(), why);
        }
        if failure.is_unknown() {
            self.unsettled.lock().insert(key);
        }
        Err(failure.into())
    }
}

impl Work for Runner {
    type Key = Key;

    fn run(&self, key: Key) -> BoxFuture<'_, Result<Next, Error>> {
        Box::pin(self.reconcile(key))
    }
}
