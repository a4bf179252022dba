//! The questions between members that are not agreement's own: membership feed, leaving, the cluster key.
//! Main type: [`Rpc`]. Which caller may ask what is the caller table's matter.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use membership::member::Cluster;
use membership::{Member, NodeId, VoterPreference, features, keys, member};
use net::seal::SealKey;
use net::{Caller, Channel, Method, Serve};
use serde::{Deserialize, Serialize};
use store::{Guard, Revision, Scope, Storage};
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tracing::{debug, info};

use crate::context::Context;
use crate::host::Error;
use crate::{echo, images, local_volumes, node_api, removal, streams};

/// Who the members are, told when that differs from what the caller has seen, or after [`FEED_PATIENCE`].
pub const MEMBERS: Method = Method(0x10);
/// The caller gives up its part and is forgotten; answered once it is.
pub const LEAVE: Method = Method(0x11);
/// The caller says where its pods' endpoint listens; answered once that is written.
pub const ANNOUNCE: Method = Method(0x12);
/// The caller says how it is set now ([`Settings`]); answered once that is written.
pub const SETTINGS: Method = Method(0x24);
/// The caller, a voter, hands the cluster key to a node that is about to vote.
pub const TAKE_KEY: Method = Method(0x180);

/// How long a [`MEMBERS`] question waits for news.
pub const FEED_PATIENCE: Duration = Duration::from_secs(20);

/// Addresses of one member's endpoint: one a family, and some to spare.
const ADDRESSES_LIMIT: usize = 8;

/// Largest question, in bytes.
const QUESTION_LIMIT: usize = 4 << 10;

/// Answer to [`MEMBERS`]; JSON, whose fields may grow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Feed {
    /// The revision this was read at; to be sent with the next question.
    pub revision: Revision,
    /// The cluster's incarnation.
    pub incarnation: u64,
    /// All members.
    pub members: Vec<Member>,
    /// The cluster's facts.
    #[serde(default)]
    pub cluster: Option<Cluster>,
    /// Ids and keys of former members.
    pub removed: Vec<(NodeId, membership::KeyFingerprint)>,
    /// The feature level in force; absent where the teller knows of none.
    #[serde(default)]
    pub feature_level: u32,
    /// Which level each member said that it knows.
    #[serde(default)]
    pub features: Vec<(NodeId, u32)>,
}

impl Feed {
    /// What this node's own state says; `None` before the cluster is founded in it.
    pub fn of(view: &store::View) -> Option<Self> {
        let cluster = member::cluster(view)?;
        Some(Self {
            revision: view.revision(),
            incarnation: cluster.incarnation,
            cluster: Some(cluster),
            members: member::members(view),
            removed: membership::removed(view),
            feature_level: features::level(view),
            features: features::known(view).into_iter().collect(),
        })
    }
}

/// Serves [`net::Protocol::Rpc`]: ours here, the rest is agreement's.
pub struct Rpc {
    /// What this node has.
    pub context: Arc<Context>,
    /// Answers members' questions to the API.
    pub api: node_api::Server,
    /// Answers what is not in this file.
    pub agreement: Arc<dyn Serve>,
}

impl Serve for Rpc {
    fn serve(self: Arc<Self>, caller: Caller, method: Method, channel: Channel) -> BoxFuture<'static, ()> {
        if node_api::Server::serves(method) {
            return self.api.serve(caller, method, channel);
        }
        if streams::METHODS.contains(&method.0) {
            return Box::pin(async move {
                if let Err(error) = streams::serve(&self.context.streams, method, channel).await {
                    debug!(?caller, ?method, %error, "stream broke");
                }
            });
        }
        if [images::FIND, images::PART].contains(&method) {
            return Box::pin(async move {
                if let Err(error) = images::serve(&self.context, method, channel).await {
                    debug!(?caller, ?method, %error, "image not given");
                }
            });
        }
        if method == local_volumes::REMOVE {
            return Box::pin(async move {
                if let Err(error) = local_volumes::serve(&self.context, channel).await {
                    debug!(?caller, %error, "volume not removed");
                }
            });
        }
        if ![MEMBERS, LEAVE, ANNOUNCE, SETTINGS, TAKE_KEY, echo::ECHO].contains(&method) {
            return self.agreement.clone().serve(caller, method, channel);
        }
        Box::pin(async move {
            if let Err(error) = self.answer(caller, method, channel).await {
                debug!(?caller, ?method, %error, "question not answered");
            }
        })
    }
}

impl Rpc {
    async fn answer(&self, caller: Caller, method: Method, mut channel: Channel) -> Result<(), Error> {
        let question = channel.receive_within(QUESTION_LIMIT).await?.unwrap_or_default();
        let answer = match (method, caller) {
            (TAKE_KEY, _) => self.take_key(&question)?,
            (echo::ECHO, _) => echo::answer(&self.context)?,
            (LEAVE, Caller::Member(id, _)) => {
                removal::forget(&self.context, id).await?;
                Vec::new()
            }
            (SETTINGS, Caller::Member(id, _)) => {
                settle(&self.context, id, serde_json::from_slice(&question)?).await?;
                Vec::new()
            }
            (ANNOUNCE, Caller::Member(id, _)) => {
                announce(&self.context, id, serde_json::from_slice(&question)?).await?;
                Vec::new()
            }
            (MEMBERS, _) => self.members(serde_json::from_slice(&question)?).await?,
            _ => return Err("no such question".into()),
        };
        channel.send(&answer).await?;
        Ok(channel.finish().await?)
    }

    fn take_key(&self, key: &[u8]) -> Result<Vec<u8>, Error> {
        let key = key.try_into()?;
        match self.context.cluster_key.borrow().as_ref().map(SealKey::to_bytes) {
            Some(ours) if ours == key => return Ok(Vec::new()),
            // The cluster key never changes; losing it would lose the cluster's secrets.
            Some(_) => return Err("this node has another cluster key".into()),
            None => {}
        }
        self.context.home.save_key(crate::home::CLUSTER_KEY, &key)?;
        self.context.cluster_key.send_replace(Some(SealKey::from_bytes(key)));
        info!("took the cluster key, about to vote");
        Ok(Vec::new())
    }

    async fn members(&self, seen: Revision) -> Result<Vec<u8>, Error> {
        let scope = Scope { prefix: "mesh/".into(), index: None };
        if let Ok(mut news) = self.context.raft.watch(scope, seen) {
            // Either way the newest is told.
            let _ = timeout(FEED_PATIENCE, news.next()).await;
        }
        let feed = Feed::of(&self.context.view().await?).ok_or("the cluster is not founded here")?;
        Ok(serde_json::to_vec(&feed)?)
    }
}

/// What a member says of itself with [`SETTINGS`]: JSON, whose fields may grow. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Its failure zone.
    pub zone: Option<String>,
    /// Whether it may vote.
    pub voter: Option<VoterPreference>,
    /// The newest feature level that it knows.
    pub features: Option<u32>,
}

impl Settings {
    /// The member with these settings.
    pub fn applied(&self, member: &Member) -> Member {
        let mut member = member.clone();
        member.zone = self.zone.clone().unwrap_or(member.zone);
        member.voter = self.voter.unwrap_or(member.voter);
        member
    }
}

/// Writes down how a member is set, where that is news.
///
/// # Errors
/// Where there is no quorum, the caller is no member, or its zone is no label's value.
pub async fn settle(context: &Context, id: NodeId, settings: Settings) -> Result<(), Error> {
    let view = context.view().await?;
    let key = keys::member(id);
    let record = view.get(&key).ok_or("no such member")?;
    let member: Member = member::decode(record).ok_or("its record is unreadable")?;
    let set = settings.applied(&member);
    let news = settings.features.filter(|level| features::known(&view).get(&id) != Some(level));
    let mut ops: Vec<_> = news.map(|level| features::say(id, level)).into_iter().collect();
    if set != member {
        ops.push(member::put(key.clone(), &set));
    }
    if ops.is_empty() {
        return Ok(());
    }
    if !api::names::label_value(&set.zone).is_empty() {
        return Err(format!("the zone {:?} is no value of a label", set.zone).into());
    }
    context.write(vec![Guard::Unchanged(key, record.modified)], ops).await
}

/// Writes down where a member's pods' endpoint listens, where that is news.
///
/// # Errors
/// Where there is no quorum, or the member is none.
pub async fn announce(context: &Context, id: NodeId, pod_addresses: Vec<SocketAddr>) -> Result<(), Error> {
    let view = context.view().await?;
    let key = keys::member(id);
    let record = view.get(&key).ok_or("no such member")?;
    let member: Member = member::decode(record).ok_or("its record is unreadable")?;
    if member.pod_addresses == pod_addresses {
        return Ok(());
    }
    if pod_addresses.len() > ADDRESSES_LIMIT || pod_addresses.iter().any(|address| address.ip().is_unspecified()) {
        return Err("these are no addresses that others could reach".into());
    }
    let guard = Guard::Unchanged(key.clone(), record.modified);
    context.write(vec![guard], vec![member::put(key, &Member { pod_addresses, ..member })]).await
}
