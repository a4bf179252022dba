//! Sockets to listen at, which another process of the same user may listen at too (`SO_REUSEPORT`, socket(7)): so a server takes
//! over from another one without a gap.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

/// Connections that wait to be taken; what tokio and the standard library ask for, too.
const BACKLOG: i32 = 1024;

/// Takes questions in single packets.
pub(super) fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::from_std(bound(address, Type::DGRAM, Protocol::UDP)?.into())
}

/// Takes connections.
pub(super) fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address, Type::STREAM, Protocol::TCP)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn bound(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if protocol == Protocol::TCP {
        socket.set_reuse_address(true)?; // a server that ended leaves connections behind for a minute
    }
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
