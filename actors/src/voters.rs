//! Keeps the quorum as DESIGN's rule wants it, on the leader, and the feature level as high as all members know it. Decided
//! by [`membership::voters::plan`] and [`membership::features::raise`]; run here.
//! Deliberately one step a run: each is decided on what the former one left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use membership::voters::{Quorum, Step, plan};
use membership::{Member, NodeId, features, keys, member};
use net::{Dial, Protocol};
use parking_lot::Mutex;
use store::{Guard, View};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info;

use crate::context::{Context, request_id};
use crate::host::{Error, Next, Rules, Work};
use crate::rpc;

/// How often the quorum is looked at although nothing was heard; bounds how late a death is noticed.
const PERIOD: Duration = Duration::from_secs(1);

/// Between two looks while a learner catches up.
const CATCHING_UP: Duration = Duration::from_millis(50);

/// How long a new voter may take to store the cluster key.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(5);

/// How the host treats [`Voters`].
pub const RULES: Rules<()> = Rules { name: "voters", deadline: Duration::from_secs(30), resync: None };

/// See the file's head.
pub struct Voters {
    context: Arc<Context>,
    live: watch::Receiver<BTreeSet<NodeId>>,
    silent_since: Mutex<BTreeMap<NodeId, Instant>>,
}

impl Voters {
    /// Acts for the node of this context; `live` is what gossip hears.
    pub fn new(context: Arc<Context>, live: watch::Receiver<BTreeSet<NodeId>>) -> Self {
        Self { context, live, silent_since: Mutex::default() }
    }

    async fn step(&self) -> Result<Next, Error> {
        let Some(term) = self.context.leading() else {
            self.silent_since.lock().clear();
            return Ok(Next::Done);
        };
        let view = self.context.view().await?;
        let members = member::members(&view);
        let status = self.context.raft.status();
        if status.changing || members.is_empty() {
            return Ok(Next::After(CATCHING_UP));
        }
        let quorum = quorum(&status);
        let dead = self.dead(&members);
        let Some(step) = plan(&members, &quorum, &dead, self.context.config.max_voters) else {
            self.raise_features(&view, &members, term).await?;
            let waits = quorum.learners.len() > quorum.caught_up.len();
            return Ok(Next::After(if waits { CATCHING_UP } else { PERIOD }));
        };
        info!(?step, "quorum changes");
        self.execute(step, &members, term).await?;
        Ok(Next::After(Duration::ZERO))
    }

    async fn raise_features(&self, view: &View, members: &[Member], term: u64) -> Result<(), Error> {
        let (known, now) = (features::known(view), features::level(view));
        let Some(level) = features::raise(members.iter().map(|member| member.id), &known, now) else { return Ok(()) };
        info!(from = now, to = level, "feature level rises");
        let (guard, op) = features::put_in_force(view, level);
        self.context.write(vec![Guard::Term(term), guard], vec![op]).await
    }

    /// Members that have been silent for so long as the settings say since this node leads.
    fn dead(&self, members: &[Member]) -> BTreeSet<NodeId> {
        let dead_after = Duration::from_secs(self.context.config.voter_dead_seconds);
        let live = self.live.borrow().clone();
        let mut silent = self.silent_since.lock();
        silent.retain(|id, _| !live.contains(id) && members.iter().any(|member| member.id == *id));
        let mute = members.iter().filter(|member| !live.contains(&member.id) && member.id != self.context.id());
        for member in mute {
            silent.entry(member.id).or_insert_with(Instant::now);
        }
        silent.iter().filter(|(_, since)| since.elapsed() >= dead_after).map(|(id, _)| *id).collect()
    }

    async fn execute(&self, step: Step, members: &[Member], term: u64) -> Result<(), Error> {
        let raft = &self.context.raft;
        match step {
            Step::AddLearner(id) => Ok(raft.add_learner(id).await?),
            Step::DropLearner(id) => Ok(raft.remove(id).await?),
            Step::SetVoters(voters) => {
                let now = raft.status().voters;
                for id in voters.difference(&now) {
                    self.hand_over_key(*id).await?;
                }
                Ok(raft.change_voters(voters).await?)
            }
            Step::SetRole(id, role) => {
                let Some(member) = members.iter().find(|member| member.id == id) else { return Ok(()) };
                let key = keys::member(id);
                let guards = vec![Guard::Term(term), Guard::Present(key.clone())];
                self.context.write(guards, vec![member::put(key, &Member { role, ..member.clone() })]).await
            }
            Step::Remove(id) => {
                let Some(member) = members.iter().find(|member| member.id == id) else { return Ok(()) };
                let mut command = membership::remove(member, request_id());
                command.guards.push(Guard::Term(term));
                self.context.propose(command).await
            }
        }
    }

    /// A node that is about to vote must be able to open the cluster's secrets.
    async fn hand_over_key(&self, to: NodeId) -> Result<(), Error> {
        let key = self.context.cluster_key.borrow().clone().ok_or("this leader has no cluster key")?;
        let hand_over = async {
            let mut channel = self.context.endpoint.open(to, Protocol::Rpc, rpc::TAKE_KEY).await?;
            channel.send(&key.to_bytes()).await?;
            channel.finish().await?;
            let answer = channel.receive().await?;
            answer.map(drop).ok_or_else(|| Error::from(format!("{to} did not take the cluster key")))
        };
        timeout(HAND_OVER_LIMIT, hand_over).await?
    }
}

/// The quorum as agreement tells it.
pub(crate) fn quorum(status: &consensus::Status) -> Quorum {
    let caught_up = status.followers.iter().filter(|follower| follower.caught_up).map(|follower| follower.id);
    Quorum {
        leader: status.leader,
        voters: status.voters.clone(),
        learners: status.learners.clone(),
        caught_up: caught_up.collect(),
    }
}

impl Work for Voters {
    type Key = ();

    fn run(&self, (): ()) -> BoxFuture<'_, Result<Next, Error>> {
        Box::pin(self.step())
    }
}
