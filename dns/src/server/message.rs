//! Questions and answers on the wire. Main type: [`Question`].

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record as WireRecord, RecordType};
use std::net::IpAddr;

use crate::zone::{Data, Kind, Record, TTL};

/// Largest answer over UDP, in bytes: fits every path without fragments.
const UDP_MAX: u16 = 1232;

/// Largest answer over UDP to a client that does not say what it takes.
const UDP_PLAIN: u16 = 512;

/// Largest message over TCP.
pub(super) const TCP_MAX: u16 = u16::MAX;

/// One question of a client, and what its answer needs.
#[derive(Clone, Debug)]
pub(super) struct Question {
    metadata: Metadata,
    query: Query,
    edns: Option<Edns>,
}

/// What is wrong with a packet.
#[derive(Debug)]
pub(super) enum Refused {
    /// Not even to be answered.
    Dropped,
    /// The answer.
    Answer(Vec<u8>),
}

impl Question {
    /// Reads a client's packet.
    pub(super) fn read(packet: &[u8]) -> Result<Self, Refused> {
        let message = match Message::from_vec(packet) {
            Ok(message) if message.metadata.message_type == MessageType::Query => message,
            Ok(_) => return Err(Refused::Dropped),
            Err(_) => return Err(malformed(packet)),
        };
        let Message { metadata, mut queries, edns, .. } = message;
        let count = queries.len();
        let Some(query) = queries.pop().filter(|_| count == 1) else { return Err(malformed(packet)) };
        let question = Self { metadata, query, edns };
        let version = question.edns.as_ref().map_or(0, Edns::version);
        let refusal = match question.metadata.op_code {
            OpCode::Query if version > 0 => ResponseCode::BADVERS,
            OpCode::Query if question.query.query_class != DNSClass::IN => ResponseCode::Refused,
            OpCode::Query if is_meta(question.query.query_type) => ResponseCode::NotImp,
            OpCode::Query => return Ok(question),
            _ => ResponseCode::NotImp,
        };
        Err(Refused::Answer(question.encode(question.reply(refusal), UDP_PLAIN)))
    }

    /// What is asked.
    pub(super) fn query(&self) -> &Query {
        &self.query
    }

    /// Whether signatures are wanted.
    pub(super) fn wants_dnssec(&self) -> bool {
        self.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok)
    }

    /// Whether upstream is to leave out its own checks.
    pub(super) fn is_unchecked(&self) -> bool {
        self.metadata.checking_disabled
    }

    /// The kind of records asked for.
    pub(super) fn kind(&self) -> Kind {
        match self.query.query_type {
            RecordType::A => Kind::A,
            RecordType::AAAA => Kind::Aaaa,
            RecordType::SRV => Kind::Srv,
            RecordType::CNAME => Kind::Cname,
            RecordType::PTR => Kind::Ptr,
            RecordType::TXT => Kind::Txt,
            RecordType::SOA => Kind::Soa,
            RecordType::NS => Kind::Ns,
            _ => Kind::Other,
        }
    }

    /// Most bytes of an answer over UDP.
    pub(super) fn udp_limit(&self) -> u16 {
        self.edns.as_ref().map_or(UDP_PLAIN, |edns| edns.max_payload().clamp(UDP_PLAIN, UDP_MAX))
    }

    /// An answer without records.
    pub(super) fn reply(&self, code: ResponseCode) -> Message {
        let mut message = Message::response(self.metadata.id, self.metadata.op_code);
        message.metadata = Metadata::response_from_request(&self.metadata);
        message.metadata.recursion_available = true;
        message.metadata.response_code = code;
        message.add_query(self.query.clone());
        if let Some(asked) = &self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_MAX);
            edns.set_dnssec_ok(asked.flags().dnssec_ok);
            edns.set_rcode_high(code.high());
            message.set_edns(edns);
        }
        message
    }

    /// The bytes of an answer; cut to the question where it has more than `limit`, so that the client asks over TCP.
    pub(super) fn encode(&self, message: Message, limit: u16) -> Vec<u8> {
        let fits = |bytes: &Vec<u8>| bytes.len() <= usize::from(limit);
        if let Some(bytes) = message.to_vec().ok().filter(fits) {
            return bytes;
        }
        // What only helps goes first.
        let mut lean = message;
        lean.additionals.clear();
        if let Some(bytes) = lean.to_vec().ok().filter(fits) {
            return bytes;
        }
        lean.truncate().to_vec().unwrap_or_default()
    }

    /// A record of the zone on the wire.
    pub(super) fn record(&self, record: Record) -> Option<WireRecord> {
        let name = match &record.name {
            None => self.query.name.clone(),
            Some(name) => self::name(name)?,
        };
        let data = match record.data {
            Data::Address(IpAddr::V4(ip)) => RData::A(A(ip)),
            Data::Address(IpAddr::V6(ip)) => RData::AAAA(AAAA(ip)),
            Data::Srv { port, target, weight } => RData::SRV(SRV::new(0, weight, port, self::name(&target)?)),
            Data::Cname(target) => RData::CNAME(CNAME(self::name(&target)?)),
            Data::Ptr(target) => RData::PTR(PTR(self::name(&target)?)),
            Data::Ns(target) => RData::NS(NS(self::name(&target)?)),
            Data::Txt(text) => RData::TXT(TXT::new(vec![text])),
            Data::Soa(serial) => soa(record.name.as_deref(), &name, serial)?,
        };
        Some(WireRecord::from_rdata(name, TTL, data))
    }
}

/// Asks for what is no type of records.
fn is_meta(kind: RecordType) -> bool {
    matches!(kind, RecordType::AXFR | RecordType::IXFR | RecordType::ANY | RecordType::OPT | RecordType::ZERO)
}

/// A name whose labels are separated by dots; `None` if one is too long.
pub(super) fn name(text: &str) -> Option<Name> {
    Name::from_labels(text.split('.').filter(|label| !label.is_empty()).map(str::as_bytes)).ok()
}

/// The labels of a name in lower case.
pub(super) fn labels(name: &Name) -> Vec<String> {
    name.iter().map(|label| String::from_utf8_lossy(label).to_ascii_lowercase()).collect()
}

fn soa(zone: Option<&str>, asked: &Name, serial: u32) -> Option<RData> {
    let origin = zone.map_or_else(|| Some(asked.clone()), name)?;
    let below = |labels: &str| name(labels)?.append_domain(&origin).ok();
    Some(RData::SOA(SOA::new(below("ns.dns")?, below("hostmaster")?, serial, 7200, 1800, 86_400, TTL)))
}

/// An answer to what could not be read, if at least its number could.
fn malformed(packet: &[u8]) -> Refused {
    // Twelve bytes are a head; its third tells whether it is a question.
    let (Some(id), Some(flags)) = (packet.first_chunk::<2>(), packet.get(2).filter(|_| packet.len() >= 12)) else {
        return Refused::Dropped;
    };
    if flags & 0x80 != 0 {
        return Refused::Dropped;
    }
    let message = Message::error_msg(u16::from_be_bytes(*id), OpCode::Query, ResponseCode::FormErr);
    message.to_vec().map_or(Refused::Dropped, Refused::Answer)
}
