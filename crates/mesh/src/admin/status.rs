//! What `mesh status` shows, gathered from agreement, membership and gossip. Main type: [`Status`].

use std::net::SocketAddr;
use std::time::Duration;

use actors::Node;
use actors::context::Context;
use actors::host::Observation;
use anyhow::{Result, anyhow};
use membership::{NodeId, Role, features, member};
use net::dataplane::{Order, Report};
use serde::{Deserialize, Serialize};
use store::Storage;
use tokio::time::{Instant, timeout_at};

/// The state of one node and of the cluster as it sees it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// This node's name.
    pub(crate) name: String,
    /// This node's id.
    pub(crate) id: NodeId,
    /// Why it is not ready; absent where it is.
    pub(crate) why_not_ready: Option<String>,
    /// Id of the cluster.
    pub(crate) cluster: String,
    /// Name of the leader.
    pub(crate) leader: Option<String>,
    /// The newest term seen.
    pub(crate) term: u64,
    /// The feature level in force; absent where an older release tells.
    #[serde(default)]
    pub(crate) feature_level: Option<u32>,
    /// The newest feature level that this node's release knows.
    #[serde(default)]
    pub(crate) newest_feature_level: Option<u32>,
    /// The last entry applied here.
    pub(crate) applied: u64,
    /// All members.
    pub(crate) members: Vec<MemberStatus>,
    /// This node's data plane; absent where it runs no pods.
    #[serde(default)]
    pub(crate) dataplane: Option<DataplaneStatus>,
    /// This node's actors; for programs.
    pub(crate) actors: Vec<serde_json::Value>,
}

/// One member.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MemberStatus {
    /// Its name.
    pub(crate) name: String,
    /// Its id.
    pub(crate) id: NodeId,
    /// Its part in the quorum.
    pub(crate) role: Role,
    /// Whether gossip hears of it.
    pub(crate) heard: bool,
    /// Entries it is behind; known on the leader.
    pub(crate) lag: Option<u64>,
    /// Its control endpoints.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Its pods' addresses.
    pub(crate) pod_ranges: Vec<String>,
}

/// The data plane beside this process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum DataplaneStatus {
    /// It runs.
    Up(net::dataplane::Status),
    /// It does not answer, in words.
    Down(String),
}

impl Status {
    /// Members that gossip hears of.
    pub(crate) fn heard(&self) -> usize {
        self.members.iter().filter(|member| member.heard).count()
    }
}

/// The status now; with `wait_seconds`, once the node is ready or the time is over.
pub(crate) async fn of(node: &Node, wait_seconds: Option<u64>) -> Result<Status> {
    let deadline = Instant::now() + Duration::from_secs(wait_seconds.unwrap_or(0));
    let context = node.context();
    let mut leadership = context.raft.leadership();
    let mut api = context.api.subscribe();
    let mut peers = context.peers.changes();
    let mut live = node.live();
    loop {
        let status = now(node).await?;
        if status.why_not_ready.is_none() || Instant::now() >= deadline {
            return Ok(status);
        }
        let changed = async {
            tokio::select! {
                _ = leadership.changed() => {}
                _ = api.changed() => {}
                _ = peers.changed() => {}
                _ = live.changed() => {}
            }
        };
        // Either way the state is looked at again.
        let _ = timeout_at(deadline, changed).await;
    }
}

async fn now(node: &Node) -> Result<Status> {
    let context = node.context();
    let group = context.raft.status();
    let live = node.live().borrow().clone();
    let known = context.home.membership()?.ok_or_else(|| anyhow!("this node has left its cluster"))?;
    let view = context.view().await.map_err(|error| anyhow!(error))?;
    let ranges = |id| member::member(&view, id).map(|member| member.pod_ranges).unwrap_or_default();
    let peers = context.peers.load();
    let members = peers.iter().map(|peer| MemberStatus {
        name: peer.name.clone(),
        id: peer.id,
        role: peer.role,
        heard: live.contains(&peer.id),
        lag: group.followers.iter().find(|follower| follower.id == peer.id).map(|follower| follower.lag),
        addresses: peer.addresses.clone(),
        pod_ranges: ranges(peer.id).iter().map(ToString::to_string).collect(),
    });
    let observe = |seen: &Observation| serde_json::to_value(seen).unwrap_or_default();
    Ok(Status {
        name: context.name.clone(),
        id: context.id(),
        why_not_ready: why_not_ready(node, &group),
        cluster: known.cluster,
        leader: group.leader.map(|id| peers.get(id).map_or(id.to_string(), |peer| peer.name.clone())),
        term: group.term,
        // Who holds the log knows it first.
        feature_level: feature_level(context).max(Some(features::level(&view))),
        newest_feature_level: Some(features::NEWEST),
        applied: group.last_applied,
        members: members.collect(),
        dataplane: dataplane(context).await,
        actors: node.observe().await.iter().map(observe).collect(),
    })
}

/// As this node heard of it last.
fn feature_level(context: &Context) -> Option<u32> {
    context.feed.borrow().as_ref().map(|feed| feed.feature_level).filter(|level| *level > 0)
}

async fn dataplane(context: &Context) -> Option<DataplaneStatus> {
    let config = context.config.pods.then_some(&context.config)?;
    let asked = async {
        let mut link = net::dataplane::connect(&config.state_dir, actors::dataplane::build()).await?;
        link.ask(Order::Observe).await
    };
    Some(match asked.await {
        Ok(Report::Status(status)) => DataplaneStatus::Up(status),
        Ok(_) => DataplaneStatus::Down("it answered something else".into()),
        Err(error) => DataplaneStatus::Down(error.to_string()),
    })
}

/// A voter is ready with a leader and its API server; another member once it hears a voter to pipe to.
fn why_not_ready(node: &Node, group: &actors::Group) -> Option<String> {
    let context = node.context();
    let peers = context.peers.load();
    let role = peers.get(context.id()).map(|peer| peer.role);
    let live = node.live().borrow().clone();
    match role {
        None => Some("the membership does not know this node".into()),
        Some(Role::Voter) if group.leader.is_none() => {
            Some("there is no leader: is a majority of the voters up?".into())
        }
        Some(Role::Voter) if context.raft.behind().is_some() => {
            Some("the leader is not heard of: is a majority of the voters up?".into())
        }
        Some(Role::Voter) if context.api.borrow().is_none() => Some("the API server is starting".into()),
        Some(Role::Voter) => None,
        Some(_) if peers.iter().any(|peer| peer.role == Role::Voter && live.contains(&peer.id)) => None,
        Some(_) => Some("no voter is heard of".into()),
    }
}
