//! Machines within this one: network namespaces with links between them, for tests that need root. Main type: [`Machine`].

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    time::Duration,
};

use ipnet::IpNet;

use crate::{
    netlink::{LOOPBACK, Netlink, Route, Target, Veth},
    netns::{self, Namespace},
};

/// A packet crosses this machine in less than a ms; when none comes within so long, none will.
pub(crate) const PACKET_TIMEOUT: Duration = Duration::from_millis(1500);

/// Port of the servers in these tests.
const PORT: u16 = 7777;

/// A network namespace that plays a machine, or a pod.
pub(crate) struct Machine(Namespace);

impl Machine {
    /// A machine with nothing but `lo`; `None`, with a word, where this is not root. To be made on a thread of a test.
    pub(crate) fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("not run: only root may make network namespaces");
            return None;
        }
        let namespace = netns::apart(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
            Netlink::open()?.set_up(LOOPBACK, None)?;
            Namespace::current()
        });
        Some(Self(namespace.unwrap()))
    }

    /// The one that is mounted here.
    pub(crate) fn mounted(path: &Path) -> Self {
        Self(Namespace::mounted(path).unwrap().unwrap())
    }

    /// Runs a job there.
    pub(crate) fn run<T: Send>(&self, job: impl FnOnce() -> T + Send) -> T {
        self.attempt(|| Ok(job())).unwrap()
    }

    /// Runs a job there which may fail.
    pub(crate) fn attempt<T: Send>(&self, job: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        netns::apart(|| {
            self.0.enter()?;
            job()
        })
    }

    /// Connects two machines by a cable on which they have these addresses.
    pub(crate) fn connect(&self, other: &Self, mtu: u32, here: &[&str], there: &[&str]) {
        let ends = Veth {
            here: ("up0", [2, 0, 0, 0, 0, 1]),
            there: ("up0", [2, 0, 0, 0, 0, 2]),
            namespace: other.0.as_fd(),
            mtu,
        };
        self.run(|| Netlink::open().unwrap().add_veth(&ends).unwrap());
        self.address("up0", here, there);
        other.address("up0", there, here);
    }

    /// Gives a link these addresses, and says that those others are behind it.
    fn address(&self, link: &str, own: &[&str], others: &[&str]) {
        self.run(|| {
            let mut netlink = Netlink::open().unwrap();
            let link = netlink.link(link).unwrap().unwrap();
            netlink.set_up(link, None).unwrap();
            own.iter().for_each(|address| netlink.add_address(link, parse(address)).unwrap());
            for address in others {
                let route = Route { target: Target::Link(link), ..Route::new(IpNet::from(parse(address))) };
                netlink.set_route(&route).unwrap();
            }
        });
    }

    /// Adds an address to a link of this machine.
    pub(crate) fn add_address(&self, link: &str, address: IpAddr) {
        self.run(|| {
            let mut netlink = Netlink::open().unwrap();
            let link = netlink.link(link).unwrap().unwrap();
            netlink.add_address(link, address).unwrap();
        });
    }

    /// Brings a link down or up.
    pub(crate) fn set_link(&self, link: &str, up: bool) {
        self.run(|| {
            let state = if up { "up" } else { "down" };
            let set = std::process::Command::new("ip").args(["link", "set", link, state]).status();
            assert!(set.unwrap().success());
        });
    }

    /// Leads packets to there onto a link: an address or a range.
    pub(crate) fn route(&self, link: &str, to: &str) {
        let to = to.parse().unwrap_or_else(|_| IpNet::from(parse(to)));
        self.run(|| {
            let mut netlink = Netlink::open().unwrap();
            let link = netlink.link(link).unwrap().unwrap();
            netlink.set_route(&Route { target: Target::Link(link), ..Route::new(to) }).unwrap();
        });
    }

    /// Sends a datagram of so many bytes; tells who got there from where.
    pub(crate) fn datagram(&self, from: Option<IpAddr>, to: &Self, address: IpAddr, length: usize) -> Option<IpAddr> {
        let server = to.run(|| UdpSocket::bind(SocketAddr::new(address, PORT)).unwrap());
        server.set_read_timeout(Some(PACKET_TIMEOUT)).unwrap();
        let client = from.unwrap_or_else(|| any(address));
        // It stays until the end: an answer by ICMP finds nobody else.
        let client = self.run(|| UdpSocket::bind((client, 0)).unwrap());
        client.send_to(&vec![7; length], (address, PORT)).ok().filter(|sent| *sent == length)?;
        let mut buffer = vec![0; length + 1];
        let (received, from) = server.recv_from(&mut buffer).ok()?;
        (received == length && buffer[..length].iter().all(|byte| *byte == 7)).then(|| from.ip())
    }

    /// Sends so many bytes over TCP and has them counted; tells whether all arrived, and as whom the client was seen.
    pub(crate) fn stream(&self, to: &Self, address: IpAddr, length: usize) -> io::Result<IpAddr> {
        let listener = to.run(|| TcpListener::bind(SocketAddr::new(address, PORT)).unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, peer) = listener.accept()?;
            let received = io::copy(&mut (&mut stream).take(length as u64), &mut io::sink())?;
            stream.write_all(&received.to_le_bytes())?;
            Ok::<_, io::Error>(peer.ip())
        });
        let exchanged = self.attempt(|| {
            let mut stream = TcpStream::connect_timeout(&SocketAddr::new(address, PORT), PACKET_TIMEOUT)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(&vec![7; length])?;
            let mut received = [0; 8];
            stream.read_exact(&mut received)?;
            assert_eq!(u64::from_le_bytes(received), length as u64);
            Ok(())
        });
        if exchanged.is_err() {
            // Wakes the server, which nobody else will.
            let _ = to.attempt(|| TcpStream::connect_timeout(&SocketAddr::new(address, PORT), PACKET_TIMEOUT));
        }
        let peer = server.join().unwrap();
        exchanged.and(peer)
    }
}

fn any(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::from([0; 4]),
        IpAddr::V6(_) => IpAddr::from([0; 16]),
    }
}

pub(crate) fn parse(address: &str) -> IpAddr {
    address.parse().unwrap()
}
