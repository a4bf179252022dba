//! Pods' networks in real namespaces. Each test plays a node in a namespace of its own, and needs root.

use std::{
    fs,
    time::{Duration, Instant},
};

use super::*;
use crate::testing::lab::{Machine, parse};

/// A node with pods.
struct Node {
    machine: Machine,
    network: PodNetwork,
    config: PodNetworkConfig,
    runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

impl Node {
    fn start(ranges: &[&str]) -> Option<Self> {
        let machine = Machine::new()?;
        let dir = tempfile::tempdir().unwrap();
        let config = PodNetworkConfig {
            ranges: ranges.iter().map(|range| range.parse().unwrap()).collect(),
            state_dir: dir.path().join("state"),
            mtu: 1280,
        };
        let network = machine.run(|| PodNetwork::open(config.clone()).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Some(Self { machine, network, config, runtime, _dir: dir })
    }

    fn attach(&self, uid: &str) -> Attachment {
        self.runtime.block_on(self.network.attach(uid)).unwrap()
    }

    fn detach(&self, uid: &str) {
        self.runtime.block_on(self.network.detach(uid)).unwrap();
    }

    fn pod(&self, uid: &str) -> (Machine, Vec<IpAddr>) {
        let attachment = self.attach(uid);
        (Machine::mounted(&attachment.netns), attachment.addresses)
    }

    /// As a new process finds things.
    fn reopen(&mut self) {
        self.network = self.machine.run(|| PodNetwork::open(self.config.clone()).unwrap());
    }

    fn uids(&self) -> Vec<String> {
        self.network.attached().into_iter().map(|(uid, _)| uid).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.runtime.block_on(self.network.dismantle()).unwrap();
    }
}

#[test]
fn pods_reach_each_other_their_node_and_themselves() {
    let Some(node) = Node::start(&["10.42.1.0/24", "fd42:1::/64"]) else { return };
    let ((a, a_addresses), (b, b_addresses)) = (node.pod("a"), node.pod("b"));
    assert_eq!(b_addresses, [parse("10.42.1.3"), parse("fd42:1::3")]);
    for (own, address) in a_addresses.iter().zip(b_addresses) {
        assert_eq!(a.datagram(None, &b, address, 1000), Some(*own));
        assert_eq!(a.datagram(None, &b, address, 20_000), Some(*own), "in fragments");
        assert_eq!(a.stream(&b, address, 1 << 20).unwrap(), *own);
        assert_eq!(a.datagram(None, &a, *own, 1000), Some(*own), "itself");
    }
    // The node needs an address to be heard at; a real one has several.
    for (own, address) in a_addresses.iter().zip([parse("192.0.2.1"), parse("2001:db8::1")]) {
        node.machine.add_address("lo", address);
        assert_eq!(a.stream(&node.machine, address, 1000).unwrap(), *own);
        assert_eq!(node.machine.stream(&a, *own, 1000).unwrap(), address);
    }
}

#[test]
fn a_pod_is_not_heard_under_an_address_of_another() {
    let Some(node) = Node::start(&["10.42.1.0/24"]) else { return };
    let ((a, own), (b, other)) = (node.pod("a"), node.pod("b"));
    let forged = parse("10.42.1.77");
    a.add_address("eth0", forged);
    assert_eq!(a.datagram(Some(own[0]), &b, other[0], 100), Some(own[0]));
    assert_eq!(a.datagram(Some(forged), &b, other[0], 100), None);
}

#[test]
fn attaching_and_detaching_again_change_nothing() {
    let Some(node) = Node::start(&["10.42.1.0/29"]) else { return };
    let first = node.attach("a");
    assert_eq!(node.attach("a"), first);
    node.detach("a");
    node.detach("a");
    node.detach("never-there");
    assert!(node.uids().is_empty() && !first.netns.exists());
    assert_eq!(node.attach("a").addresses, [parse("10.42.1.3")], "a freed address comes again last");
}

#[test]
fn a_restarted_process_finds_all_pods() {
    let Some(mut node) = Node::start(&["10.42.1.0/24", "fd42:1::/64"]) else { return };
    let (a, b) = (node.attach("a"), node.attach("b"));
    node.detach("b");
    node.reopen();
    assert_eq!(node.network.attached(), [("a".to_owned(), a.clone())]);
    fs::remove_file(node.config.state_dir.join("pod-network.json")).unwrap();
    node.reopen();
    assert_eq!(node.network.attached(), [("a".to_owned(), a)], "the kernel is asked alone");
    assert_eq!(node.attach("c").addresses, b.addresses);
}

#[test]
fn what_a_reboot_left_is_cleared_away() {
    let Some(mut node) = Node::start(&["10.42.1.0/24"]) else { return };
    let gone = node.attach("gone");
    // A reboot takes the mount, not always the file.
    nix::mount::umount(&gone.netns).unwrap();
    node.reopen();
    assert!(node.uids().is_empty() && !gone.netns.exists());
    let (pod, addresses) = node.pod("gone");
    assert_eq!(addresses, [parse("10.42.1.3")]);
    node.machine.add_address("lo", parse("192.0.2.1"));
    assert!(pod.stream(&node.machine, parse("192.0.2.1"), 10).is_ok());
}

#[test]
fn a_damaged_attachment_is_made_whole() {
    let Some(node) = Node::start(&["10.42.1.0/24"]) else { return };
    let (a, addresses) = node.pod("a");
    node.machine.add_address("lo", parse("192.0.2.1"));
    a.run(|| {
        let mut netlink = crate::netlink::Netlink::open().unwrap();
        let link = netlink.link("eth0").unwrap().unwrap();
        netlink.delete_link(link).unwrap();
    });
    assert!(a.stream(&node.machine, parse("192.0.2.1"), 10).is_err());
    assert_eq!(node.pod("a").1, addresses);
    assert!(a.stream(&node.machine, parse("192.0.2.1"), 10).is_ok());
}

#[test]
fn a_full_range_and_a_strange_uid_are_refused() {
    let Some(node) = Node::start(&["10.42.1.0/30"]) else { return };
    node.attach("a");
    let attach = |uid| node.runtime.block_on(node.network.attach(uid)).unwrap_err();
    assert!(matches!(attach("b"), PodNetworkError::Exhausted { .. }));
    for uid in ["", ".", "..", "a/b", "../a", &"x".repeat(129)] {
        assert!(matches!(attach(uid), PodNetworkError::InvalidUid { .. }), "{uid}");
    }
    assert_eq!(node.uids(), ["a"]);
}

#[test]
fn many_pods_are_attached_at_once_and_quickly() {
    const PODS: u32 = 40;
    let Some(node) = Node::start(&["10.42.1.0/24", "fd42:1::/64"]) else { return };
    let started = Instant::now();
    let uids: Vec<String> = (0..PODS).map(|pod| format!("pod-{pod}")).collect();
    let attached = node.runtime.block_on(futures::future::join_all(uids.iter().map(|uid| node.network.attach(uid))));
    let each = started.elapsed() / PODS;
    let addresses: std::collections::BTreeSet<_> =
        attached.into_iter().flat_map(|attached| attached.unwrap().addresses).collect();
    assert_eq!(addresses.len(), 2 * PODS as usize, "none is given twice");
    eprintln!("{PODS} pods attached, {each:?} each");
    assert!(each < Duration::from_millis(150), "{each:?}");
}
