//! The real endpoint over a network of channels, which loses every tenth datagram.

use std::{
    collections::HashMap,
    sync::{
        Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::*;
use crate::{
    Endpoint, EndpointConfig, Identity, PeerTable, Protocol, Role,
    testing::{Echo, Node, authority, certificate, introduce, soon},
};

/// Datagrams under way to one end; more are lost.
const QUEUE: usize = 1024;

type Datagram = (SocketAddr, Vec<u8>);

#[derive(Debug, Default)]
struct Network {
    ends: Mutex<HashMap<SocketAddr, mpsc::Sender<Datagram>>>,
    sent: AtomicUsize,
}

#[derive(Debug)]
struct End {
    address: SocketAddr,
    network: Weak<Network>,
    arrived: Mutex<mpsc::Receiver<Datagram>>,
}

impl Network {
    fn end(self: &Arc<Self>, address: &str) -> Arc<End> {
        let address = address.parse().unwrap();
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.ends.lock().insert(address, sender);
        Arc::new(End { address, network: Arc::downgrade(self), arrived: Mutex::new(receiver) })
    }
}

impl Datagrams for End {
    fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let network = self.network.upgrade().ok_or(io::ErrorKind::BrokenPipe)?;
        if network.sent.fetch_add(1, Ordering::Relaxed) % 10 != 9
            && let Some(end) = network.ends.lock().get(&to)
        {
            let _ = end.try_send((self.address, datagram.to_vec()));
        }
        Ok(())
    }

    fn poll_receive(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.arrived.lock().poll_recv(context).map(|arrived| {
            let (from, datagram) = arrived.ok_or(io::ErrorKind::BrokenPipe)?;
            buffer[..datagram.len()].copy_from_slice(&datagram);
            Ok((datagram.len(), from))
        })
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[tokio::test]
async fn an_endpoint_runs_over_any_network_and_survives_its_losses() {
    let ca = authority();
    let network = Arc::new(Network::default());
    let node = |address: &str| {
        let identity = Arc::new(Identity::ephemeral(&mut rand::rng()).unwrap());
        let peers = PeerTable::new();
        let config = EndpointConfig {
            identity: identity.clone(),
            certificate: certificate(&ca, &identity, std::time::SystemTime::now()),
            authority: ca.certificate().to_vec(),
            peers: peers.clone(),
        };
        let endpoint = Endpoint::start_over(config, network.end(address)).unwrap();
        let address = endpoint.local_address().unwrap();
        Node { identity, endpoint, peers, address }
    };
    let nodes = [node("10.0.0.1:7443"), node("10.0.0.2:7443")];
    introduce(&[&nodes[0], &nodes[1]], &[]);
    assert_eq!(nodes[0].peer(Role::Voter).addresses, ["10.0.0.1:7443".parse().unwrap()]);
    nodes[1].endpoint.serve(Protocol::Raft, Arc::new(Echo));
    for _ in 0..50 {
        soon(nodes[0].call(nodes[1].id(), Protocol::Raft, 1)).await.unwrap();
    }
    assert!(network.sent.load(Ordering::Relaxed) > 100);
}
