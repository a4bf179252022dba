//! Datagrams from elsewhere than a UDP socket: how a simulated network carries the real endpoint.

use std::{
    fmt::Debug,
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};

/// Carries datagrams, unreliably.
pub trait Datagrams: Send + Sync + Debug + 'static {
    /// Sends one datagram or loses it; must not block.
    ///
    /// # Errors
    /// Where the network is gone for good.
    fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()>;

    /// Receives one datagram into `buffer`; tells its length and sender, or wakes `context` later.
    fn poll_receive(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>>;

    /// Where peers reach this end.
    ///
    /// # Errors
    /// Where the network does not know.
    fn local_address(&self) -> io::Result<SocketAddr>;
}

/// Shows [`Datagrams`] as the socket that quinn wants.
#[derive(Debug)]
pub(crate) struct Adapter(pub(crate) Arc<dyn Datagrams>);

/// Sending never has to wait.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for Adapter {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.send(transmit.contents, transmit.destination)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (buffers.first_mut(), meta.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        self.0.poll_receive(context, buffer).map_ok(|(length, from)| {
            *meta = RecvMeta { addr: from, len: length, stride: length, ..RecvMeta::default() };
            1
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_address()
    }
}

#[cfg(test)]
mod tests;
