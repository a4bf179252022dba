//! Questions a second that a server answers from its zone, and what one costs. Prints one line per case.
//! `cargo run --release -p dns --example bench`. Leaves out: the network; both ends are in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use dns::{Change, Object, Server, ServerConfig, Upstream};
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use serde_json::json;
use tokio::net::UdpSocket;

/// Services in the zone, as in a first release's cluster.
const SERVICES: usize = 5000;

/// Clients at once, each with one question under way.
const CLIENTS: usize = 32;

/// Questions of each client.
const QUESTIONS: usize = 5000;

/// This thread's CPU time.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

async fn start() -> Server {
    let listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    let config = ServerConfig { listen, domain: "cluster.local".into(), upstream: Upstream::default() };
    let server = Server::start(config).await.expect("a free port");
    let begun = cpu();
    for n in 0..SERVICES {
        let ip = format!("10.43.{}.{}", n / 250, n % 250 + 1);
        let service = json!({ "spec": { "type": "ClusterIP", "clusterIPs": [ip], "ports": [] } });
        let name = format!("s{n}");
        server.zone().apply(Change { kind: Object::Service, namespace: "a", name: &name, object: Some(&service) });
    }
    println!("apply: {:?} each of {SERVICES} Services", (cpu() - begun) / SERVICES as u32);
    server
}

fn question(host: &str) -> Vec<u8> {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(host).expect("a name"), RecordType::A));
    message.to_vec().expect("encodes")
}

async fn client(server: SocketAddr, host: &'static str) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    socket.connect(server).await.expect("an address");
    let (packet, mut buffer) = (question(host), [0; 1500]);
    for _ in 0..QUESTIONS {
        socket.send(&packet).await.expect("sent");
        socket.recv(&mut buffer).await.expect("an answer");
    }
}

fn main() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (ready, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async move {
            let server = start().await;
            ready.send(server.addresses()[0]).expect("heard");
            let (mut before, mut seen) = (cpu(), 0);
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                let asked = server.metrics().requests.get();
                if asked > seen && asked % (CLIENTS * QUESTIONS) as u64 == 0 {
                    println!("  server: {:?} CPU a question", (cpu() - before) / (asked - seen) as u32);
                    (before, seen) = (cpu(), asked);
                }
            }
        });
    });
    let address = address.recv().expect("started");
    for host in ["s7.a.svc.cluster.local.", "none.a.svc.cluster.local.", "s7.a.svc.cluster.local.a.svc.cluster.local."]
    {
        let begun = Instant::now();
        runtime().block_on(async {
            futures::future::join_all((0..CLIENTS).map(|_| client(address, host))).await;
        });
        let rate = (CLIENTS * QUESTIONS) as f64 / begun.elapsed().as_secs_f64();
        println!("{host} {rate:.0} questions/s");
        std::thread::sleep(Duration::from_millis(500));
    }
}
