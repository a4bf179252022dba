//! QUIC as the pods' endpoint uses it: datagrams only, no congestion control of its own, one fixed packet size.
//!
//! Measured against the defaults, this carries four times as much for a quarter of the CPU. What travels inside is mostly TCP, which is
//! controlled already: a second control around it costs three quarters of the throughput as soon as packets are lost.

use std::{
    any::Any,
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use nix::sys::socket::{setsockopt, sockopt};
use quinn::{
    AckFrequencyConfig, TransportConfig, VarInt,
    congestion::{Controller, ControllerFactory},
};

use crate::{BindError, Identity, bind, transport::endpoint_config};

/// A peer that says nothing for so long is taken for gone. QUIC counts from the first packet that we sent in vain, up to
/// [`KEEP_ALIVE`] after the last one that came, so that 3 s is what it comes to.
const IDLE_TIMEOUT: Duration = Duration::from_millis(2500);

/// Several fit the idle timeout, so that lost packets do not end a connection.
const KEEP_ALIVE: Duration = Duration::from_millis(800);

/// First guess, which times the retransmission of a lost handshake.
const INITIAL_RTT: Duration = Duration::from_millis(50);

/// Bytes under way at most, per peer: a safeguard, not a control. 5 Gbit/s over a round trip of 100 ms.
const WINDOW: u64 = 64 << 20;

/// Bytes that wait to be sent, per peer: a few super-packets. More would only be delay.
const SEND_BUFFER: usize = 1 << 20;

/// Bytes that wait to be written to the TUN device, per peer.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Datagrams that one acknowledgement covers: nobody waits for it, it only keeps the books short.
const ACKNOWLEDGE_EVERY: u32 = 64;

/// An acknowledgement comes after so long at the latest.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(5);

/// Bytes around a packet: type (1), connection id (8), packet number (4), tag (16), and the datagram frame's type and length (9).
const OVERHEAD: u16 = 38;

/// The kernel keeps so many bytes for the socket, each way: what arrives within a few ms at full speed.
const SOCKET_BUFFER: usize = 8 << 20;

/// Settings of all connections whose packets are up to `mtu` bytes long inside.
pub(super) fn config(mtu: u16) -> Arc<TransportConfig> {
    let mut acknowledgements = AckFrequencyConfig::default();
    acknowledgements
        .ack_eliciting_threshold(VarInt::from_u32(ACKNOWLEDGE_EVERY))
        .max_ack_delay(Some(ACKNOWLEDGE_AFTER));
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().expect("2.5 s fit QUIC's 62 bits of milliseconds")))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(INITIAL_RTT)
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        // Discovery takes a burst of losses for a black hole, cuts the size below the packets', and nothing passes any more.
        .mtu_discovery_config(None)
        .initial_mtu(outer(mtu))
        .min_mtu(outer(mtu))
        .ack_frequency_config(Some(acknowledgements))
        .congestion_controller_factory(Arc::new(Uncontrolled))
        .datagram_send_buffer_size(SEND_BUFFER)
        .datagram_receive_buffer_size(Some(RECEIVE_BUFFER));
    Arc::new(config)
}

/// Settings of the endpoint; see [`crate::transport`] for what it does about restarts.
pub(super) fn endpoint(identity: &Identity, mtu: u16) -> quinn::EndpointConfig {
    let mut config = endpoint_config(identity);
    config.max_udp_payload_size(outer(mtu)).expect("within QUIC's bounds: 1200 to 65527 bytes");
    config
}

/// A UDP payload that holds a packet of `mtu` bytes.
fn outer(mtu: u16) -> u16 {
    mtu.saturating_add(OVERHEAD).clamp(1200, 65_527)
}

/// Binds the pods' port, with room for bursts as far as the kernel allows.
pub(super) fn socket(address: SocketAddr) -> Result<UdpSocket, BindError> {
    let socket = bind(address, "--pods-listen")?;
    let forced = setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER)
        .and_then(|()| setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BUFFER));
    let set = forced.or_else(|_| {
        setsockopt(&socket, sockopt::RcvBuf, &SOCKET_BUFFER)?;
        setsockopt(&socket, sockopt::SndBuf, &SOCKET_BUFFER)
    });
    set.map_err(|error| BindError::Io { address, flag: "--pods-listen", source: io::Error::from(error) })?;
    Ok(socket)
}

/// A window that never closes in practice.
#[derive(Clone, Debug)]
struct Uncontrolled;

impl ControllerFactory for Uncontrolled {
    fn build(self: Arc<Self>, _: Instant, _: u16) -> Box<dyn Controller> {
        Box::new(Self)
    }
}

impl Controller for Uncontrolled {
    fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, _: u64) {}

    fn on_mtu_update(&mut self, _: u16) {}

    fn window(&self) -> u64 {
        WINDOW
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        WINDOW
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
