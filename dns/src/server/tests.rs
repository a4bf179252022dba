//! Real questions to a real server, with another that stands for the internet.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::message::name;
use super::{Server, ServerConfig, Upstream};
use crate::zone::{Change, Object};

/// Longest wait for an answer: beyond every time-out of the server.
const PATIENCE: Duration = Duration::from_secs(15);

async fn server(domain: &str, upstream: &[SocketAddr]) -> Server {
    let listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    let upstream = Upstream { servers: upstream.to_vec() };
    Server::start(ServerConfig { listen, domain: domain.into(), upstream }).await.expect("a free port")
}

fn apply(server: &Server, kind: Object, name: &str, object: &Value) {
    server.zone().apply(Change { kind, namespace: "shop", name, object: Some(object) });
}

fn service(server: &Server, name: &str, spec: &Value) {
    apply(server, Object::Service, name, &json!({ "spec": spec }));
}

/// The cluster's server, and the one behind it.
async fn servers() -> (Server, Server) {
    let internet = server("example.com", &[]).await;
    service(&internet, "www", &json!({ "type": "ClusterIP", "clusterIPs": ["192.0.2.80"] }));
    let cluster = server("cluster.local", internet.addresses()).await;
    service(&cluster, "web", &json!({ "type": "ClusterIP", "clusterIPs": ["10.43.0.7"] }));
    service(&cluster, "ext", &json!({ "type": "ExternalName", "externalName": "www.shop.svc.example.com" }));
    service(&cluster, "alias", &json!({ "type": "ExternalName", "externalName": "web.shop.svc.cluster.local" }));
    service(&cluster, "many", &json!({ "type": "ClusterIP", "clusterIPs": ["None"] }));
    let endpoints: Vec<Value> =
        (0..200).map(|n| json!({ "addresses": [format!("10.1.{}.{}", n / 100, n % 100 + 1)] })).collect();
    let slice = json!({ "metadata": { "labels": { "kubernetes.io/service-name": "many" } }, "endpoints": endpoints });
    apply(&cluster, Object::EndpointSlice, "many-1", &slice);
    (cluster, internet)
}

fn question(host: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name(host).expect("a name"), kind));
    message
}

async fn over_udp(server: SocketAddr, packet: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    socket.connect(server).await.expect("an address");
    socket.send(packet).await.expect("sent");
    let mut buffer = vec![0; 65_535];
    let received = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("in time");
    buffer.truncate(received.expect("an answer"));
    buffer
}

async fn ask(server: &Server, message: &Message) -> Message {
    let answer = over_udp(server.addresses()[0], &message.to_vec().expect("encodes")).await;
    let answer = Message::from_vec(&answer).expect("decodes");
    assert_eq!(answer.metadata.id, message.metadata.id);
    assert!(answer.metadata.recursion_available);
    answer
}

fn told(answer: &Message) -> (ResponseCode, Vec<String>) {
    let record = |record: &hickory_proto::rr::Record| format!("{} {}", record.name, record.data);
    (answer.metadata.response_code, answer.answers.iter().map(record).collect())
}

async fn check(server: &Server, host: &str, kind: RecordType, code: ResponseCode, expect: &[&str]) {
    let answer = ask(server, &question(host, kind)).await;
    let (found, records) = told(&answer);
    assert_eq!((found, records.iter().map(String::as_str).collect::<Vec<_>>()), (code, expect.to_vec()), "{host}");
}

#[tokio::test]
async fn answers_for_the_cluster_and_forwards_the_rest() {
    let (cluster, _internet) = servers().await;
    let (ok, none) = (ResponseCode::NoError, ResponseCode::NXDomain);
    check(&cluster, "web.shop.svc.cluster.local", RecordType::A, ok, &["web.shop.svc.cluster.local. 10.43.0.7"]).await;
    check(&cluster, "WEB.shop.svc.Cluster.local", RecordType::A, ok, &["WEB.shop.svc.Cluster.local. 10.43.0.7"]).await;
    check(&cluster, "web.shop.svc.cluster.local", RecordType::AAAA, ok, &[]).await;
    check(&cluster, "nope.shop.svc.cluster.local", RecordType::A, none, &[]).await;
    check(&cluster, "www.shop.svc.example.com", RecordType::A, ok, &["www.shop.svc.example.com. 192.0.2.80"]).await;
    check(&cluster, "nope.shop.svc.example.com", RecordType::A, none, &[]).await;
    check(
        &cluster,
        "ext.shop.svc.cluster.local",
        RecordType::A,
        ok,
        &["ext.shop.svc.cluster.local. www.shop.svc.example.com.", "www.shop.svc.example.com. 192.0.2.80"],
    )
    .await;
    check(
        &cluster,
        "alias.shop.svc.cluster.local",
        RecordType::A,
        ok,
        &["alias.shop.svc.cluster.local. web.shop.svc.cluster.local.", "web.shop.svc.cluster.local. 10.43.0.7"],
    )
    .await;
    check(
        &cluster,
        "7.0.43.10.in-addr.arpa",
        RecordType::PTR,
        ok,
        &["7.0.43.10.in-addr.arpa. web.shop.svc.cluster.local."],
    )
    .await;
}

#[tokio::test]
async fn a_server_follows_another_at_its_address_and_no_question_is_lost() {
    let old = server("cluster.local", &[]).await;
    let config = ServerConfig {
        listen: old.addresses().to_vec(),
        domain: "cluster.local".into(),
        upstream: Upstream { servers: Vec::new() },
    };
    let new = Server::start(config).await.expect("a place beside the old one");
    for server in [&old, &new] {
        service(server, "web", &json!({ "type": "ClusterIP", "clusterIPs": ["10.43.0.7"] }));
    }
    let expect = ["web.shop.svc.cluster.local. 10.43.0.7"];
    let asks = || check(&new, "web.shop.svc.cluster.local", RecordType::A, ResponseCode::NoError, &expect);
    // Each question comes from a port of its own: the kernel gives it to the one or the other.
    for _ in 0..20 {
        asks().await;
    }
    old.stop().await;
    for _ in 0..20 {
        asks().await;
    }
    assert!(new.metrics().local.get() >= 20, "the new one answers all once it is alone");
}

#[tokio::test]
async fn a_negative_answer_tells_how_long_it_holds() {
    let (cluster, _internet) = servers().await;
    for (host, kind) in
        [("nope.shop.svc.cluster.local", RecordType::A), ("web.shop.svc.cluster.local", RecordType::AAAA)]
    {
        let answer = ask(&cluster, &question(host, kind)).await;
        let [authority] = &answer.authorities[..] else { panic!("one authority for {host}") };
        assert_eq!(
            (authority.record_type(), authority.ttl, authority.name.to_string()),
            (RecordType::SOA, 5, "cluster.local.".into())
        );
        assert!(answer.metadata.authoritative);
    }
}

#[tokio::test]
async fn what_does_not_fit_is_asked_for_over_tcp() {
    let (cluster, _internet) = servers().await;
    let mut message = question("many.shop.svc.cluster.local", RecordType::A);
    let cut = ask(&cluster, &message).await;
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    message.set_edns(edns);
    assert!(ask(&cluster, &message).await.metadata.truncation, "no answer is ever in fragments");
    let packet = message.to_vec().expect("encodes");
    let mut stream = TcpStream::connect(cluster.addresses()[0]).await.expect("connected");
    for _ in 0..2 {
        stream.write_u16(u16::try_from(packet.len()).expect("short")).await.expect("sent");
        stream.write_all(&packet).await.expect("sent");
        let mut answer = vec![0; stream.read_u16().await.expect("a length").into()];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(Message::from_vec(&answer).expect("decodes").answers.len(), 200);
    }
}

#[tokio::test]
async fn odd_packets_are_refused_or_dropped() {
    let (cluster, _internet) = servers().await;
    let mut class = question("web.shop.svc.cluster.local", RecordType::A);
    class.queries[0].set_query_class(DNSClass::CH);
    let mut edns = question("web.shop.svc.cluster.local", RecordType::A);
    edns.set_edns(Edns::new().set_version(1).clone());
    let mut notify = question("web.shop.svc.cluster.local", RecordType::A);
    notify.metadata.op_code = OpCode::Notify;
    let any = question("web.shop.svc.cluster.local", RecordType::ANY);
    let cases = [
        (class, ResponseCode::Refused),
        (edns, ResponseCode::BADVERS),
        (notify, ResponseCode::NotImp),
        (any, ResponseCode::NotImp),
    ];
    for (message, code) in cases {
        // One number has two names.
        assert_eq!(u16::from(ask(&cluster, &message).await.metadata.response_code), u16::from(code));
    }
    let broken = over_udp(cluster.addresses()[0], &[7, 7, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 1]).await;
    assert_eq!((&broken[..2], broken[3] & 15), (&[7, 7][..], 1), "FORMERR");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    socket.send_to(&[1, 2, 3], cluster.addresses()[0]).await.expect("sent");
    check(
        &cluster,
        "dns-version.cluster.local",
        RecordType::TXT,
        ResponseCode::NoError,
        &["dns-version.cluster.local. 1.1.0"],
    )
    .await;
    assert_eq!(cluster.metrics().dropped.get(), 1);
}

#[tokio::test]
async fn answers_of_others_are_kept_and_equal_questions_are_one() {
    let (cluster, internet) = servers().await;
    let asked = question("www.shop.svc.example.com", RecordType::A);
    for _ in 0..3 {
        ask(&cluster, &asked).await;
    }
    assert_eq!((cluster.metrics().forwarded.get(), cluster.metrics().cached.get()), (1, 2));
    let fresh = question("none.shop.svc.example.com", RecordType::A);
    futures::future::join_all((0..20).map(|_| ask(&cluster, &fresh))).await;
    assert_eq!(internet.metrics().requests.get(), 2);
}

#[tokio::test]
async fn a_server_that_ended_frees_its_address() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let first = server("cluster.local", &[silent.local_addr().expect("bound")]).await;
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let packet = question("slow.example", RecordType::A).to_vec().expect("encodes");
    client.send_to(&packet, first.addresses()[0]).await.expect("sent");
    silent.recv(&mut [0; 512]).await.expect("forwarded");
    let listen = first.addresses().to_vec();
    first.stop().await;
    let config = ServerConfig { listen, domain: "cluster.local".into(), upstream: Upstream::default() };
    assert!(Server::start(config).await.is_ok());
}

#[tokio::test]
async fn a_server_behind_which_it_stands_itself_ends_the_ring() {
    let first = server("one.example", &[]).await;
    let second = server("two.example", first.addresses()).await;
    first.set_upstream(&Upstream { servers: second.addresses().to_vec() });
    let answer = ask(&first, &question("somewhere.else", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(first.metrics().requests.get() < 20, "{}", first.metrics().requests.get());
    first.set_upstream(&Upstream { servers: first.addresses().to_vec() });
    let answer = ask(&first, &question("another.else", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail, "it never asks itself");
}
