//! Answers the Raft calls of other nodes. Main type: [`RaftService`], the [`Serve`] of [`net::Protocol::Raft`].
//!
//! Besides the caller table of `net`, a caller must be part of this Raft group or hold a role that may be, and it
//! may speak only for itself: a vote or an append under another node's name is refused.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, future::BoxFuture};
use net::{Caller, Channel, ChannelError, Method, NodeId, Role, Serve, channel};
use openraft::{alias::SnapshotOf, raft::AppendEntriesRequest};
use serde::Serialize;
use tokio::time::timeout;
use tracing::debug;

use crate::{
    codec::{self, DecodeError},
    contact::Contact,
    convert,
    node::Raft,
    snapshot::{SnapshotData, Snapshots},
    types::TypeConfig,
    wire::{self, Reply, methods},
};

/// How long a caller may take for the one frame of a unary call.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// How long a sender may take for the next piece of a snapshot.
const PIECE_LIMIT: Duration = Duration::from_secs(10);

/// Serves the Raft calls of other nodes.
pub struct RaftService {
    pub(crate) raft: Raft,
    pub(crate) snapshots: Snapshots,
    pub(crate) contact: Arc<Contact>,
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("caller is not part of this group")]
    Stranger,
    #[error("request made in the name of {0}")]
    Disguised(NodeId),
    #[error("method {0:?} is unknown")]
    Method(Method),
    #[error("caller sent nothing in time")]
    Silent,
    #[error("channel failed")]
    Channel(#[from] ChannelError),
    #[error("request not understood")]
    Decode(#[from] DecodeError),
    #[error("request makes no sense: {0}")]
    Invalid(String),
    #[error("snapshot not stored")]
    Snapshot(#[from] std::io::Error),
}

impl Serve for RaftService {
    fn serve(self: Arc<Self>, caller: Caller, method: Method, channel: Channel) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Err(error) = self.answer(caller, method, channel).await {
                debug!(%error, ?caller, ?method, "raft call ended");
            }
        })
    }
}

impl RaftService {
    async fn answer(&self, caller: Caller, method: Method, mut channel: Channel) -> Result<(), ServeError> {
        let caller = self.admit(caller)?;
        match method {
            methods::APPEND => self.append(caller, channel).await,
            methods::VOTE | methods::PRE_VOTE => {
                let request: wire::VoteRequest = request(&mut channel).await?;
                same(caller, request.vote.node)?;
                let answer = match method {
                    methods::VOTE => self.raft.vote(request.into()).await,
                    _ => self.raft.pre_vote(request.into()).await,
                };
                respond(&mut channel, answer.map(wire::VoteResponse::from)).await
            }
            methods::SNAPSHOT => self.snapshot(caller, channel).await,
            methods::TRANSFER => {
                let request: wire::TransferRequest = request(&mut channel).await?;
                same(caller, request.from.node)?;
                let answer = match self.raft.handle_transfer_leader(request.into()).await {
                    Ok(accepted) => accepted.map_err(|error| error.to_string()),
                    Err(fatal) => Err(fatal.to_string()),
                };
                respond(&mut channel, answer).await
            }
            unknown => Err(ServeError::Method(unknown)),
        }
    }

    /// A standby that has no log yet knows no group, and a voter that was off for long knows an old one: so the
    /// role in the replicated membership counts as well.
    fn admit(&self, caller: Caller) -> Result<NodeId, ServeError> {
        let known = |id: NodeId| {
            let metrics =
                openraft::async_runtime::watch::WatchReceiver::borrow_watched(&self.raft.server_metrics()).clone();
            metrics.membership_config.get_node(&id).is_some()
        };
        match caller {
            Caller::Member(id, Role::Voter | Role::Standby) => Ok(id),
            Caller::Member(id, Role::Worker) if known(id) => Ok(id),
            Caller::Member(..) | Caller::Anonymous => Err(ServeError::Stranger),
        }
    }

    async fn append(&self, caller: NodeId, channel: Channel) -> Result<(), ServeError> {
        let (receiver, mut sender) = channel.split();
        let contact = self.contact.clone();
        let requests = futures::stream::unfold(receiver, move |mut receiver| {
            let contact = contact.clone();
            async move {
                let request = next_append(caller, &mut receiver).await;
                let request = request.inspect_err(|error| debug!(%error, %caller, "append channel ended")).ok()??;
                contact.heard();
                Some((request, receiver))
            }
        });
        let mut answers = Box::pin(self.raft.stream_append(Box::pin(requests)));
        while let Some(answer) = answers.next().await {
            sender.send(&reply(answer.map(wire::AppendResponse::from))).await?;
        }
        Ok(sender.finish().await?)
    }

    async fn snapshot(&self, caller: NodeId, mut channel: Channel) -> Result<(), ServeError> {
        let header: wire::SnapshotHeader = request(&mut channel).await?;
        same(caller, header.vote.node)?;
        let meta = convert::meta_from_wire(header.meta.clone()).map_err(ServeError::Invalid)?;
        let mut incoming = self.snapshots.receive(&header)?;
        while let Some(piece) = timeout(PIECE_LIMIT, channel.receive()).await.map_err(|_| ServeError::Silent)?? {
            self.contact.heard();
            incoming.write(&piece)?;
        }
        let snapshot: SnapshotData = incoming.finish()?;
        let snapshot = SnapshotOf::<TypeConfig, SnapshotData> { meta, snapshot };
        let answer = self.raft.install_full_snapshot(header.vote.into(), snapshot).await;
        respond(&mut channel, answer.map(|answer| wire::Vote::from(answer.vote))).await
    }
}

fn same(caller: NodeId, named: u64) -> Result<(), ServeError> {
    if caller.0 == named { Ok(()) } else { Err(ServeError::Disguised(NodeId(named))) }
}

async fn next_append(
    caller: NodeId,
    receiver: &mut channel::Receiver,
) -> Result<Option<AppendEntriesRequest<TypeConfig>>, ServeError> {
    let Some(frame) = receiver.receive().await? else { return Ok(None) };
    let request: wire::AppendRequest = codec::decode(&frame)?;
    same(caller, request.vote.node)?;
    convert::append_from_wire(request).map(Some).map_err(ServeError::Invalid)
}

async fn request<Q: serde::de::DeserializeOwned>(channel: &mut Channel) -> Result<Q, ServeError> {
    let frame = timeout(REQUEST_LIMIT, channel.receive()).await.map_err(|_| ServeError::Silent)??;
    Ok(codec::decode(&frame.ok_or(ServeError::Silent)?)?)
}

fn reply<A: Serialize, E: ToString>(answer: Result<A, E>) -> bytes::Bytes {
    codec::encode(&match answer {
        Ok(answer) => Reply::Ok(answer),
        Err(error) => Reply::Failed(error.to_string()),
    })
}

async fn respond<A: Serialize, E: ToString>(channel: &mut Channel, answer: Result<A, E>) -> Result<(), ServeError> {
    channel.send(&reply(answer)).await?;
    Ok(channel.finish().await?)
}
