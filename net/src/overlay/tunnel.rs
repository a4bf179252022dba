//! The way to one peer: batches of packets in and out. Main type: [`Tunnel`]; whatever carries packets otherwise takes its place.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt;
use quinn::{Connection, ConnectionError, SendDatagramError, VarInt};
use tokio::time::timeout;

/// Packets of one batch at most: a super-packet of 64 KiB and some.
pub(super) const BATCH: usize = 64;

/// A tunnel that takes no packet for so long takes none for now: others must not wait for it.
const PATIENCE: Duration = Duration::from_millis(20);

/// Each side greets the other with a packet as long as any, and takes the tunnel into use when it has been greeted. So the other one has
/// judged it a member, and the path carries packets of this length. After this byte, which begins no IP packet, comes the sender's
/// instance in 8 bytes, big-endian; the rest is zero.
const GREETING: u8 = 0;

/// A greeting takes a round trip; a lost one costs a new connection.
const GREETING_TIMEOUT: Duration = Duration::from_secs(1);

/// No greeting came.
#[derive(Debug, thiserror::Error)]
pub(super) enum GreetingError {
    /// The peer hung up.
    #[error(transparent)]
    Closed(#[from] ConnectionError),
    /// It could not be sent.
    #[error(transparent)]
    Send(#[from] SendDatagramError),
    /// It was lost, or is too long for the path.
    #[error("no packet of {0} bytes passed within {GREETING_TIMEOUT:?}")]
    Timeout(usize),
}

/// Why a tunnel is closed, as its peer is told. The numbers are on the wire.
pub(super) mod code {
    use quinn::VarInt;

    /// The endpoint stops.
    pub(in crate::overlay) const STOPPED: VarInt = VarInt::from_u32(0);
    /// Not a member.
    pub(in crate::overlay) const REFUSED: VarInt = VarInt::from_u32(1);
    /// There is another one that both sides prefer.
    pub(in crate::overlay) const DUPLICATE: VarInt = VarInt::from_u32(2);
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tunnel {
    connection: Connection,
    is_stuck: AtomicBool,
}

impl Tunnel {
    /// Over a connection whose peer is proven.
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, is_stuck: AtomicBool::new(false) }
    }

    /// Whether it stands, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.connection.close_reason().is_none()
    }

    /// The largest packet that fits, in bytes; 0 where none does.
    pub(super) fn limit(&self) -> usize {
        self.connection.max_datagram_size().unwrap_or(0)
    }

    /// Greets the peer as this instance: a random number that a process has for life.
    pub(super) fn greet(&self, instance: u64) -> Result<(), GreetingError> {
        let mut greeting = vec![GREETING];
        greeting.extend_from_slice(&instance.to_be_bytes());
        greeting.resize(self.limit().max(greeting.len()), 0);
        Ok(self.connection.send_datagram(greeting.into())?)
    }

    /// Waits for the peer's greeting and tells its instance. What comes before is dropped.
    pub(super) async fn greeted(&self) -> Result<u64, GreetingError> {
        let greeting = async {
            loop {
                let packet = self.connection.read_datagram().await?;
                if let Some((&GREETING, rest)) = packet.split_first()
                    && let Some(instance) = rest.first_chunk()
                {
                    return Ok(u64::from_be_bytes(*instance));
                }
            }
        };
        timeout(GREETING_TIMEOUT, greeting).await.unwrap_or_else(|_| Err(GreetingError::Timeout(self.limit())))
    }

    /// Sends packets in their order, waiting a little while the tunnel is full. Tells how many were not sent.
    pub(super) async fn send(&self, packets: &mut Vec<Bytes>) -> usize {
        let count = packets.len();
        let length = packets.first().map_or(0, Bytes::len);
        if self.is_stuck.load(Ordering::Relaxed) && self.connection.datagram_send_buffer_space() < length {
            packets.clear();
            return count;
        }
        let mut sent = 0;
        let sending = async {
            for packet in packets.drain(..) {
                match self.connection.send_datagram_wait(packet).await {
                    Ok(()) => sent += 1,
                    Err(SendDatagramError::TooLarge) => {}
                    Err(_) => return,
                }
            }
        };
        let is_stuck = timeout(PATIENCE, sending).await.is_err();
        self.is_stuck.store(is_stuck, Ordering::Relaxed);
        count - sent
    }

    /// Receives packets into the batch, at least one and [`BATCH`] at most.
    pub(super) async fn receive(&self, batch: &mut Vec<Bytes>) -> Result<(), ConnectionError> {
        batch.push(self.connection.read_datagram().await?);
        while batch.len() < BATCH {
            match self.connection.read_datagram().now_or_never() {
                Some(Ok(packet)) => batch.push(packet),
                _ => break,
            }
        }
        Ok(())
    }

    /// Ends it and tells the peer why.
    pub(super) fn close(&self, code: VarInt, reason: &str) {
        self.connection.close(code, reason.as_bytes());
    }

    /// Why it ended.
    pub(super) async fn closed(&self) -> ConnectionError {
        self.connection.closed().await
    }
}
