//! Which events are written, counted or dropped. Pure: time is an argument. Main type: [`Correlator`].
//!
//! Upstream's rules and numbers: equal events are one with a count; more than ten that differ only in their text within ten
//! minutes become one; more than a burst of 25 about an object are dropped, but for one in five minutes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

/// Events and objects remembered of each sort; past it the memory begins anew, and an event may be written twice.
const REMEMBERED_MAX: usize = 4096;

/// Events that differ only in their text, from which on they become one.
const SIMILAR_MAX: usize = 10;

/// How long similar events count together.
const SIMILAR_WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// Events about one object that are written at once.
const BURST: f64 = 25.0;

/// Seconds after which one more may be written.
const REFILL_SECONDS: f64 = 300.0;

/// What an event says.
#[derive(Clone, Debug)]
pub struct Fact {
    /// About what.
    pub object: String,
    /// `Normal` or `Warning`.
    pub kind: &'static str,
    /// As `Started`.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// Where an event is remembered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(String);

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing.
    Drop,
    /// Write a new one.
    New {
        /// Its text.
        message: String,
        /// To be told when it is written.
        slot: Slot,
    },
    /// Count one that is there.
    Again {
        /// Its name.
        name: String,
        /// How many there are now.
        count: u32,
        /// When the first was.
        first: Timestamp,
        /// Its text.
        message: String,
        /// To be told when it is written anew.
        slot: Slot,
    },
}

#[derive(Clone, Debug)]
struct Counted {
    name: String,
    count: u32,
    first: Timestamp,
}

#[derive(Clone, Debug)]
struct Similar {
    messages: BTreeSet<String>,
    last: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

/// Remembers events.
#[derive(Debug, Default)]
pub struct Correlator {
    counted: BTreeMap<Slot, Counted>,
    similar: BTreeMap<String, Similar>,
    buckets: BTreeMap<String, Bucket>,
}

impl Correlator {
    /// What is to be done with an event.
    pub fn judge(&mut self, fact: Fact, now: Timestamp) -> Verdict {
        let (message, slot) = self.aggregate(&fact, now);
        if !self.admits(&fact.object, now) {
            return Verdict::Drop;
        }
        bound(&mut self.counted);
        let counted = self.counted.entry(slot.clone()).or_insert(Counted { name: String::new(), count: 0, first: now });
        counted.count += 1;
        match counted.name.as_str() {
            "" => Verdict::New { message, slot },
            name => Verdict::Again { name: name.to_owned(), count: counted.count, first: counted.first, message, slot },
        }
    }

    /// An event is stored under this name.
    pub fn written(&mut self, slot: &Slot, name: &str) {
        if let Some(counted) = self.counted.get_mut(slot) {
            name.clone_into(&mut counted.name);
        }
    }

    /// An event was not stored.
    pub fn forget(&mut self, slot: &Slot) {
        self.counted.remove(slot);
    }

    /// Its text and where it is remembered, once it is seen beside similar ones.
    fn aggregate(&mut self, fact: &Fact, now: Timestamp) -> (String, Slot) {
        let key = [&fact.object, fact.kind, &fact.reason].join("\u{1f}");
        bound(&mut self.similar);
        let similar =
            self.similar.entry(key.clone()).or_insert_with(|| Similar { messages: BTreeSet::new(), last: now });
        if now.duration_since(similar.last) > SIMILAR_WINDOW {
            similar.messages.clear();
        }
        similar.last = now;
        if similar.messages.len() < SIMILAR_MAX {
            similar.messages.insert(fact.message.clone());
        }
        if similar.messages.len() >= SIMILAR_MAX && !similar.messages.contains(&fact.message) {
            return (format!("(combined from similar events): {}", fact.message), Slot(key));
        }
        (fact.message.clone(), Slot(format!("{key}\u{1f}{}", fact.message)))
    }

    fn admits(&mut self, object: &str, now: Timestamp) -> bool {
        bound(&mut self.buckets);
        let bucket = self.buckets.entry(object.to_owned()).or_insert(Bucket { tokens: BURST, at: now });
        let passed = now.duration_since(bucket.at).as_secs_f64().max(0.0);
        *bucket = Bucket { tokens: (bucket.tokens + passed / REFILL_SECONDS).min(BURST), at: now };
        let admits = bucket.tokens >= 1.0;
        if admits {
            bucket.tokens -= 1.0;
        }
        admits
    }
}

fn bound<K: Ord, V>(map: &mut BTreeMap<K, V>) {
    if map.len() >= REMEMBERED_MAX {
        map.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(message: &str) -> Fact {
        Fact { object: "pod".into(), kind: "Normal", reason: "Started".into(), message: message.into() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn equal_events_are_counted_once_written() {
        let mut correlator = Correlator::default();
        let Verdict::New { slot, .. } = correlator.judge(fact("a"), at(0)) else { panic!("a new one") };
        correlator.written(&slot, "pod.1");
        let expect =
            Verdict::Again { name: "pod.1".into(), count: 2, first: at(0), message: "a".into(), slot: slot.clone() };
        assert_eq!(correlator.judge(fact("a"), at(5)), expect);
        correlator.forget(&slot);
        assert!(matches!(correlator.judge(fact("a"), at(6)), Verdict::New { .. }));
    }

    #[test]
    fn many_similar_events_become_one() {
        let mut correlator = Correlator::default();
        for number in 0..10 {
            let Verdict::New { message, .. } = correlator.judge(fact(&number.to_string()), at(0)) else { panic!() };
            assert_eq!(message, number.to_string());
        }
        let Verdict::New { message, slot } = correlator.judge(fact("x"), at(1)) else { panic!() };
        assert_eq!(message, "(combined from similar events): x");
        correlator.written(&slot, "pod.2");
        assert!(matches!(correlator.judge(fact("y"), at(2)), Verdict::Again { count: 2, .. }));
        assert!(matches!(correlator.judge(fact("z"), at(2000)), Verdict::New { message, .. } if message == "z"));
    }

    #[test]
    fn a_flood_about_one_object_is_dropped_and_trickles_on() {
        let mut correlator = Correlator::default();
        let judged =
            (0..30).map(|_| correlator.judge(fact("a"), at(0))).filter(|verdict| *verdict == Verdict::Drop).count();
        assert_eq!(judged, 5);
        assert_ne!(correlator.judge(fact("a"), at(301)), Verdict::Drop);
        assert_eq!(correlator.judge(fact("a"), at(302)), Verdict::Drop);
    }
}
