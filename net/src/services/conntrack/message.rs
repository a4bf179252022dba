//! Messages of ctnetlink: the two questions we ask, and the flows in the answers. Pure; hostile lengths are cut.
//!
//! Layout: netlink header (16 bytes, this machine's order), nfgenmsg (4), attributes (length, type, value, padded to 4);
//! ports and addresses in network order.

use std::net::{IpAddr, SocketAddr};

/// Length of a netlink header and of nfgenmsg.
const HEADERS: (usize, usize) = (16, 4);

/// NFNL_SUBSYS_CTNETLINK, in a message's type.
const SUBSYSTEM: u16 = 1 << 8;

/// IPCTNL_MSG_CT_GET and IPCTNL_MSG_CT_DELETE.
const GET: u16 = 1;
const DELETE: u16 = 2;

/// NLMSG_ERROR and NLMSG_DONE.
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// NLM_F_REQUEST | NLM_F_ACK, and NLM_F_REQUEST | NLM_F_DUMP.
const ASK: u16 = 0x1 | 0x4;
const ASK_ALL: u16 = 0x1 | 0x300;

/// NLA_F_NESTED, and the part of an attribute's type that is the type.
const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;

/// CTA_TUPLE_ORIG, CTA_TUPLE_REPLY; within: CTA_TUPLE_IP, CTA_TUPLE_PROTO.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const IP: u16 = 1;
const PROTO: u16 = 2;

/// AF_INET and AF_INET6.
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 10;

/// One tracked flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    /// IP protocol number.
    pub(super) protocol: u8,
    /// Who asks.
    pub(super) client: SocketAddr,
    /// Whom it thinks it asks.
    pub(super) asked: SocketAddr,
    /// Who answers.
    pub(super) answers: SocketAddr,
    /// Whom that one thinks it answers.
    pub(super) answered: SocketAddr,
    /// The original tuple as the kernel wrote it, which names the flow.
    pub(super) original: Vec<u8>,
}

/// Part of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Flow(Flow),
    Done,
    /// An errno, positive.
    Error(i32),
}

/// Asks for all flows.
pub(super) fn dump(sequence: u32) -> Vec<u8> {
    message(SUBSYSTEM | GET, ASK_ALL, sequence, 0, &[])
}

/// Asks that a flow be forgotten.
pub(super) fn delete(sequence: u32, flow: &Flow) -> Vec<u8> {
    let family = if flow.client.is_ipv4() { FAMILY_V4 } else { FAMILY_V6 };
    let length =
        u16::try_from(4 + flow.original.len()).expect("it was read from an attribute, whose length is 16 bits");
    let mut attribute = [length.to_ne_bytes(), (ORIGINAL | NESTED).to_ne_bytes()].concat();
    attribute.extend(&flow.original);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    message(SUBSYSTEM | DELETE, ASK, sequence, family, &attribute)
}

fn message(kind: u16, flags: u16, sequence: u32, family: u8, attributes: &[u8]) -> Vec<u8> {
    let length = HEADERS.0 + HEADERS.1 + attributes.len();
    let length = u32::try_from(length).expect("our questions are small");
    let mut bytes = Vec::new();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend([family, 0, 0, 0]);
    bytes.extend(attributes);
    bytes
}

/// What a datagram says in answer to a question. Flows that are not understood are left out.
pub(super) fn read(mut datagram: &[u8], sequence: u32) -> Vec<Said> {
    let mut said = Vec::new();
    while let Some((length, kind, of)) = header(datagram) {
        let body = &datagram[HEADERS.0..length];
        datagram = &datagram[length.next_multiple_of(4).min(datagram.len())..];
        if of != sequence {
            continue;
        }
        match kind {
            DONE => said.push(Said::Done),
            ERROR => said.push(match body.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
                Some(0) => Said::Done,
                code => Said::Error(code.unwrap_or(-5).saturating_neg()),
            }),
            kind if kind == SUBSYSTEM => said.extend(body.get(HEADERS.1..).and_then(flow).map(Said::Flow)),
            _ => {}
        }
    }
    said
}

/// Length, type and sequence number of the first message.
fn header(datagram: &[u8]) -> Option<(usize, u16, u32)> {
    let head = datagram.first_chunk::<16>()?;
    let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let fits = (HEADERS.0..=datagram.len()).contains(&length);
    let kind = u16::from_ne_bytes([head[4], head[5]]);
    fits.then(|| (length, kind, u32::from_ne_bytes([head[8], head[9], head[10], head[11]])))
}

fn flow(attributes: &[u8]) -> Option<Flow> {
    let original = attribute(attributes, ORIGINAL)?;
    let (protocol, client, asked) = tuple(original)?;
    let (_, answers, answered) = tuple(attribute(attributes, REPLY)?)?;
    Some(Flow { protocol, client, asked, answers, answered, original: original.to_vec() })
}

/// Protocol, source and destination.
fn tuple(attributes: &[u8]) -> Option<(u8, SocketAddr, SocketAddr)> {
    let (ip, proto) = (attribute(attributes, IP)?, attribute(attributes, PROTO)?);
    let address = |v4, v6| match attribute(ip, v4) {
        Some(bytes) => bytes.try_into().ok().map(|bytes: [u8; 4]| IpAddr::from(bytes)),
        None => attribute(ip, v6)?.try_into().ok().map(|bytes: [u8; 16]| IpAddr::from(bytes)),
    };
    let port = |kind| attribute(proto, kind)?.try_into().ok().map(u16::from_be_bytes);
    let protocol = *attribute(proto, 1)?.first()?;
    let source = SocketAddr::new(address(1, 3)?, port(2)?);
    Some((protocol, source, SocketAddr::new(address(2, 4)?, port(3)?)))
}

/// The value of the first attribute of this type.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some([l0, l1, t0, t1]) = attributes.first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([*l0, *l1]));
        if length < 4 {
            return None;
        }
        let value = attributes.get(4..length)?;
        if u16::from_ne_bytes([*t0, *t1]) & TYPE_MASK == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = [u16::try_from(4 + value.len()).unwrap().to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn ends(source: [u8; 4], from: u16, destination: [u8; 4], to: u16) -> Vec<u8> {
        let ip = [nested(1, &source), nested(2, &destination)].concat();
        let proto = [nested(1, &[17]), nested(2, &from.to_be_bytes()), nested(3, &to.to_be_bytes())].concat();
        [nested(IP | NESTED, &ip), nested(PROTO | NESTED, &proto)].concat()
    }

    fn sample() -> (Vec<u8>, Vec<u8>) {
        let original = ends([10, 42, 0, 9], 4000, [10, 43, 0, 5], 53);
        let reply = ends([10, 42, 0, 7], 5353, [10, 42, 0, 9], 4000);
        let attributes = [nested(ORIGINAL | NESTED, &original), nested(REPLY | NESTED, &reply)].concat();
        (message(SUBSYSTEM, 2, 7, FAMILY_V4, &attributes), original)
    }

    #[test]
    fn reads_a_flow_and_the_end_and_errors() {
        let (bytes, original) = sample();
        let read_all = [bytes, message(DONE, 2, 7, 0, &[]), message(DONE, 2, 6, 0, &[])].concat();
        let flow = Flow {
            protocol: 17,
            client: "10.42.0.9:4000".parse().unwrap(),
            asked: "10.43.0.5:53".parse().unwrap(),
            answers: "10.42.0.7:5353".parse().unwrap(),
            answered: "10.42.0.9:4000".parse().unwrap(),
            original: original.clone(),
        };
        assert_eq!(read(&read_all, 7), [Said::Flow(flow.clone()), Said::Done]);
        let mut refused = message(ERROR, 0, 7, 0, &[]);
        refused[16..20].copy_from_slice(&(-2i32).to_ne_bytes());
        assert_eq!(read(&refused, 7), [Said::Error(2)]);
        assert_eq!(attribute(&delete(1, &flow)[20..], ORIGINAL), Some(original.as_slice()));
    }

    #[test]
    fn cut_bytes_are_survived() {
        let (bytes, _) = sample();
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length], 7).is_empty());
            let mut lying = bytes.clone();
            lying[length] ^= 0xff;
            read(&lying, 7);
        }
    }
}
