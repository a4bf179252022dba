//! Nodes with overlays in real namespaces, joined by a cable. Each test needs root.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    pod::{PodNetwork, PodNetworkConfig, overlay_address},
    testing::lab::{Machine, parse},
};

/// No event in these tests takes nearly so long, but for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A node with one pod. Nodes are numbered, and so are their addresses.
struct Node {
    number: u8,
    machine: Machine,
    identity: Arc<Identity>,
    network: PodNetwork,
    pod: Machine,
    mtu: u16,
    peers: watch::Sender<Vec<OverlayPeer>>,
    overlay: Option<Overlay>,
    runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

impl Node {
    fn new(number: u8, mtu: u16) -> Option<Self> {
        let machine = Machine::new()?;
        let dir = tempfile::tempdir().unwrap();
        let config =
            PodNetworkConfig { ranges: ranges(number), state_dir: dir.path().join("state"), mtu: u32::from(mtu) };
        let network = machine.run(|| PodNetwork::open(config).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let pod = Machine::mounted(&runtime.block_on(network.attach("pod")).unwrap().netns);
        let identity = Arc::new(Identity::ephemeral(&mut rand::rng()).unwrap());
        let (peers, _) = watch::channel(Vec::new());
        Some(Self { number, machine, identity, network, pod, mtu, peers, overlay: None, runtime, _dir: dir })
    }

    fn id(&self) -> NodeId {
        self.identity.id()
    }

    /// The pod's addresses, IPv4 and IPv6.
    fn addresses(&self) -> [IpAddr; 2] {
        [parse(&format!("10.42.{}.2", self.number)), parse(&format!("fd42:{}::2", self.number))]
    }

    fn as_peer(&self) -> OverlayPeer {
        OverlayPeer {
            id: self.id(),
            key: self.identity.fingerprint(),
            addresses: vec![SocketAddr::new(parse(&format!("192.0.2.{}", self.number)), 7444)],
            pod_ranges: ranges(self.number),
        }
    }

    fn start(&mut self) {
        let config = OverlayConfig {
            listen: "0.0.0.0:7444".parse().unwrap(),
            identity: self.identity.clone(),
            ranges: ranges(self.number),
            addresses: ranges(self.number).into_iter().filter_map(overlay_address).collect(),
            mtu: self.mtu,
        };
        let peers = self.peers.subscribe();
        self.overlay = Some(self.machine.run(|| Overlay::start(config, peers).unwrap()));
    }

    fn stop(&mut self) {
        self.overlay.take().into_iter().for_each(|overlay| self.runtime.block_on(overlay.stop()));
    }

    /// Ends the overlay as its process's end would.
    fn lose(&mut self) {
        let mut ended = self.overlay.take().unwrap().ended.clone();
        self.runtime.block_on(async { drop(ended.wait_for(|ended| *ended).await) });
    }

    fn overlay(&self) -> &Overlay {
        self.overlay.as_ref().unwrap()
    }

    /// Waits until a path is in this state; tells how long that took.
    fn await_path(&self, peer: NodeId, state: PathState) -> Duration {
        let started = Instant::now();
        let mut paths = self.overlay().paths();
        let wait = async { paths.wait_for(|paths| paths.get(&peer) == Some(&state)).await.map(drop) };
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, wait).await }).unwrap().unwrap();
        started.elapsed()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
        self.runtime.block_on(self.network.dismantle()).unwrap();
    }
}

fn ranges(number: u8) -> Vec<IpNet> {
    [format!("10.42.{number}.0/24"), format!("fd42:{number}::/64")].map(|range| range.parse().unwrap()).to_vec()
}

/// Two nodes on one cable, whose overlays do not run yet.
fn pair(mtus: [u16; 2]) -> Option<[Node; 2]> {
    let [a, b] = [Node::new(1, mtus[0])?, Node::new(2, mtus[1])?];
    a.machine.connect(&b.machine, 1500, &["192.0.2.1"], &["192.0.2.2"]);
    a.peers.send_replace(vec![b.as_peer()]);
    b.peers.send_replace(vec![a.as_peer()]);
    Some([a, b])
}

/// Two nodes that reach each other.
fn connected(mtus: [u16; 2]) -> Option<[Node; 2]> {
    let [mut a, mut b] = pair(mtus)?;
    a.start();
    b.start();
    a.await_path(b.id(), PathState::Alive);
    b.await_path(a.id(), PathState::Alive);
    Some([a, b])
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[test]
fn pods_of_two_nodes_reach_each_other() {
    let Some([a, b]) = connected([1280, 1280]) else { return };
    for (from, to) in [(&a, &b), (&b, &a)] {
        for (own, address) in from.addresses().into_iter().zip(to.addresses()) {
            let largest = if address.is_ipv4() { 1280 - 28 } else { 1280 - 48 };
            for length in [1, largest, largest + 1, 20_000] {
                assert_eq!(from.pod.datagram(None, &to.pod, address, length), Some(own), "{length} bytes");
            }
            assert_eq!(from.pod.stream(&to.pod, address, 4 << 20).unwrap(), own);
        }
    }
    assert_eq!(count(&a.overlay().counters().refused), 0);
}

#[test]
fn a_node_is_seen_by_other_nodes_pods_under_its_overlay_address() {
    let Some([a, b]) = connected([1280, 1280]) else { return };
    for (address, expect) in b.addresses().into_iter().zip(["10.42.1.1", "fd42:1::1"]) {
        assert_eq!(a.machine.datagram(None, &b.pod, address, 1000), Some(parse(expect)));
        assert_eq!(a.machine.stream(&b.pod, address, 100_000).unwrap(), parse(expect));
        assert!(b.pod.stream(&a.machine, parse(expect), 100_000).is_ok());
    }
}

#[test]
fn what_the_path_does_not_carry_is_cut_or_answered() {
    // The second takes no more than 1280 bytes, and the first does not know.
    let Some([a, b]) = connected([1400, 1280]) else { return };
    for (own, address) in a.addresses().into_iter().zip(b.addresses()) {
        assert_eq!(a.pod.stream(&b.pod, address, 1 << 20).unwrap(), own);
        // The first is answered, and from then on the sender's kernel knows.
        let _ = a.pod.datagram(None, &b.pod, address, 1340);
        assert_eq!(a.pod.datagram(None, &b.pod, address, 1340), Some(own));
    }
    assert!(count(&a.overlay().counters().too_long) > 0);
}

#[test]
fn a_source_that_is_not_the_senders_is_dropped() {
    let Some([a, b]) = connected([1280, 1280]) else { return };
    for (forged, address) in ["10.42.7.7", "fd42:7::7"].into_iter().zip(b.addresses()) {
        a.machine.add_address("lo", parse(forged));
        let before = count(&b.overlay().counters().refused);
        assert_eq!(a.machine.datagram(Some(parse(forged)), &b.pod, address, 100), None);
        assert_eq!(count(&b.overlay().counters().refused), before + 1);
    }
    let own = a.addresses()[0];
    assert_eq!(a.pod.datagram(None, &b.pod, b.addresses()[0], 100), Some(own));
}

#[test]
fn a_silent_peer_is_dead_within_about_3_s_and_comes_back() {
    let Some([a, b]) = connected([1280, 1280]) else { return };
    b.machine.set_link("up0", false);
    let took = a.await_path(b.id(), PathState::Dead);
    eprintln!("dead after {took:?}");
    assert!((Duration::from_secs(2)..Duration::from_millis(4500)).contains(&took), "{took:?}");
    assert_eq!(b.await_path(a.id(), PathState::Dead).as_secs(), 0, "both see it at about the same time");
    b.machine.set_link("up0", true);
    b.machine.route("up0", "192.0.2.1");
    let took = a.await_path(b.id(), PathState::Alive);
    eprintln!("back after {took:?}");
    assert_eq!(a.pod.datagram(None, &b.pod, b.addresses()[0], 100), Some(a.addresses()[0]));
}

#[test]
fn a_restarted_end_is_found_again_before_its_path_is_dead() {
    let Some([mut a, mut b]) = connected([1280, 1280]) else { return };
    for restarts_first in [true, false] {
        let (still, restarted) = if restarts_first { (&mut b, &mut a) } else { (&mut a, &mut b) };
        let (from, to) = (still.addresses()[0], restarted.addresses()[0]);
        // As when it is killed: nobody hears a goodbye.
        restarted.machine.set_link("up0", false);
        restarted.lose();
        restarted.machine.set_link("up0", true);
        restarted.machine.route("up0", &format!("192.0.2.{}", still.number));
        restarted.start();
        let took = restarted.await_path(still.id(), PathState::Alive);
        eprintln!("found again after {took:?}");
        still.await_path(restarted.id(), PathState::Alive);
        assert_eq!(restarted.pod.datagram(None, &still.pod, from, 100), Some(to));
        assert_eq!(still.pod.datagram(None, &restarted.pod, to, 100), Some(from));
    }
}

#[test]
fn a_stranger_gets_no_path() {
    let Some([mut a, mut b]) = pair([1280, 1280]) else { return };
    b.peers.send_replace(Vec::new());
    a.start();
    b.start();
    a.await_path(b.id(), PathState::Dead);
    assert!(b.overlay().paths().borrow().is_empty());
    assert_eq!(a.pod.datagram(None, &b.pod, b.addresses()[0], 100), None);
    b.peers.send_replace(vec![a.as_peer()]);
    b.await_path(a.id(), PathState::Alive);
    a.await_path(b.id(), PathState::Alive);
    assert_eq!(a.pod.datagram(None, &b.pod, b.addresses()[0], 100), Some(a.addresses()[0]));
}

#[test]
fn nothing_leaves_in_clear_while_the_overlay_is_away() {
    let Some([mut a, b]) = connected([1280, 1280]) else { return };
    // A default route, as machines have.
    a.machine.route("up0", "0.0.0.0/0");
    b.machine.route("up0", "10.42.1.0/24");
    a.lose();
    assert_eq!(a.pod.datagram(None, &b.pod, b.addresses()[0], 100), None);
}

#[test]
fn a_second_overlay_and_a_small_mtu_are_refused_with_words() {
    let Some([mut a, _b]) = pair([1280, 1280]) else { return };
    a.start();
    let mut config = OverlayConfig {
        listen: "0.0.0.0:7445".parse().unwrap(),
        identity: a.identity.clone(),
        ranges: ranges(1),
        addresses: vec![],
        mtu: 1280,
    };
    let mut start = |mtu| {
        config.mtu = mtu;
        let (_, peers) = watch::channel(Vec::new());
        a.machine.run(|| Overlay::start(config.clone(), peers).unwrap_err().to_string())
    };
    assert!(start(1280).contains("no other node"));
    assert!(start(1279).contains("1280"));
}
