//! Three nodes over real QUIC: they find each other, tell values, notice a crash, and believe only members.

use std::time::Instant;

use super::*;
use crate::{
    Protocol, Removed, Role,
    testing::{Node, authority, introduce, soon, voters},
};

fn start(node: &Node, generation: u64) -> Gossip {
    let config =
        GossipConfig { id: node.id(), cluster: "test/1".into(), generation, interval: Duration::from_millis(100) };
    let gossip = Gossip::start(config, Arc::new(node.endpoint.clone()), node.peers.clone());
    node.endpoint.serve(Protocol::Gossip, gossip.handler());
    gossip
}

fn ids<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> BTreeSet<NodeId> {
    nodes.into_iter().map(Node::id).collect()
}

async fn until_live(gossip: &Gossip, expect: &BTreeSet<NodeId>) {
    soon(gossip.live().wait_for(|live| live == expect)).await.unwrap();
}

async fn until_told(gossip: &Gossip, node: NodeId, key: &str, value: &str) {
    let told =
        |values: &Values| values.get(&node).and_then(|values| values.get(key)).map(String::as_str) == Some(value);
    soon(gossip.changes().wait_for(told)).await.unwrap();
    assert_eq!(gossip.get(node, key).as_deref(), Some(value));
}

#[tokio::test]
async fn three_nodes_converge_tell_values_and_notice_a_crash() {
    let nodes = voters(&authority(), 3);
    let mut gossips: Vec<_> = nodes.iter().map(|node| start(node, 1)).collect();
    for gossip in &gossips {
        until_live(gossip, &ids(&nodes)).await;
    }
    gossips[0].set(NET, "up").unwrap();
    until_told(&gossips[1], nodes[0].id(), NET, "up").await;
    until_told(&gossips[2], nodes[0].id(), NET, "up").await;
    gossips[0].set(NET, "draining").unwrap();
    until_told(&gossips[2], nodes[0].id(), NET, "draining").await;

    let crashed = gossips.pop().unwrap();
    let started = Instant::now();
    drop(crashed);
    for gossip in &gossips {
        until_live(gossip, &ids(&nodes[..2])).await;
    }
    println!("crash seen after {:?}", started.elapsed());

    gossips.push(start(&nodes[2], 2));
    for gossip in &gossips {
        until_live(gossip, &ids(&nodes)).await;
    }
    until_told(&gossips[2], nodes[0].id(), NET, "draining").await;
}

#[tokio::test]
async fn only_members_are_believed() {
    let ca = authority();
    let nodes = voters(&ca, 3);
    let gossips: Vec<_> = nodes.iter().map(|node| start(node, 1)).collect();
    for gossip in &gossips {
        until_live(gossip, &ids(&nodes)).await;
    }
    // The second still believes the third and relays it; the first does not any more.
    nodes[0].peers.replace(
        nodes[..2].iter().map(|node| node.peer(Role::Voter)).collect(),
        &[Removed { id: nodes[2].id(), key: nodes[2].identity.fingerprint() }],
    );
    until_live(&gossips[0], &ids(&nodes[..2])).await;
    assert!(gossips[1].live().borrow().contains(&nodes[2].id()));
}

#[tokio::test]
async fn a_member_that_comes_later_is_found() {
    let ca = authority();
    let nodes = [Node::start(&ca), Node::start(&ca)];
    let gossips: Vec<_> = nodes.iter().map(|node| start(node, 1)).collect();
    until_live(&gossips[0], &ids(&nodes[..1])).await;
    introduce(&nodes.iter().collect::<Vec<_>>(), &[]);
    for gossip in &gossips {
        until_live(gossip, &ids(&nodes)).await;
    }
}

#[tokio::test]
async fn gossip_that_breaks_starts_anew_with_its_values() {
    let nodes = voters(&authority(), 2);
    let gossips: Vec<_> = nodes.iter().map(|node| start(node, 1)).collect();
    gossips[0].set(AGENT, "1").unwrap();
    until_told(&gossips[1], nodes[0].id(), AGENT, "1").await;
    gossips[0].fault.notify_one();
    gossips[0].set(AGENT, "2").unwrap();
    until_told(&gossips[1], nodes[0].id(), AGENT, "2").await;
    until_live(&gossips[0], &ids(&nodes)).await;
}

#[tokio::test]
async fn values_stay_tiny() {
    let nodes = voters(&authority(), 1);
    let gossip = start(&nodes[0], 1);
    assert_eq!(gossip.set(NET, &"x".repeat(65)), Err(SetError::TooLong(NET.into())));
    (0..VALUES_LIMIT).for_each(|key| gossip.set(&key.to_string(), "x").unwrap());
    assert_eq!(gossip.set("more", "x"), Err(SetError::TooMany("more".into())));
    assert_eq!(gossip.set("0", "y"), Ok(()));
}
