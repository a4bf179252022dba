//! One echo (ping): does the kernel at this address answer, and how fast? See RFC 792 and RFC 4443 §4.1.
//!
//! To another node's overlay address the packet goes through the pods' tunnel, there and back, as any pod's does. Needs
//! `CAP_NET_RAW`. Leaves out everything but the answer: an unreachable address is one that does not answer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, connect, recv, send, setsockopt,
    socket, sockopt::ReceiveTimeout,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// Bytes after the header, as ping(8) sends: an answer cannot be guessed.
const PAYLOAD: usize = 56;

/// Longest answer that is looked at, in bytes: IPv4's header with options, ours and the payload.
const ANSWER_LIMIT: usize = 256;

/// Types of the question and of its answer.
const TYPES: fn(bool) -> (u8, u8) = |ipv4| if ipv4 { (8, 0) } else { (128, 129) };

/// Asks and waits for the answer, in the calling thread.
///
/// # Errors
/// The system's; [`io::ErrorKind::TimedOut`] where nothing came back in time.
pub fn echo(to: IpAddr, limit: Duration) -> io::Result<Duration> {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    // The kernel hands over only what comes from there.
    connect(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(to, 0)))?;
    let question = question(to.is_ipv4(), rand::random(), rand::random());
    let asked = Instant::now();
    send(socket.as_raw_fd(), &question, MsgFlags::empty())?;
    loop {
        let left = limit.saturating_sub(asked.elapsed());
        let micros = i64::try_from(left.as_micros()).unwrap_or(i64::MAX);
        if micros == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        setsockopt(&socket, ReceiveTimeout, &TimeVal::microseconds(micros))?;
        let mut packet = [0; ANSWER_LIMIT];
        match recv(socket.as_raw_fd(), &mut packet, MsgFlags::empty()) {
            Ok(length) if answers(to.is_ipv4(), &packet[..length], &question) => return Ok(asked.elapsed()),
            // Somebody else's answer, or a look at the clock.
            Ok(_) | Err(nix::Error::EAGAIN | nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// An echo request: type, code, checksum, identifier, sequence number, payload.
fn question(ipv4: bool, identifier: [u8; 4], payload: [u8; PAYLOAD]) -> Vec<u8> {
    let mut question = vec![TYPES(ipv4).0, 0, 0, 0];
    question.extend(identifier);
    question.extend(payload);
    if ipv4 {
        // IPv6's covers the addresses too, and is the kernel's matter.
        let sum = checksum(&question).to_be_bytes();
        question[2..4].copy_from_slice(&sum);
    }
    question
}

/// Whether a packet answers this question. A raw IPv4 socket hands over the IP header too.
fn answers(ipv4: bool, packet: &[u8], question: &[u8]) -> bool {
    let header = if ipv4 { packet.first().map_or(0, |first| usize::from(first & 0xf) * 4) } else { 0 };
    let Some(answer) = packet.get(header..) else { return false };
    answer.first() == Some(&TYPES(ipv4).1) && answer.get(4..) == question.get(4..)
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let sum: u32 = words.sum();
    let folded = (sum >> 16) + (sum & 0xffff);
    // Folded twice, the sum has 16 bits.
    let sum = (folded + (folded >> 16)) as u16;
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_sums_up_and_only_its_own_answer_counts() {
        let question = question(true, [1, 2, 3, 4], [7; PAYLOAD]);
        assert_eq!((checksum(&question), question[0]), (0, 8));
        let packet = |kind: u8, change: usize| {
            let mut packet = [&[0x45; 20], question.as_slice()].concat();
            packet[20] = kind;
            packet[change] ^= 1;
            packet
        };
        assert!(answers(true, &packet(0, 22), &question), "the checksum differs");
        assert!(!answers(true, &packet(8, 22), &question), "a question is no answer");
        assert!(!answers(true, &packet(0, 27), &question), "another sequence number");
        assert!(!answers(true, &packet(0, 60), &question), "another payload");
        assert!(!answers(true, &[0x4f; 8], &question) && !answers(true, &[], &question), "cut off");
    }

    #[test]
    fn loopback_answers_where_we_may_ask() {
        for to in [IpAddr::from([127, 0, 0, 1]), "::1".parse().unwrap()] {
            match echo(to, Duration::from_secs(5)) {
                Ok(took) => assert!(took < Duration::from_secs(5)),
                Err(error) => assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{to}"),
            }
        }
    }
}
