//! Framed byte channels between nodes: the one shape of every exchange, over QUIC or in a simulation.
//!
//! A frame is a little-endian `u32` length and that many bytes. A unary call is one frame each way.

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{Caller, NodeId};

/// Largest frame accepted, in bytes: a full batch of log entries with room to spare. Larger things travel in chunks.
pub const FRAME_LIMIT: usize = 16 << 20;

/// What a connection is for; one ALPN each, so that a caller is judged before its first byte is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// `mesh/join/1`: becoming a member. The only one open to strangers.
    Join,
    /// `mesh/raft/1`: agreement among those who hold the log.
    Raft,
    /// `mesh/rpc/1`: questions and proposals to the quorum.
    Rpc,
    /// `mesh/gossip/1`: liveness.
    Gossip,
    /// `mesh/pipe/1`: raw TCP bytes to an API server.
    Pipe,
    /// `mesh/pods/1`: pods' packets, as datagrams, between the endpoints that are for nothing else.
    Pods,
}

/// Names one call within a [`Protocol`]; the numbers are on the wire and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Method(pub u16);

/// Both directions of one exchange.
pub struct Channel {
    reader: Box<dyn AsyncRead + Send + Sync + Unpin>,
    writer: Box<dyn AsyncWrite + Send + Sync + Unpin>,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Channel")
    }
}

/// Why a frame could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The peer announced or we tried a frame over [`FRAME_LIMIT`].
    #[error("frame of {0} bytes is over the limit")]
    TooLarge(usize),
    /// The connection broke or ended within a frame.
    #[error("channel broke")]
    Broken(#[from] io::Error),
}

impl Channel {
    /// A channel over any pair of byte streams.
    pub fn new(
        reader: impl AsyncRead + Send + Sync + Unpin + 'static,
        writer: impl AsyncWrite + Send + Sync + Unpin + 'static,
    ) -> Self {
        Self { reader: Box::new(reader), writer: Box::new(writer) }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// [`ChannelError`]; the channel is then of no more use.
    pub async fn send(&mut self, frame: &[u8]) -> Result<(), ChannelError> {
        send_frame(&mut self.writer, frame).await
    }

    /// Receives one frame; `None` where the peer has finished.
    ///
    /// # Errors
    /// [`ChannelError`]; the channel is then of no more use.
    pub async fn receive(&mut self) -> Result<Option<Bytes>, ChannelError> {
        receive_frame(&mut self.reader, FRAME_LIMIT).await
    }

    /// As [`Channel::receive`], for a peer that deserves less than [`FRAME_LIMIT`].
    ///
    /// # Errors
    /// [`ChannelError`].
    pub async fn receive_within(&mut self, limit: usize) -> Result<Option<Bytes>, ChannelError> {
        receive_frame(&mut self.reader, limit.min(FRAME_LIMIT)).await
    }

    /// Tells the peer that no more frames follow.
    ///
    /// # Errors
    /// [`ChannelError::Broken`].
    pub async fn finish(&mut self) -> Result<(), ChannelError> {
        Ok(self.writer.shutdown().await?)
    }

    /// The two directions apart, for exchanges that stream both ways at once.
    pub fn split(self) -> (Receiver, Sender) {
        (Receiver(self.reader), Sender(self.writer))
    }

    /// The raw bytes of both directions, for pass-through.
    pub fn into_raw(self) -> (Box<dyn AsyncRead + Send + Sync + Unpin>, Box<dyn AsyncWrite + Send + Sync + Unpin>) {
        (self.reader, self.writer)
    }
}

/// The receiving half of a [`Channel`].
pub struct Receiver(Box<dyn AsyncRead + Send + Sync + Unpin>);

/// The sending half of a [`Channel`].
pub struct Sender(Box<dyn AsyncWrite + Send + Sync + Unpin>);

impl Receiver {
    /// As [`Channel::receive`].
    ///
    /// # Errors
    /// [`ChannelError`].
    pub async fn receive(&mut self) -> Result<Option<Bytes>, ChannelError> {
        receive_frame(&mut self.0, FRAME_LIMIT).await
    }
}

impl Sender {
    /// As [`Channel::send`].
    ///
    /// # Errors
    /// [`ChannelError`].
    pub async fn send(&mut self, frame: &[u8]) -> Result<(), ChannelError> {
        send_frame(&mut self.0, frame).await
    }

    /// As [`Channel::finish`].
    ///
    /// # Errors
    /// [`ChannelError::Broken`].
    pub async fn finish(&mut self) -> Result<(), ChannelError> {
        Ok(self.0.shutdown().await?)
    }
}

async fn send_frame(writer: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> Result<(), ChannelError> {
    if frame.len() > FRAME_LIMIT {
        return Err(ChannelError::TooLarge(frame.len()));
    }
    let mut buffer = BytesMut::with_capacity(4 + frame.len());
    buffer.extend_from_slice(&(frame.len() as u32).to_le_bytes());
    buffer.extend_from_slice(frame);
    writer.write_all(&buffer).await?;
    Ok(writer.flush().await?)
}

async fn receive_frame(reader: &mut (impl AsyncRead + Unpin), limit: usize) -> Result<Option<Bytes>, ChannelError> {
    let mut length = [0; 4];
    if reader.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    reader.read_exact(&mut length[1..]).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > limit {
        return Err(ChannelError::TooLarge(length));
    }
    let mut frame = BytesMut::zeroed(length);
    reader.read_exact(&mut frame).await?;
    Ok(Some(frame.freeze()))
}

/// Why no channel could be opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DialError {
    /// No address is known for it.
    #[error("node {0} is not a member")]
    Unknown(NodeId),
    /// No connection in time.
    #[error("node {node} is unreachable: {reason}")]
    Unreachable {
        /// Whom.
        node: NodeId,
        /// What the network said.
        reason: String,
    },
}

/// Opens channels to members; connections are pooled beneath.
pub trait Dial: Send + Sync + 'static {
    /// Opens a channel to a member and announces the method. The peer judges this node before it reads on.
    fn open(&self, to: NodeId, protocol: Protocol, method: Method) -> BoxFuture<'_, Result<Channel, DialError>>;
}

/// Serves the channels of one [`Protocol`], for callers that the caller table admits.
pub trait Serve: Send + Sync + 'static {
    /// Runs one exchange to its end.
    fn serve(self: Arc<Self>, caller: Caller, method: Method, channel: Channel) -> BoxFuture<'static, ()>;
}
