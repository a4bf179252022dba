//! Keeps the table of members, and what the disk remembers of it, equal to the replicated membership: from this node's
//! own state where it holds the log, else asked of a voter.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use membership::{Role, features};
use net::{Dial, NodeId, Peer, Protocol, Removed};
use parking_lot::Mutex;
use store::{Revision, Storage};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use crate::admission::peer;
use crate::context::Context;
use crate::home::FEED;
use crate::host::{Error, Next, Rules, Work};
use crate::rpc::{self, FEED_PATIENCE, Feed, MEMBERS, SETTINGS, Settings};

/// Asked again although nothing was heard.
const PERIOD: Duration = Duration::from_secs(30);

/// A node without a leader for so long asks the others too.
const LEFT_BEHIND: Duration = Duration::from_secs(10);

/// One question, patience and a slow network included.
const QUESTION_LIMIT: Duration = Duration::from_secs(25);

/// Until it is said again what the cluster could not be told: an election may be on.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// Saying how this node is set.
const SETTINGS_LIMIT: Duration = Duration::from_secs(5);

const _: () = assert!(FEED_PATIENCE.as_secs() < QUESTION_LIMIT.as_secs());

/// How the host treats [`Peers`].
pub fn rules() -> Rules<()> {
    Rules { name: "peers", deadline: Duration::from_secs(60), resync: Some((PERIOD, vec![()])) }
}

/// See the file's head.
pub struct Peers {
    context: Arc<Context>,
    seen: Mutex<Revision>,
}

impl Peers {
    /// Serves the node of this context.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, seen: Mutex::default() }
    }

    async fn refresh(&self) -> Result<Next, Error> {
        let view = self.context.view().await?;
        let own = Feed::of(&view).filter(|feed| self.holds_log() && feed.incarnation >= self.incarnation());
        if let Some(feed) = own {
            self.publish(feed.clone())?;
            let told = self.tell_settings(&feed).await;
            // Who hears no leader for long may have been left behind by a recovery, which others know of.
            if self.context.raft.behind().is_none_or(|age| age < LEFT_BEHIND) {
                return Ok(if told { Next::Done } else { Next::After(TELL_AGAIN) });
            }
        }
        let feed = self.ask().await?;
        self.publish(feed.clone())?;
        let told = self.tell_settings(&feed).await;
        Ok(Next::After(if told { Duration::ZERO } else { TELL_AGAIN }))
    }

    /// The newest history of the cluster heard of; see `mesh recover`.
    fn incarnation(&self) -> u64 {
        self.context.feed.borrow().as_ref().map_or(0, |feed| feed.incarnation)
    }

    /// Whether the log reaches this node, so that its own state is as new as it gets.
    fn holds_log(&self) -> bool {
        let status = self.context.raft.status();
        let id = self.context.id();
        status.voters.contains(&id) || status.learners.contains(&id)
    }

    async fn ask(&self) -> Result<Feed, Error> {
        let seen = serde_json::to_vec(&*self.seen.lock())?;
        let mut last = Error::from("no voter is known");
        for voter in self.voters() {
            match timeout(QUESTION_LIMIT, self.ask_one(voter, &seen)).await {
                Ok(Ok(feed)) if feed.incarnation < self.incarnation() => {
                    last = format!("{voter} knows of no recovery yet").into();
                }
                Ok(Ok(feed)) => return Ok(feed),
                Ok(Err(error)) => last = error,
                Err(_) => last = format!("{voter} gave no answer").into(),
            }
            debug!(%voter, error = %last, "members not heard");
        }
        Err(last)
    }

    async fn ask_one(&self, voter: NodeId, seen: &[u8]) -> Result<Feed, Error> {
        let mut channel = self.context.endpoint.open(voter, Protocol::Rpc, MEMBERS).await?;
        channel.send(seen).await?;
        channel.finish().await?;
        let answer = channel.receive().await?.ok_or("no answer")?;
        Ok(serde_json::from_slice(&answer)?)
    }

    fn voters(&self) -> Vec<NodeId> {
        let peers = self.context.peers.load();
        let voters = peers.iter().filter(|peer| peer.role == Role::Voter && peer.id != self.context.id());
        voters.map(|peer| peer.id).collect()
    }

    fn publish(&self, feed: Feed) -> Result<(), Error> {
        let members: Vec<Peer> = feed.members.iter().map(peer).collect();
        let removed: Vec<_> = feed.removed.iter().map(|(id, key)| Removed { id: *id, key: *key }).collect();
        for refused in self.context.peers.replace(members.clone(), &removed) {
            warn!(%refused, "member not believed");
        }
        *self.seen.lock() = feed.revision;
        let incarnation = feed.incarnation;
        self.remember(feed)?;
        let Some(mut known) = self.context.home.membership()? else { return Ok(()) };
        let before = known.clone();
        (known.members, known.removed, known.incarnation) = (members, removed, incarnation);
        if known != before {
            self.context.home.save_membership(&known)?;
        }
        Ok(())
    }
}

impl Peers {
    /// Says how this node is set, where the cluster has it otherwise: after a restart with other settings or another
    /// release. What cannot be written now is said again soon, and must not keep the members from being heard; tells whether
    /// nothing is left to say.
    async fn tell_settings(&self, feed: &Feed) -> bool {
        let id = self.context.id();
        let Some(own) = feed.members.iter().find(|member| member.id == id) else { return true };
        let config = &self.context.config;
        let zone = Some(config.zone.clone()).filter(|zone| !zone.is_empty());
        let settings = Settings { zone, voter: config.voter, features: Some(features::NEWEST) };
        let known = feed.features.contains(&(id, features::NEWEST));
        if own.leaving || (known && settings.applied(own) == *own) {
            return true;
        }
        let told = timeout(SETTINGS_LIMIT, self.settle(&settings)).await;
        match &told {
            Ok(Ok(())) => info!(?settings, "told the cluster of other settings"),
            Ok(Err(error)) => warn!(%error, ?settings, "the cluster was not told of other settings"),
            Err(_) => warn!(?settings, "no voter took note of other settings"),
        }
        matches!(told, Ok(Ok(())))
    }

    async fn settle(&self, settings: &Settings) -> Result<(), Error> {
        // Proposals are taken from voters only.
        if self.context.raft.status().voters.contains(&self.context.id()) {
            return rpc::settle(&self.context, self.context.id(), settings.clone()).await;
        }
        let voter = self.voters().into_iter().next().ok_or("no voter is known")?;
        let mut channel = self.context.endpoint.open(voter, Protocol::Rpc, SETTINGS).await?;
        channel.send(&serde_json::to_vec(settings)?).await?;
        channel.finish().await?;
        channel.receive().await?.map(drop).ok_or_else(|| format!("{voter} did not take note").into())
    }

    /// Tells the node's other parts, now and after a restart.
    fn remember(&self, feed: Feed) -> Result<(), Error> {
        let known = self.context.feed.borrow().clone();
        let same = known.is_some_and(|known| *known == Feed { revision: known.revision, ..feed.clone() });
        if !same {
            self.context.home.write(FEED, &serde_json::to_vec(&feed)?)?;
            self.context.feed.send_replace(Some(Arc::new(feed)));
        }
        Ok(())
    }
}

impl Work for Peers {
    type Key = ();

    fn run(&self, (): ()) -> BoxFuture<'_, Result<Next, Error>> {
        Box::pin(self.refresh())
    }
}
