//! A node with pods and a neighbour, in network namespaces. Main type: [`Lab`].

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use super::super::*;
use super::{around, facts};
use crate::pod::{PodNetwork, PodNetworkConfig};
use crate::testing::lab::{Machine, PACKET_TIMEOUT};

/// The node's address towards the neighbour, and the neighbour's.
pub(super) const NODE: &str = "192.0.2.1";
pub(super) const NEIGHBOUR: &str = "192.0.2.2";
pub(super) const NODE_V6: &str = "2001:db8::1";
const NEIGHBOUR_V6: &str = "2001:db8::2";

/// A node that serves Services.
pub(super) struct Lab {
    pub(super) node: Machine,
    pub(super) neighbour: Machine,
    pub(super) proxy: Proxy,
    network: PodNetwork,
    runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

impl Lab {
    /// `None` where this is not root.
    pub(super) fn start() -> Option<Self> {
        let (node, neighbour) = (Machine::new()?, Machine::new()?);
        node.connect(&neighbour, 1500, &[NODE, NODE_V6], &[NEIGHBOUR, NEIGHBOUR_V6]);
        let dir = tempfile::tempdir().unwrap();
        let state_dir = dir.path().join("state");
        let config = PodNetworkConfig { ranges: facts().own_pods, state_dir, mtu: 1280 };
        let network = node.run(|| PodNetwork::open(config).unwrap());
        // What the overlay does where there is one: a way to Services, under the overlay address.
        for (range, own) in [("10.43.0.0/16", "10.42.0.1"), ("fd43::/112", "fd42:1::1")] {
            node.add_address("lo", own.parse().unwrap());
            let route = ["route", "replace", range, "dev", "lo", "src", own];
            node.run(|| assert!(std::process::Command::new("ip").args(route).status().unwrap().success()));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let proxy = Proxy::new(Table::new(facts(), around()), Nft::default());
        Some(Self { node, neighbour, proxy, network, runtime, _dir: dir })
    }

    /// A pod and its IPv4 address.
    pub(super) fn pod(&self, uid: &str) -> (Machine, IpAddr) {
        let (pod, addresses) = self.dual_pod(uid);
        (pod, addresses[0])
    }

    /// A pod and its addresses, IPv4 first.
    pub(super) fn dual_pod(&self, uid: &str) -> (Machine, Vec<IpAddr>) {
        let attached = self.runtime.block_on(self.network.attach(uid)).unwrap();
        (Machine::mounted(&attached.netns), attached.addresses)
    }

    /// Changes the table and puts it in force; returns how many elements that took.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Table)) -> usize {
        change(&mut self.proxy.table);
        let proxy = &mut self.proxy;
        self.node.run(|| block_on(proxy.sync()).unwrap())
    }

    /// Has it look for its table.
    pub(super) fn look(&mut self) {
        let proxy = &mut self.proxy;
        self.node.run(|| block_on(proxy.look()).unwrap());
    }

    /// A new process that knows nothing yet.
    pub(super) fn restart(&mut self) {
        self.proxy = Proxy::new(Table::new(facts(), around()), Nft::default());
    }

    /// What the kernel holds, counted by word.
    pub(super) fn listing(&self) -> String {
        let list = || std::process::Command::new("nft").args(["list", "table", "inet", "mesh"]).output().unwrap();
        String::from_utf8(self.node.run(list).stdout).unwrap()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.runtime.block_on(self.network.dismantle()).unwrap();
    }
}

/// Answers every TCP connection and every datagram on a port with `name client-address`, until the process ends. A
/// connection is answered line by line.
pub(super) fn serve(machine: &Machine, name: &str, port: u16) {
    let listener = machine.run(|| TcpListener::bind(("::", port)).unwrap());
    let tcp = name.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, name) = (stream.unwrap(), tcp.clone());
            std::thread::spawn(move || {
                let mut byte = [0];
                while let (Ok(1), Ok(peer)) = (stream.read(&mut byte), stream.peer_addr()) {
                    if writeln!(stream, "{name} {}", peer.ip().to_canonical()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let socket = machine.run(|| UdpSocket::bind(("::", port)).unwrap());
    let udp = name.to_owned();
    std::thread::spawn(move || {
        let mut byte = [0];
        while let Ok((_, peer)) = socket.recv_from(&mut byte) {
            let _ = socket.send_to(format!("{udp} {}\n", peer.ip().to_canonical()).as_bytes(), peer);
        }
    });
}

/// A connection that stays open.
pub(super) struct Connection(TcpStream);

impl Connection {
    pub(super) fn open(machine: &Machine, to: &str) -> io::Result<Self> {
        let to: SocketAddr = to.parse().unwrap();
        let stream = machine.attempt(|| TcpStream::connect_timeout(&to, PACKET_TIMEOUT))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        Ok(Self(stream))
    }

    /// Says something and reads the answer.
    pub(super) fn ask(&mut self) -> io::Result<String> {
        self.0.write_all(b"?")?;
        let mut answer = String::new();
        let mut byte = [0];
        while self.0.read(&mut byte)? == 1 && byte[0] != b'\n' {
            answer.push(byte[0].into());
        }
        Ok(answer)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Connects anew and asks once.
pub(super) fn ask(machine: &Machine, to: &str) -> io::Result<String> {
    Connection::open(machine, to)?.ask()
}

/// A UDP client that keeps its port.
pub(super) struct Datagrams(UdpSocket);

impl Datagrams {
    pub(super) fn open(machine: &Machine, to: &str) -> Self {
        let to: SocketAddr = to.parse().unwrap();
        let socket = machine.run(|| UdpSocket::bind(("0.0.0.0", 0)).unwrap());
        machine.run(|| socket.connect(to).unwrap());
        socket.set_read_timeout(Some(PACKET_TIMEOUT)).unwrap();
        Self(socket)
    }

    pub(super) fn ask(&self) -> io::Result<String> {
        self.0.send(b"?")?;
        let mut answer = [0; 64];
        let length = self.0.recv(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..length]).trim().to_owned())
    }
}
