//! Ports that no other test uses: [`reserve`].

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};

/// Where ports are taken from: below what systems give to outgoing connections, so that a node that restarts finds its
/// own free.
const RANGE: std::ops::Range<u16> = 21_000..31_000;

/// Holds the next port to try; all tests of this machine share it.
const COUNTER: &str = "mesh-test-ports";

/// Where one node listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// UDP.
    pub control: SocketAddr,
    /// TCP.
    pub api: SocketAddr,
}

/// A node's ports: free now, and given to no other test until the whole range has been.
///
/// # Errors
/// Where all are taken.
pub fn reserve() -> Result<Ports> {
    let path = std::env::temp_dir().join(COUNTER);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.with_context(|| path.display().to_string())?;
    let mut file = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut next = text.trim().parse().ok().filter(|port| RANGE.contains(port)).unwrap_or(RANGE.start);
    for _ in RANGE.step_by(2) {
        let ports = Ports { control: local(next), api: local(next + 1) };
        next = if next + 2 < RANGE.end { next + 2 } else { RANGE.start };
        if is_free(&ports) {
            write(&mut file, next)?;
            return Ok(ports);
        }
    }
    bail!("no port of {RANGE:?} is free")
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn is_free(ports: &Ports) -> bool {
    UdpSocket::bind(ports.control).is_ok() && TcpListener::bind(ports.api).is_ok()
}

fn write(file: &mut File, next: u16) -> Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    Ok(file.write_all(next.to_string().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_the_same_ports() {
        assert_ne!(reserve().unwrap(), reserve().unwrap());
    }
}
