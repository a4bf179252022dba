//! A stored sample of each message in each version: what was written once is read for ever.

use std::fmt::Debug;

use serde::de::DeserializeOwned;

use super::*;
use crate::codec;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("a sample is hex")).collect()
}

/// The sample reads as the message, and the message is still written so.
fn sample<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T, version_1: &str) {
    assert_eq!(
        codec::decode::<T>(&unhex(version_1)).as_ref(),
        Ok(message),
        "written is {}",
        hex(&codec::encode(message))
    );
    assert_eq!(hex(&codec::encode(message)), version_1);
}

const ID: LogId = LogId { term: 3, index: 300 };
const VOTE: Vote = Vote { term: 3, node: 2, committed: true };

fn membership() -> Membership {
    Membership { voters: vec![vec![1, 2], vec![2, 3]], nodes: vec![1, 2, 3, 4] }
}

#[test]
fn entries_are_read_for_ever() {
    let entry = |payload| Entry { id: ID, payload };
    sample(&entry(Payload::Blank), "0103fb2c0100");
    sample(&entry(Payload::Command(Bytes::from_static(b"abc"))), "0103fb2c010103616263");
    sample(&entry(Payload::Membership(membership())), "0103fb2c0102020201020202030401020304");
}

#[test]
fn marks_are_read_for_ever() {
    sample(&ID, "0103fb2c01");
    sample(&VOTE, "01030201");
    let meta = SnapshotMeta { last: Some(ID), membership_at: Some(ID), membership: Some(membership()) };
    sample(&meta, "010103fb2c010103fb2c0101020201020202030401020304");
}

#[test]
fn raft_messages_are_read_for_ever() {
    let entries = vec![Entry { id: ID, payload: Payload::Blank }];
    let append = AppendRequest { vote: VOTE, previous: Some(ID), committed: None, entries };
    sample(&append, "010302010103fb2c01000103fb2c0100");
    sample(&Reply::Ok(AppendResponse::Stored(Some(ID))), "0100000103fb2c01");
    sample(&Reply::Ok(AppendResponse::Conflict(ID)), "01000103fb2c01");
    sample(&Reply::Ok(AppendResponse::HigherVote(VOTE)), "010002030201");
    sample(&Reply::<AppendResponse>::Failed("x".into()), "01010178");
    sample(&VoteRequest { vote: VOTE, last: Some(ID), transfer: true }, "010302010103fb2c0101");
    sample(&VoteResponse { vote: VOTE, granted: true, last: None }, "010302010100");
    let meta = SnapshotMeta { last: Some(ID), ..Default::default() };
    sample(&SnapshotHeader { vote: VOTE, meta, length: 7 }, "010302010103fb2c01000007");
    sample(&TransferRequest { from: VOTE, to: 4, last: None }, "010302010400");
}

#[test]
fn forwarded_calls_are_read_for_ever() {
    sample(&ProposeResponse::Applied(300, Bytes::from_static(b"o")), "0100fb2c01016f");
    sample(&ProposeResponse::NotLeader(Some(2)), "01010102");
    sample(&ProposeResponse::Unknown("x".into()), "01020178");
    sample(&ProposeResponse::Refused("x".into()), "01030178");
    sample(&ProposeResponse::Full("x".into()), "01040178");
    sample(&ReadIndexResponse::Index(300), "0100fb2c01");
    sample(&ReadIndexResponse::NotLeader(None), "010100");
    sample(&ReadIndexResponse::NoQuorum, "0102");
}

#[test]
fn what_is_not_a_message_is_refused() {
    for bytes in ["", "02", "0103fb2c01ff", "0103fb2c"] {
        assert!(codec::decode::<LogId>(&unhex(bytes)).is_err(), "{bytes:?}");
    }
}
