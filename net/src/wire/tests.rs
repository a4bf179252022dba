//! Stored samples of each version, and garbage.

use super::*;
use crate::{Role, codec};

fn request() -> JoinRequest {
    JoinRequest {
        wire: WireRange { oldest: 1, newest: 1 },
        software: "0.1.0".into(),
        token: TokenId([1, 2, 3, 4, 5]),
        secret: "mesh1.a4dqobyha4dqobyha4dqobyha4.aebagbaf.aaaqeayeaudaocajbifqydiob4"
            .parse::<crate::Token>()
            .unwrap()
            .secret,
        node: NodeId(0xab),
        name: "n1".into(),
        replace: true,
        csr: vec![0x30, 0],
        addresses: vec!["10.0.0.1:7443".parse().unwrap(), "[fd00::1]:7443".parse().unwrap()],
        api_addresses: vec!["10.0.0.1:6443".parse().unwrap()],
        zone: Some("z".into()),
        voter: VoterPreference::Prefer,
        labels: BTreeMap::from([("topology.kubernetes.io/region".into(), "r".into())]),
        cluster: None,
    }
}

fn answer() -> JoinAnswer {
    JoinAnswer {
        wire: 1,
        already: false,
        certificate: vec![1],
        authority: vec![2],
        api_authority: vec![3],
        cluster: "c".into(),
        incarnation: 4,
        feature_level: 5,
        members: vec![Peer {
            id: NodeId(6),
            key: KeyFingerprint([7; 32]),
            addresses: vec!["10.0.0.1:7443".parse().unwrap()],
            role: Role::Voter,
            name: "n".into(),
        }],
        removed: vec![Removed { id: NodeId(8), key: KeyFingerprint([9; 32]) }],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_first_version_of_each_message_is_read_for_ever() {
    assert_eq!(hex(&encode_request(request())), REQUEST_V1);
    assert_eq!(hex(&encode_reply(Ok(answer()))), ANSWER_V1);
    let (ours, theirs) = ("a".to_string(), "b".to_string());
    let range = WireRange { oldest: 1, newest: 2 };
    for (refusal, sample) in [
        (JoinRefusal::UnknownToken(TokenId([1; 5])), "0001000101010101"),
        (JoinRefusal::WrongSecret(TokenId([1; 5])), "0001010101010101"),
        (JoinRefusal::ExpiredToken(TokenId([1; 5])), "0001020101010101"),
        (JoinRefusal::UsedToken(TokenId([1; 5])), "0001030101010101"),
        (JoinRefusal::NameTaken { name: "n".into(), holder: NodeId(2) }, "000104016e02"),
        (JoinRefusal::OtherCluster { ours, theirs }, "00010501610162"),
        (JoinRefusal::Removed(NodeId(2)), "00010602"),
        (JoinRefusal::Version { ours: range, theirs: range }, "00010701020102"),
        (JoinRefusal::Invalid("x".into()), "0001080178"),
        (JoinRefusal::Busy { retry_after_ms: 7 }, "00010907"),
    ] {
        let bytes = encode_reply(Err(refusal.clone()));
        assert_eq!(hex(&bytes), sample, "{refusal:?}");
        assert_eq!(decode_reply(&bytes), Ok(Err(refusal)));
    }
}

#[test]
fn what_was_encoded_is_decoded() {
    assert_eq!(decode_request(&encode_request(request())), Ok(request()));
    assert_eq!(decode_reply(&encode_reply(Ok(answer()))), Ok(Ok(answer())));
}

#[test]
fn cut_lengthened_and_unknown_messages_are_refused() {
    let good = encode_request(request());
    for cut in 0..good.len() {
        assert!(decode_request(&good[..cut]).is_err(), "cut at {cut}");
    }
    let lengthened = [good.as_slice(), &[0]].concat();
    assert!(decode_request(&lengthened).is_err());
    let unknown = [&[1], &good[1..]].concat();
    assert!(decode_request(&unknown).is_err());
    assert!(codec::decode::<Vec<u8>, 8>(&[9; 9]).is_err());
}

#[test]
fn a_hostile_length_allocates_nothing() {
    // A vector that claims 2^63 elements.
    let hostile = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0x80];
    assert!(codec::decode::<Vec<u8>, 64>(&hostile).is_err());
}

#[test]
fn the_newest_common_version_is_agreed_upon() {
    let range = |oldest, newest| WireRange { oldest, newest };
    for (ours, theirs, expect) in [
        (range(1, 1), range(1, 1), Some(1)),
        (range(1, 2), range(2, 3), Some(2)),
        (range(2, 3), range(1, 2), Some(2)),
        (range(1, 3), range(1, 3), Some(3)),
        (range(1, 1), range(2, 3), None),
        (range(3, 4), range(1, 2), None),
    ] {
        assert_eq!(ours.agree(theirs), expect, "{ours:?} {theirs:?}");
    }
}

proptest::proptest! {
    #[test]
    fn garbage_is_refused_without_a_panic(bytes: Vec<u8>) {
        let _ = decode_request(&bytes);
        let _ = decode_reply(&bytes);
        let _ = codec::decode::<Peer, 4096>(&bytes);
    }

    #[test]
    fn a_flipped_byte_never_panics(place in 0usize..200, flip in 1u8..) {
        let mut bytes = encode_request(request());
        let place = place % bytes.len();
        bytes[place] ^= flip;
        let _ = decode_request(&bytes);
    }
}

const REQUEST_V1: &str = "00010105302e312e300102030405000102030405060708090a0b0c0d0e0fab026e310102300002000a000001fb131d01fd000000000000000000000000000001fb131d01000a000001fb2b1901017a01011d746f706f6c6f67792e6b756265726e657465732e696f2f726567696f6e017200";

const ANSWER_V1: &str = "00000100010101020103016304050106070707070707070707070707070707070707070707070707070707070707070701000a000001fb131d02016e01080909090909090909090909090909090909090909090909090909090909090909";
