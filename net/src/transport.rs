//! QUIC as the control endpoint uses it: timers, windows and the sockets beneath.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use quinn::{TransportConfig, VarInt};
use ring::hmac;

use crate::{Identity, key::sha256};

/// A peer that says nothing for so long is taken for gone; half of what a Kubernetes lease tolerates.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Several keep-alives fit the idle timeout, so that lost packets do not end a connection.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// First guess, which times the retransmission of a lost handshake; the default is for the open internet.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Streams that a peer may have open before it has been judged: one, which a joiner needs.
pub(crate) const STREAMS_UNJUDGED: u32 = 1;

/// Streams that a member may have open per connection: far above raft's few and the API connections one node pipes.
pub(crate) const STREAMS: u32 = 2048;

/// Unread bytes per stream; a frame of 16 MiB passes through it while it is read.
const STREAM_WINDOW: u32 = 2 << 20;

/// Unread bytes per connection: what one peer can make this node hold.
pub(crate) const CONNECTION_WINDOW: u32 = 32 << 20;

/// The same before it has been judged: a join request, twice over.
pub(crate) const CONNECTION_WINDOW_UNJUDGED: u32 = 64 << 10;

/// Bytes of a connection id: QUIC asks for at least 8 where they are random (RFC 9000 §5.1).
const ID_LENGTH: usize = 8;

/// The same for both ends, but for the streams that a peer may open and the bytes it may send unread.
pub(crate) fn config(peer_streams: u32, window: u32) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().expect("5 s fit QUIC's 62 bits of milliseconds")))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(INITIAL_RTT)
        .max_concurrent_bidi_streams(VarInt::from_u32(peer_streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(window))
        .datagram_receive_buffer_size(None);
    Arc::new(config)
}

/// Endpoint settings. The reset key is derived from the node's key, so that a restarted node can tell its peers
/// at once that their old connections are gone (RFC 9000 §10.3), instead of leaving them to the idle timeout.
pub(crate) fn endpoint_config(identity: &Identity) -> quinn::EndpointConfig {
    let seed = sha256(&[b"mesh quic stateless reset 1", &identity.key().to_pkcs8()]);
    let mut config = quinn::EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &seed)));
    config.cid_generator(|| Box::new(RandomIds));
    config
}

/// Random connection ids. The default ones carry a mark of the running process, and packets without it are dropped
/// unanswered, those for its predecessor among them.
struct RandomIds;

impl quinn::ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> quinn::ConnectionId {
        quinn::ConnectionId::new(&rand::random::<[u8; ID_LENGTH]>())
    }

    fn cid_len(&self) -> usize {
        ID_LENGTH
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// A UDP port could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has it.
    #[error("{address}/udp is in use by another process: stop that, or choose another with {flag}")]
    InUse {
        /// The address asked for.
        address: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
    },
    /// The system refused otherwise.
    #[error("cannot listen on {address}/udp, which {flag} sets")]
    Io {
        /// The address asked for.
        address: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Binds the control port, naming the flag that set it where that fails.
///
/// # Errors
/// [`BindError`].
pub fn bind(address: SocketAddr, flag: &'static str) -> Result<std::net::UdpSocket, BindError> {
    std::net::UdpSocket::bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address, flag },
        _ => BindError::Io { address, flag, source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_told_with_its_address_and_flag() {
        let first = bind("127.0.0.1:0".parse().unwrap(), "--listen").unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address, "--listen").unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("--listen"), "{error}");
    }
}
