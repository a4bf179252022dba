//! Endpoints over real QUIC on loopback: who may talk, who may not, and what happens when that changes.

use std::time::SystemTime;

use futures::future::join_all;

use super::*;
use crate::{
    Peer, Role,
    testing::{Echo, Node, authority, introduce, soon, voters},
};

fn serve_all(node: &Node) {
    for protocol in [Protocol::Raft, Protocol::Rpc, Protocol::Gossip, Protocol::Pipe] {
        node.endpoint.serve(protocol, Arc::new(Echo));
    }
}

#[tokio::test]
async fn pinned_peers_talk_both_ways() {
    let nodes = voters(&authority(), 2);
    nodes.iter().for_each(serve_all);
    for (from, to) in [(0, 1), (1, 0)] {
        let (from, to) = (&nodes[from], &nodes[to]);
        let answer = soon(from.call(to.id(), Protocol::Raft, 7)).await.unwrap();
        assert_eq!(answer, format!("hello 7 Member({}, Voter)", from.id()));
    }
    soon(nodes[0].endpoint.close()).await;
}

#[tokio::test]
async fn a_node_can_call_itself() {
    let nodes = voters(&authority(), 1);
    serve_all(&nodes[0]);
    soon(nodes[0].call(nodes[0].id(), Protocol::Pipe, 0)).await.unwrap();
}

#[tokio::test]
async fn an_unknown_key_is_refused_everywhere() {
    let ca = authority();
    let nodes = [Node::start(&ca), Node::start(&ca)];
    serve_all(&nodes[0]);
    // It knows the member and is certified by the same authority; yet it is no member.
    nodes[1].peers.replace(vec![nodes[0].peer(Role::Voter)], &[]);
    for protocol in [Protocol::Raft, Protocol::Rpc, Protocol::Gossip, Protocol::Pipe] {
        assert!(soon(nodes[1].call(nodes[0].id(), protocol, 0)).await.is_err(), "{protocol:?}");
    }
}

#[tokio::test]
async fn a_server_with_another_key_is_not_spoken_to() {
    let ca = authority();
    let nodes = voters(&ca, 2);
    serve_all(&nodes[1]);
    let impostor = Node::start(&ca);
    let claimed = Peer { addresses: vec![nodes[1].address], ..impostor.peer(Role::Voter) };
    nodes[0].peers.replace(vec![nodes[0].peer(Role::Voter), claimed], &[]);
    let error = soon(nodes[0].call(impostor.id(), Protocol::Raft, 0)).await.unwrap_err();
    assert!(error.contains("unreachable"), "{error}");
}

#[tokio::test]
async fn a_role_opens_what_its_row_says() {
    let nodes = voters(&authority(), 2);
    serve_all(&nodes[0]);
    for (role, protocol, method, expect) in [
        (Role::Worker, Protocol::Raft, 1, false),
        (Role::Worker, Protocol::Rpc, 0x100, false),
        (Role::Worker, Protocol::Rpc, 1, true),
        (Role::Standby, Protocol::Raft, 1, true),
        (Role::Standby, Protocol::Rpc, 0x100, false),
        (Role::Voter, Protocol::Rpc, 0x100, true),
        (Role::Worker, Protocol::Rpc, 0x200, false),
        (Role::Voter, Protocol::Rpc, 0x200, true),
        (Role::Voter, Protocol::Rpc, 0x300, false),
    ] {
        nodes[0].peers.replace(vec![nodes[1].peer(role)], &[]);
        // The first call may meet the connection that the last change closed.
        let _ = soon(nodes[1].call(nodes[0].id(), protocol, method)).await;
        let answer = soon(nodes[1].call(nodes[0].id(), protocol, method)).await;
        assert_eq!(answer.is_ok(), expect, "{role:?} {protocol:?} {method:#x}: {answer:?}");
    }
}

#[tokio::test]
async fn a_removed_peer_is_refused_at_once_and_for_ever() {
    let nodes = voters(&authority(), 2);
    nodes.iter().for_each(serve_all);
    let mut open = soon(nodes[1].endpoint.open(nodes[0].id(), Protocol::Rpc, Method(1))).await.unwrap();
    soon(open.send(b"hello")).await.unwrap();
    soon(open.receive()).await.unwrap().unwrap();
    soon(nodes[0].call(nodes[1].id(), Protocol::Rpc, 1)).await.unwrap();
    let gone = [nodes[1].removed()];
    nodes[0].peers.replace(vec![nodes[0].peer(Role::Voter)], &gone);
    assert!(soon(open.receive()).await.is_err(), "the stream under way ends");
    assert!(soon(nodes[1].call(nodes[0].id(), Protocol::Rpc, 1)).await.is_err());
    let error = soon(nodes[0].call(nodes[1].id(), Protocol::Rpc, 1)).await.unwrap_err();
    assert!(error.contains("not a member"), "{error}");
    introduce(&nodes.iter().collect::<Vec<_>>(), &[]);
    assert!(soon(nodes[1].call(nodes[0].id(), Protocol::Rpc, 1)).await.is_err(), "a later update changes nothing");
}

#[tokio::test]
async fn between_members_dates_do_not_matter() {
    let ca = authority();
    let old = SystemTime::now() - Duration::from_secs(5 * 365 * 24 * 3600);
    let identity = || Arc::new(Identity::ephemeral(&mut rand::rng()).unwrap());
    let any = || "127.0.0.1:0".parse().unwrap();
    let nodes = [Node::start_as(&ca, identity(), any(), old), Node::start_as(&ca, identity(), any(), old)];
    introduce(&nodes.iter().collect::<Vec<_>>(), &[]);
    serve_all(&nodes[0]);
    soon(nodes[1].call(nodes[0].id(), Protocol::Raft, 1)).await.unwrap();
}

#[tokio::test]
async fn a_crashed_peer_is_reached_again_before_the_idle_timeout() {
    let ca = authority();
    let crashing = tokio::runtime::Runtime::new().unwrap();
    let client = Node::start(&ca);
    let old = start_on(&crashing, || Node::start(&ca));
    introduce(&[&client, &old], &[]);
    serve_all(&old);
    let (id, address, identity) = (old.id(), old.address, old.identity.clone());
    soon(client.call(id, Protocol::Raft, 1)).await.unwrap();
    // Its tasks end where they stand; no goodbye is said.
    let ended = tokio::task::spawn_blocking(move || crashing.shutdown_timeout(Duration::from_secs(5)));
    soon(ended).await.unwrap();
    drop(old);
    let again = Node::start_as(&ca, identity, address, SystemTime::now());
    again.peers.replace(vec![client.peer(Role::Voter)], &[]);
    serve_all(&again);
    let started = std::time::Instant::now();
    soon(async { while client.call(id, Protocol::Raft, 1).await.is_err() {} }).await;
    assert!(started.elapsed() < Duration::from_secs(4), "the restarted node told that the old connection is gone");
}

/// Starts something on another runtime than the test's.
fn start_on<T>(runtime: &tokio::runtime::Runtime, start: impl FnOnce() -> T) -> T {
    let _guard = runtime.enter();
    start()
}

#[tokio::test]
async fn the_second_address_is_tried_where_the_first_is_dead() {
    let nodes = voters(&authority(), 2);
    serve_all(&nodes[0]);
    // Bound, and never answers.
    let dead = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut peer = nodes[0].peer(Role::Voter);
    peer.addresses.insert(0, dead.local_addr().unwrap());
    nodes[1].peers.replace(vec![peer], &[]);
    soon(nodes[1].call(nodes[0].id(), Protocol::Raft, 1)).await.unwrap();
}

#[tokio::test]
async fn many_calls_share_one_connection() {
    let nodes = voters(&authority(), 2);
    serve_all(&nodes[0]);
    let calls = (0..300).map(|_| nodes[1].call(nodes[0].id(), Protocol::Rpc, 0x100));
    for answer in soon(join_all(calls)).await {
        answer.unwrap();
    }
    assert_eq!(nodes[1].endpoint.shared.endpoint.open_connections(), 1);
}

#[tokio::test]
async fn a_large_frame_passes_and_one_over_the_limit_does_not() {
    let nodes = voters(&authority(), 2);
    serve_all(&nodes[0]);
    let mut channel = soon(nodes[1].endpoint.open(nodes[0].id(), Protocol::Raft, Method(1))).await.unwrap();
    let frame = vec![b'x'; 15 << 20];
    soon(channel.send(&frame)).await.unwrap();
    let answer = soon(channel.receive()).await.unwrap().unwrap();
    assert!(answer.starts_with(&frame));
    assert!(soon(channel.send(&vec![0; 17 << 20])).await.is_err());
}

#[tokio::test]
async fn an_unserved_protocol_ends_the_stream() {
    let nodes = voters(&authority(), 2);
    assert!(soon(nodes[1].call(nodes[0].id(), Protocol::Raft, 1)).await.is_err());
}
