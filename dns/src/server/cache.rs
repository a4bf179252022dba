//! Answers of upstream servers, kept for a while. Main type: [`Cache`]. Spec: RFC 2308.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record};

/// Answers kept; past it those that are over go, or else all.
const ENTRIES: usize = 4096;

/// Records of an answer that is kept: bounds what the cache holds.
const RECORDS: usize = 64;

/// Longest time an answer is kept, in seconds: what the default of CoreDNS on Kubernetes is.
const SECONDS: u32 = 30;

/// What an answer is to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// In lower case.
    pub(super) name: String,
    /// Number of the type of records.
    pub(super) kind: u16,
    /// Signatures wanted, checks not wanted.
    pub(super) flags: (bool, bool),
}

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct Cache(HashMap<Key, Kept>);

#[derive(Debug)]
struct Kept {
    since: Instant,
    until: Instant,
    message: Arc<Message>,
}

impl Cache {
    /// An answer that still holds, its records older by the time it lay here.
    pub(super) fn get(&mut self, key: &Key, now: Instant) -> Option<Arc<Message>> {
        let kept = self.0.get(key)?;
        if kept.until <= now {
            self.0.remove(key);
            return None;
        }
        let age = u32::try_from(now.duration_since(kept.since).as_secs()).unwrap_or(u32::MAX);
        if age == 0 {
            return Some(kept.message.clone());
        }
        let mut message = Message::clone(&kept.message);
        for record in message.answers.iter_mut().chain(&mut message.authorities).chain(&mut message.additionals) {
            record.ttl = record.ttl.saturating_sub(age);
        }
        Some(Arc::new(message))
    }

    /// Keeps an answer for as long as it says, within bounds.
    pub(super) fn put(&mut self, key: Key, message: &Arc<Message>, now: Instant) {
        let Some(seconds) = lifetime(message).filter(|seconds| *seconds > 0) else { return };
        if self.0.len() >= ENTRIES {
            self.0.retain(|_, kept| kept.until > now);
        }
        if self.0.len() >= ENTRIES {
            self.0.clear();
        }
        let until = now + Duration::from_secs(seconds.min(SECONDS).into());
        self.0.insert(key, Kept { since: now, until, message: message.clone() });
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Seconds for which an answer holds; `None` where it does not say, or is too large to keep.
fn lifetime(message: &Message) -> Option<u32> {
    let all = || message.all_sections();
    if all().count() > RECORDS || message.metadata.truncation {
        return None;
    }
    match message.metadata.response_code {
        ResponseCode::NoError if !message.answers.is_empty() => all().map(|record| record.ttl).min(),
        ResponseCode::NoError | ResponseCode::NXDomain => message.authorities.iter().find_map(negative),
        _ => None,
    }
}

fn negative(record: &Record) -> Option<u32> {
    match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::OpCode;
    use hickory_proto::rr::rdata::A;
    use std::net::Ipv4Addr;

    use super::*;
    use crate::server::message::name;

    fn key(name: &str) -> Key {
        Key { name: name.into(), kind: 1, flags: (false, false) }
    }

    fn message(ttl: u32) -> Arc<Message> {
        let mut message = Message::response(1, OpCode::Query);
        let name = name("a.example").expect("a name");
        message.add_answer(Record::from_rdata(name, ttl, RData::A(A(Ipv4Addr::LOCALHOST))));
        Arc::new(message)
    }

    #[test]
    fn answers_age_and_end() {
        let (mut cache, start) = (Cache::default(), Instant::now());
        cache.put(key("a"), &message(20), start);
        cache.put(key("long"), &message(3600), start);
        cache.put(key("none"), &message(0), start);
        let mut ttl = |name: &str, seconds| {
            cache.get(&key(name), start + Duration::from_secs(seconds)).map(|message| message.answers[0].ttl)
        };
        assert_eq!((ttl("a", 0), ttl("a", 19), ttl("a", 20)), (Some(20), Some(1), None));
        assert_eq!((ttl("long", 29), ttl("long", 31)), (Some(3571), None));
        assert_eq!(ttl("none", 0), None);
    }

    #[test]
    fn holds_no_more_than_its_bound() {
        let (mut cache, start) = (Cache::default(), Instant::now());
        (0..ENTRIES * 2).for_each(|index| cache.put(key(&index.to_string()), &message(20), start));
        assert!(cache.0.len() <= ENTRIES);
    }
}
