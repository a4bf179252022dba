//! Streams handed over, and how a server ends.

use std::time::Duration;

use serde_json::json;

use crate::{
    cluster::{Cluster, Who},
    faulty::WAITS,
    watches::Lines,
    wire::{BOTH, Connection, Protocol, ask, check},
};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Far more than any of these tests take.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_stream_handed_over_is_served_like_a_connection() {
    let cluster = Cluster::new().await;
    for protocol in BOTH {
        let (near, far) = tokio::io::duplex(16 << 10);
        let serving = tokio::spawn({
            let server = cluster.server.clone();
            async move { server.serve_stream(far).await }
        });
        let stream = cluster.over(near, &Who::Of(&cluster.authority, "jane"), protocol).await;
        let mut jane = Connection::new(stream, protocol).await;
        check(&mut jane, ask("GET /version"), 200, "major").await;
        check(&mut jane, ask("GET /api/v1/secrets"), 403, "jane").await;
        drop(jane);
        tokio::time::timeout(PATIENCE, serving).await.expect("it ends with its client").unwrap();
    }
}

#[tokio::test]
async fn a_stopping_server_finishes_what_it_began() {
    for protocol in BOTH {
        let cluster = Cluster::new().await;
        let (mut writer, mut watcher) = (cluster.admin(protocol).await, cluster.admin(protocol).await);
        let mut lines = Lines::open(&mut watcher, "").await;
        let map = json!({ "metadata": { "name": WAITS } });
        let write = tokio::spawn(async move { writer.send(ask(&format!("POST {MAPS}")).json(&map)).await });
        cluster.storage.gate.reached.notified().await;
        cluster.stop.cancel();
        while lines.next().await.is_some() {}
        while tokio::net::TcpStream::connect(cluster.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(!cluster.running.is_finished(), "a write is under way");
        cluster.storage.gate.open.notify_one();
        assert_eq!(write.await.unwrap().code, 201);
        tokio::time::timeout(PATIENCE, cluster.running).await.expect("nothing holds it up").unwrap();
    }
}

#[tokio::test]
async fn a_stopping_server_waits_no_longer_than_its_grace() {
    let cluster = Cluster::with(|config| config.drain_timeout_seconds = 1).await;
    let mut writer = cluster.admin(Protocol::H2).await;
    let map = json!({ "metadata": { "name": WAITS } });
    let write = tokio::spawn(async move { writer.begin(ask(&format!("POST {MAPS}")).json(&map)).await });
    cluster.storage.gate.reached.notified().await;
    cluster.stop.cancel();
    tokio::time::timeout(PATIENCE, cluster.running).await.expect("the grace is over").unwrap();
    write.abort();
}
