//! What becomes of a packet that a path cannot carry: TCP is cut into smaller segments (RFC 9293 §3.1), of anything else the
//! sender is told (RFC 1191 §4, RFC 8201 §3). Pure.

use super::packet::{ICMP_V4, ICMP_V6, TCP, V4_HEADER, V6_HEADER, be16, fold, header_v4, pseudo, put16, seal_v4, sum};

/// How much of a packet its sender is shown: all of it, as long as the answer stays below what every IPv6 path carries
/// (RFC 4443 §2.4), and what IPv4 hosts look at (RFC 1812 §4.3.2.3).
const QUOTED_V6: usize = 1280 - V6_HEADER - 8;
const QUOTED_V4: usize = 576 - V4_HEADER - 8;

/// Hops that our own answers may take.
const TTL: u8 = 64;

/// TCP flags that only the last of several segments keeps, and only the first.
const FIN_AND_PSH: u8 = 0x09;
const CWR: u8 = 0x80;
const SYN_OR_RST_OR_URG: u8 = 0x26;

/// What can be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// These packets say the same.
    Cut(Vec<Vec<u8>>),
    /// This goes back to the sender.
    Answer(Vec<u8>),
    /// Nothing.
    Drop,
}

/// Of a whole packet that is longer than the path's `limit`, in bytes.
pub(super) fn fit(packet: &[u8], limit: usize) -> Fit {
    if let Some(segments) = cut(packet, limit) {
        return Fit::Cut(segments);
    }
    let answer = match packet.first().map(|first| first >> 4) {
        Some(4) => too_big_v4(packet, limit),
        Some(6) => too_big_v6(packet, limit),
        _ => None,
    };
    answer.map_or(Fit::Drop, Fit::Answer)
}

/// Where the TCP header of a packet begins, if it is plain TCP in one piece.
fn tcp_start(packet: &[u8]) -> Option<usize> {
    match packet.first()? >> 4 {
        // Neither a fragment nor the first of some.
        4 if packet.len() >= V4_HEADER && packet[9] == TCP && be16(packet, 6) & 0x3fff == 0 => header_v4(packet),
        6 if packet.len() >= V6_HEADER && packet[6] == TCP => Some(V6_HEADER),
        _ => None,
    }
}

fn cut(packet: &[u8], limit: usize) -> Option<Vec<Vec<u8>>> {
    let tcp = tcp_start(packet)?;
    let header = tcp + usize::from(packet.get(tcp + 12)? >> 4) * 4;
    if header < tcp + 20 || header >= packet.len() || header >= limit || packet[tcp + 13] & SYN_OR_RST_OR_URG != 0 {
        return None;
    }
    let (head, payload) = packet.split_at(header);
    let last = payload.len().div_ceil(limit - header) - 1;
    let pieces = payload.chunks(limit - header).enumerate();
    Some(pieces.map(|(place, piece)| segment(head, tcp, place, place == last, piece, limit - header)).collect())
}

/// One segment of several, each but the last with `step` bytes.
fn segment(head: &[u8], tcp: usize, place: usize, is_last: bool, piece: &[u8], step: usize) -> Vec<u8> {
    let mut packet = [head, piece].concat();
    let length = packet.len();
    if packet[0] >> 4 == 4 {
        put16(&mut packet, 2, length as u16);
        let id = be16(head, 4).wrapping_add(place as u16);
        put16(&mut packet, 4, id);
        seal_v4(&mut packet[..tcp]);
    } else {
        put16(&mut packet, 4, (length - V6_HEADER) as u16);
    }
    let sequence = u32::from_be_bytes([head[tcp + 4], head[tcp + 5], head[tcp + 6], head[tcp + 7]]);
    let sequence = sequence.wrapping_add((place * step) as u32);
    packet[tcp + 4..tcp + 8].copy_from_slice(&sequence.to_be_bytes());
    packet[tcp + 13] &= if is_last { 0xff } else { !FIN_AND_PSH };
    packet[tcp + 13] &= if place == 0 { 0xff } else { !CWR };
    put16(&mut packet, tcp + 16, 0);
    let checksum = fold(pseudo(&packet, TCP, length - tcp) + sum(&packet[tcp..]));
    put16(&mut packet, tcp + 16, checksum);
    packet
}

/// "Fragmentation needed", in the name of the destination.
fn too_big_v4(packet: &[u8], limit: usize) -> Option<Vec<u8>> {
    let header = header_v4(packet).filter(|_| packet.len() >= V4_HEADER)?;
    let is_first = be16(packet, 6) & 0x1fff == 0;
    // Never about an error message, nor about a later fragment (RFC 1122 §3.2.2).
    let is_error = packet[9] == ICMP_V4 && !matches!(packet.get(header), Some(0 | 8));
    if !is_first || is_error {
        return None;
    }
    let quoted = &packet[..packet.len().min(QUOTED_V4)];
    let mut answer = vec![0; V4_HEADER + 8];
    answer.extend_from_slice(quoted);
    answer[0] = 0x45;
    let length = answer.len() as u16;
    put16(&mut answer, 2, length);
    (answer[8], answer[9]) = (TTL, ICMP_V4);
    answer[12..16].copy_from_slice(&packet[16..20]);
    answer[16..20].copy_from_slice(&packet[12..16]);
    seal_v4(&mut answer[..V4_HEADER]);
    (answer[V4_HEADER], answer[V4_HEADER + 1]) = (3, 4);
    put16(&mut answer, V4_HEADER + 6, limit as u16);
    let checksum = fold(sum(&answer[V4_HEADER..]));
    put16(&mut answer, V4_HEADER + 2, checksum);
    Some(answer)
}

/// "Packet too big", in the name of the destination.
fn too_big_v6(packet: &[u8], limit: usize) -> Option<Vec<u8>> {
    // Errors have types below 128 (RFC 4443 §2.1).
    let is_error = packet.len() > V6_HEADER && packet[6] == ICMP_V6 && packet[V6_HEADER] < 128;
    if packet.len() < V6_HEADER || is_error {
        return None;
    }
    let quoted = &packet[..packet.len().min(QUOTED_V6)];
    let mut answer = vec![0; V6_HEADER + 8];
    answer.extend_from_slice(quoted);
    answer[0] = 0x60;
    let length = answer.len() - V6_HEADER;
    put16(&mut answer, 4, length as u16);
    (answer[6], answer[7]) = (ICMP_V6, TTL);
    answer[8..24].copy_from_slice(&packet[24..40]);
    answer[24..40].copy_from_slice(&packet[8..24]);
    answer[V6_HEADER] = 2;
    answer[V6_HEADER + 4..V6_HEADER + 8].copy_from_slice(&(limit as u32).to_be_bytes());
    let checksum = fold(pseudo(&answer, ICMP_V6, length) + sum(&answer[V6_HEADER..]));
    put16(&mut answer, V6_HEADER + 2, checksum);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::packet::ends;

    /// A TCP packet with so many bytes of payload.
    fn tcp(v6: bool, flags: u8, payload: usize) -> Vec<u8> {
        let start = if v6 { V6_HEADER } else { V4_HEADER };
        let mut packet = vec![0; start + 20 + payload];
        let length = packet.len();
        if v6 {
            (packet[0], packet[6], packet[7], packet[23], packet[39]) = (0x60, TCP, 64, 1, 2);
            put16(&mut packet, 4, (length - V6_HEADER) as u16);
        } else {
            (packet[0], packet[8], packet[9], packet[15], packet[19]) = (0x45, 64, TCP, 1, 2);
            put16(&mut packet, 2, length as u16);
            put16(&mut packet, 6, 0x4000);
            seal_v4(&mut packet[..V4_HEADER]);
        }
        (packet[start + 12], packet[start + 13]) = (0x50, flags);
        packet[start + 4..start + 8].copy_from_slice(&(u32::MAX - 99).to_be_bytes());
        packet[start + 20..].iter_mut().enumerate().for_each(|(place, byte)| *byte = place as u8);
        packet
    }

    /// The sum over a packet with a right checksum folds to zero.
    fn is_sealed(packet: &[u8], protocol: u8, start: usize) -> bool {
        let over = if protocol == ICMP_V4 { 0 } else { pseudo(packet, protocol, packet.len() - start) };
        let header = packet[0] >> 4 == 6 || fold(sum(&packet[..start])) == 0;
        header && fold(over + sum(&packet[start..])) == 0
    }

    #[test]
    fn tcp_is_cut_into_segments_that_say_the_same() {
        for v6 in [false, true] {
            let start = if v6 { V6_HEADER } else { V4_HEADER };
            let packet = tcp(v6, 0x99, 2500);
            let Fit::Cut(segments) = fit(&packet, 1000) else { panic!("cut") };
            assert!(segments.len() == 3 && segments.iter().all(|one| one.len() <= 1000 && is_sealed(one, TCP, start)));
            let flags: Vec<u8> = segments.iter().map(|one| one[start + 13]).collect();
            assert_eq!(flags, [0x90, 0x10, 0x19], "CWR at first, PSH and FIN at last");
            let sequence = |one: &Vec<u8>| u32::from_be_bytes(one[start + 4..start + 8].try_into().unwrap());
            let step = 1000 - start as u32 - 20;
            assert_eq!(segments.iter().map(sequence).collect::<Vec<_>>(), [u32::MAX - 99, step - 100, 2 * step - 100]);
            assert_eq!(
                segments.iter().flat_map(|one| one[start + 20..].to_vec()).collect::<Vec<_>>(),
                packet[start + 20..]
            );
            assert!(segments.iter().all(|one| ends(one) == ends(&packet)));
        }
    }

    #[test]
    fn of_anything_else_the_sender_is_told() {
        for (v6, flags) in [(false, 0x02), (true, 0x02)] {
            let packet = tcp(v6, flags, 1400);
            let (start, protocol) = if v6 { (V6_HEADER, ICMP_V6) } else { (V4_HEADER, ICMP_V4) };
            let Fit::Answer(answer) = fit(&packet, 1300) else { panic!("an answer") };
            let (source, destination) = ends(&packet).unwrap();
            assert_eq!(ends(&answer), Some((destination, source)));
            assert!(is_sealed(&answer, protocol, start));
            assert_eq!(be16(&answer, start + 6), 1300);
            assert!(answer[start + 8..] == packet[..answer.len() - start - 8] && answer.len() <= 1280);
            assert_eq!(fit(&answer, 100), Fit::Drop, "never about an error");
        }
        let mut fragment = tcp(false, 0x10, 1400);
        put16(&mut fragment, 6, 0x0010);
        assert_eq!(fit(&fragment, 1300), Fit::Drop);
    }

    #[test]
    fn nonsense_is_dropped() {
        for packet in [&[][..], &[0x45], &[0x60; 39], &[0xff; 60], &tcp(false, 0x10, 0)[..30]] {
            assert!(matches!(fit(packet, 1), Fit::Drop | Fit::Answer(_)), "{packet:?}");
        }
        let mut packet = tcp(true, 0x10, 100);
        packet[V6_HEADER + 12] = 0xf0;
        assert!(matches!(fit(&packet, 60), Fit::Answer(_)), "a header that does not fit is not cut");
    }
}
