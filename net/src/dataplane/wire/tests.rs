//! Stored samples of each version, and garbage.

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn node() -> NodeFacts {
    NodeFacts {
        id: NodeId(0xab),
        name: "n1".into(),
        zone: "z".into(),
        pod_ranges: vec!["10.42.0.0/24".parse().unwrap()],
        all_pod_ranges: vec!["10.42.0.0/16".parse().unwrap()],
        service_ranges: vec!["10.43.0.0/16".parse().unwrap(), "fd00::/112".parse().unwrap()],
        dns: vec!["10.43.0.10".parse().unwrap()],
        domain: "cluster.local".into(),
        listen: "0.0.0.0:7444".parse().unwrap(),
        mtu: 1280,
    }
}

fn peer() -> PeerFacts {
    PeerFacts {
        id: NodeId(1),
        name: "n2".into(),
        key: KeyFingerprint([7; 32]),
        addresses: vec!["192.0.2.2:7444".parse().unwrap()],
        pod_ranges: vec!["10.42.1.0/24".parse().unwrap()],
    }
}

#[test]
fn the_first_version_of_each_order_is_read_for_ever() {
    let object = ObjectRef { kind: ObjectKind::EndpointSlice, namespace: "a".into(), name: "b".into() };
    for (order, sample) in [
        (Order::Hello { wire: WIRE, build: "x".into() }, "000001010178"),
        (Order::Node(node()), NODE_V1),
        (Order::Peers(vec![peer()]), PEERS_V1),
        (Order::Begin, "0003"),
        (Order::Object { object: object.clone(), json: Some(b"{}".to_vec()) }, "00040101610162010 27b7d"),
        (Order::Object { object, json: None }, "000401016101620 0"),
        (Order::Synced, "0005"),
        (Order::Observe, "0006"),
        (Order::Stop { remove: true }, "000701"),
    ] {
        let sample = sample.replace(' ', "");
        assert_eq!(hex(&order.clone().encode()), sample, "{order:?}");
        assert_eq!(Order::decode(&order.clone().encode()).unwrap(), order);
    }
}

#[test]
fn the_first_version_of_each_report_is_read_for_ever() {
    let status = Status {
        pid: 1,
        uptime_seconds: 2,
        fed: true,
        peers: 3,
        peers_reached: 4,
        services: 5,
        elements: 6,
        troubles: vec!["t".into()],
    };
    for (report, sample) in [
        (Report::Welcome { wire: WIRE, build: "x".into(), pid: 5 }, "00000101017805"),
        (Report::Paths(vec![(NodeId(1), true)]), "0001010101"),
        (Report::Status(status), "00020102010304050601 0174"),
        (Report::Stopping, "0003"),
    ] {
        let sample = sample.replace(' ', "");
        assert_eq!(hex(&report.clone().encode()), sample, "{report:?}");
        assert_eq!(Report::decode(&report.clone().encode()).unwrap(), report);
    }
}

#[test]
fn garbage_is_told_from_orders() {
    for bytes in [&b""[..], b"\x01", b"\x00\x09", b"\x00\x03\x00", b"\x00\x04\x01\xfc\xff\xff\xff\xff"] {
        assert!(Order::decode(bytes).is_err(), "{bytes:?}");
        assert!(Report::decode(bytes).is_err(), "{bytes:?}");
    }
}

const NODE_V1: &str = "0001ab026e31017a01000a2a00001801000a2a00001002000a2b00001001fd0000000000000000000000000000007001000a2b000a0d\
                       636c75737465722e6c6f63616c0000000000fb141dfb0005";
const PEERS_V1: &str =
    "00020101026e3207070707070707070707070707070707070707070707070707070707070707070100c0000202fb141d01000a2a010018";
