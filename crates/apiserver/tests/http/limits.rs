//! What the server does not put up with.

use std::time::Duration;

use bytes::Bytes;
use futures::{channel::mpsc, stream};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    cluster::{Cluster, Who},
    faulty::{HANGS, PANICS},
    wire::{Ask, BOTH, Connection, Protocol, ask, check},
};

/// Far more than any of these tests take.
const PATIENCE: Duration = Duration::from_secs(20);

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn post(name: &str) -> Ask {
    ask(&format!("POST {MAPS}")).json(&json!({ "metadata": { "name": name } }))
}

#[tokio::test]
async fn a_body_past_three_mebibytes_is_refused() {
    let cluster = Cluster::new().await;
    let chunks = stream::repeat(Bytes::from(vec![b' '; 64 << 10]));
    let endless = ask(&format!("POST {MAPS}")).with("content-type", "application/json").chunks(chunks);
    let mut admin = cluster.admin(Protocol::H2).await;
    check(&mut admin, endless, 413, "Request entity too large: limit is 3145728").await;
    check(&mut admin, post("after"), 201, "").await;

    let mut stream = cluster.tls(&Who::Admin, Protocol::H1).await;
    let head = format!("POST {MAPS} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3145729\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(first_line(&mut stream).await.starts_with("HTTP/1.1 413 "));
}

async fn first_line(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut answer = [0; 64];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test]
async fn one_write_more_than_there_are_places_for_is_put_off() {
    let cluster = Cluster::with(|config| config.max_writes_in_flight = 1).await;
    let mut admin = cluster.admin(Protocol::H2).await;
    let (mut rest, chunks) = mpsc::channel::<Bytes>(1);
    let stalled = ask(&format!("POST {MAPS}")).with("content-type", "application/json").chunks(chunks);
    rest.try_send(Bytes::from_static(b"{\"metadata\":{")).unwrap();
    let Connection::H2(sender) = &admin else { unreachable!("it was made so") };
    let mut other = Connection::H2(sender.clone());
    let stalled = tokio::spawn(async move { other.send(stalled).await });
    while !check(&mut admin, ask("GET /metrics"), 200, "").await.text().contains("request_kind=\"mutating\"} 1") {
        tokio::task::yield_now().await;
    }
    let put_off = check(&mut admin, post("b"), 429, "Too many requests, please try again later.").await;
    assert_eq!(put_off.header("retry-after"), "1");
    check(&mut admin, ask(&format!("GET {MAPS}")), 200, "").await;
    rest.try_send(Bytes::from_static(b"\"name\":\"a\"}}")).unwrap();
    drop(rest);
    assert_eq!(stalled.await.unwrap().code, 201);
    check(&mut admin, post("b"), 201, "").await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let cluster = Cluster::with(|config| {
        config.request_timeout_seconds = 1;
        config.body_timeout_seconds = 1;
    })
    .await;
    let mut admin = cluster.admin(Protocol::H2).await;
    check(&mut admin, post(HANGS), 504, "request did not complete within the allotted timeout").await;
    let never = ask(&format!("POST {MAPS}")).with("content-type", "application/json").chunks(stream::pending());
    check(&mut admin, never, 408, "\"reason\":\"Timeout\"").await;
}

#[tokio::test]
async fn a_panic_is_one_failed_request() {
    let cluster = Cluster::new().await;
    for protocol in BOTH {
        let mut admin = cluster.admin(protocol).await;
        let answer = admin.send(post(PANICS)).await;
        assert_eq!((answer.code, &answer.json()["reason"]), (500, &json!("InternalError")));
        check(&mut admin, ask(&format!("GET {MAPS}")), 200, "").await;
    }
}

#[tokio::test]
async fn a_client_that_dawdles_is_sent_away() {
    let cluster = Cluster::with(|config| config.header_timeout_seconds = 1).await;
    let rows: [(Protocol, &[u8]); 5] = [
        (Protocol::H1, b""),
        (Protocol::H1, b"GET /version HTTP/1.1\r\nx: "),
        (Protocol::H1, b"PRI * HT"),
        (Protocol::H2, b""),
        (Protocol::H2, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ];
    let rows = rows.map(async |(protocol, start)| {
        let mut stream = cluster.tls(&Who::Admin, protocol).await;
        stream.write_all(start).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{protocol:?} {:?} is still open", String::from_utf8_lossy(start));
    });
    futures::future::join_all(rows).await;
    let mut tcp = tokio::net::TcpStream::connect(cluster.address).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    _ = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("no TLS, no connection");
}
