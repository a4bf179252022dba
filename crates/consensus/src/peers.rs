//! The calls openraft makes to other nodes, over [`net::Dial`]. Main type: [`Peers`].
//!
//! Replication is one long channel per follower on which requests are pipelined (Raft dissertation §10.2.1); the
//! rest are unary. Every call has a deadline: a peer that is silent is a peer that is gone.

use std::{future::Future, io, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use net::{Channel, ChannelError, Dial, DialError, Method, NodeId, Protocol};
use openraft::{
    OptionalSend, RaftNetworkFactory, RaftNetworkV2,
    alias::SnapshotOf,
    base::{BoxFuture, BoxStream},
    errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
        TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{sleep, timeout};

use crate::{
    codec::{self, DecodeError},
    convert,
    snapshot::SnapshotData,
    types::{TypeConfig, Vote},
    wire::{self, Reply, methods},
};

mod append;

/// How long opening a channel may take. Less than an election, so that a dead peer does not delay a vote round.
const OPEN_LIMIT: Duration = Duration::from_millis(500);

/// Pause after a failed append channel. openraft opens the next one at once, which a peer that refuses at once
/// would turn into a busy loop.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Why a call gave no answer. None of them says whether the peer has acted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("no channel")]
    Dial(#[from] DialError),
    #[error("channel failed")]
    Channel(#[from] ChannelError),
    #[error("peer ended the channel without an answer")]
    NoAnswer,
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("answer not understood")]
    Decode(#[from] DecodeError),
    #[error("peer failed: {0}")]
    Remote(String),
    #[error("local snapshot not readable")]
    Local(#[from] io::Error),
}

/// Makes one [`Peer`] per follower and task.
#[derive(Clone)]
pub(crate) struct Peers(pub(crate) Arc<dyn Dial>);

/// One other node, as openraft reaches it.
pub(crate) struct Peer {
    dial: Arc<dyn Dial>,
    id: NodeId,
    /// An append channel with no answer due. Each heartbeat is a stream of one request to openraft, and would open one.
    kept: append::Kept,
}

/// Opens a channel, or fails in time.
pub(crate) async fn open(
    dial: &dyn Dial,
    to: NodeId,
    protocol: Protocol,
    method: Method,
    limit: Duration,
) -> Result<Channel, CallError> {
    Ok(timeout(limit, dial.open(to, protocol, method)).await.map_err(|_| CallError::Late(limit))??)
}

/// Sends one frame and awaits one.
pub(crate) async fn exchange(channel: &mut Channel, request: &[u8]) -> Result<bytes::Bytes, CallError> {
    channel.send(request).await?;
    channel.finish().await?;
    channel.receive().await?.ok_or(CallError::NoAnswer)
}

impl Peer {
    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        request: &Q,
        limit: Duration,
    ) -> Result<A, CallError> {
        let call = async {
            let mut channel = open(&*self.dial, self.id, Protocol::Raft, method, limit).await?;
            let answer = exchange(&mut channel, &codec::encode(request)).await?;
            unwrap_reply(&answer)
        };
        timeout(limit, call).await.map_err(|_| CallError::Late(limit))?
    }

    async fn send_snapshot(
        &self,
        header: wire::SnapshotHeader,
        snapshot: SnapshotData,
    ) -> Result<wire::Vote, CallError> {
        let mut channel = open(&*self.dial, self.id, Protocol::Raft, methods::SNAPSHOT, OPEN_LIMIT).await?;
        channel.send(&codec::encode(&header)).await?;
        let mut pieces = snapshot.pieces();
        while let Some(piece) = pieces.next().await {
            channel.send(&piece?).await?;
        }
        channel.finish().await?;
        let answer = channel.receive().await?.ok_or(CallError::NoAnswer)?;
        unwrap_reply(&answer)
    }
}

fn unwrap_reply<A: DeserializeOwned>(frame: &[u8]) -> Result<A, CallError> {
    match codec::decode::<Reply<A>>(frame)? {
        Reply::Ok(answer) => Ok(answer),
        Reply::Failed(reason) => Err(CallError::Remote(reason)),
    }
}

/// With a pause before the next try: the peer was not reached.
fn unreachable_peer(error: CallError) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::new(&error))
}

/// Tried again soon: the peer was there a moment ago.
fn broken(error: CallError) -> RPCError<TypeConfig> {
    RPCError::Network(NetworkError::new(&error))
}

impl RaftNetworkFactory<TypeConfig> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: NodeId, _node: &()) -> Peer {
        Peer { dial: self.0.clone(), id: target, kept: append::Kept::default() }
    }
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let request = convert::append_to_wire(request);
        let answer: wire::AppendResponse =
            self.call(methods::APPEND, &request, option.soft_ttl()).await.map_err(unreachable_peer)?;
        Ok(StreamAppendResult::<TypeConfig>::from(answer).into())
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>>, RPCError<TypeConfig>>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            let kept = self.kept.lock().take();
            let (receiver, sender) = match kept {
                Some(halves) => halves,
                None => match open(&*self.dial, self.id, Protocol::Raft, methods::APPEND, OPEN_LIMIT).await {
                    Ok(channel) => channel.split(),
                    Err(error) => {
                        sleep(RETRY_PAUSE).await;
                        return Err(unreachable_peer(error));
                    }
                },
            };
            Ok(Box::pin(append::answers(input, receiver, sender, self.kept.clone())) as BoxStream<'s, _>)
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let request = wire::VoteRequest::from(request);
        let answer = self.call::<_, wire::VoteResponse>(methods::VOTE, &request, option.soft_ttl()).await;
        answer.map(Into::into).map_err(unreachable_peer)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let request = wire::VoteRequest::from(request);
        let answer = self.call::<_, wire::VoteResponse>(methods::PRE_VOTE, &request, option.soft_ttl()).await;
        answer.map(Into::into).map_err(unreachable_peer)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<TypeConfig, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let limit = option.soft_ttl();
        let meta = convert::meta_to_wire(&snapshot.meta);
        let header = wire::SnapshotHeader { vote: vote.into(), meta, length: snapshot.snapshot.length() };
        let send = timeout(limit, self.send_snapshot(header, snapshot.snapshot));
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = send => match sent.unwrap_or(Err(CallError::Late(limit))) {
                Ok(vote) => Ok(SnapshotResponse::new(vote.into())),
                Err(error) => Err(StreamingError::Unreachable(Unreachable::new(&error))),
            },
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let request = wire::TransferRequest::from(request);
        self.call::<_, ()>(methods::TRANSFER, &request, option.soft_ttl()).await.map_err(unreachable_peer)?;
        Ok(Ok(()))
    }
}
