//! A watch as it crosses the wire.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    wire::{BOTH, Connection, Protocol, ask, check},
};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Reads events, line by line.
pub(crate) struct Lines {
    body: Incoming,
    read: BytesMut,
}

impl Lines {
    pub(crate) async fn open(connection: &mut Connection, parameters: &str) -> Self {
        Self::open_as(connection, parameters, "application/json").await
    }

    async fn open_as(connection: &mut Connection, parameters: &str, accept: &str) -> Self {
        let asked = ask(&format!("GET {MAPS}?watch=true&{parameters}")).with("accept", accept);
        let response = connection.begin(asked).await.unwrap();
        let media_type = accept.split(';').next().unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &media_type.parse().unwrap())
        );
        Self { body: response.into_body(), read: BytesMut::new() }
    }

    /// The next line; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                return Some(self.read.split_to(end + 1).freeze());
            }
            match self.body.frame().await {
                Some(frame) => self.read.extend_from_slice(&frame.unwrap().into_data().unwrap()),
                None => {
                    assert!(self.read.is_empty(), "the last line is whole");
                    return None;
                }
            }
        }
    }

    /// The next event, as its type and the object's name.
    pub(crate) async fn event(&mut self) -> Option<(String, String)> {
        let event: Value = serde_json::from_slice(&self.next().await?).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Some((text(&event["type"]), text(&event["object"]["metadata"]["name"])))
    }
}

fn told(kind: &str, name: &str) -> Option<(String, String)> {
    Some((kind.to_owned(), name.to_owned()))
}

#[tokio::test]
async fn every_event_is_a_line_sent_at_once() {
    let cluster = Cluster::new().await;
    for protocol in BOTH {
        let mut admin = cluster.admin(Protocol::H2).await;
        let mut watcher = cluster.admin(protocol).await;
        let name = format!("a{}", protocol.alpn().len());
        let start = check(&mut admin, ask(&format!("GET {MAPS}")), 200, "").await.json();
        let from = start["metadata"]["resourceVersion"].as_str().unwrap();
        let mut lines = Lines::open(&mut watcher, &format!("resourceVersion={from}")).await;
        let map = json!({ "metadata": { "name": name }, "data": { "text": "two\nlines" } });
        check(&mut admin, ask(&format!("POST {MAPS}")).json(&map), 201, "").await;
        assert_eq!(lines.event().await, told("ADDED", &name));
        let patch = ask(&format!("PATCH {MAPS}/{name}")).with("content-type", "application/merge-patch+json");
        check(&mut admin, patch.bytes(r#"{"data":null}"#), 200, "").await;
        assert_eq!(lines.event().await, told("MODIFIED", &name));
        check(&mut admin, ask(&format!("DELETE {MAPS}/{name}")), 200, "").await;
        assert_eq!(lines.event().await, told("DELETED", &name));
    }
}

#[tokio::test]
async fn rows_tell_ages_as_of_their_event() {
    let cluster = Cluster::new().await;
    let (mut admin, mut watcher) = (cluster.admin(Protocol::H2).await, cluster.admin(Protocol::H2).await);
    check(&mut admin, ask(&format!("POST {MAPS}")).json(&json!({ "metadata": { "name": "a" } })), 201, "").await;
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let only = "resourceVersion=0&fieldSelector=metadata.name%3Da";
    let mut lines = Lines::open_as(&mut watcher, only, table).await;
    lines.next().await.expect("it is there");
    for hours in [3, 5] {
        clock::set_offset_millis(hours * 3_600_000);
        let patch = ask(&format!("PATCH {MAPS}/a")).with("content-type", "application/merge-patch+json");
        check(&mut admin, patch.bytes(format!(r#"{{"data":{{"h":"{hours}"}}}}"#)), 200, "").await;
        let event: Value = serde_json::from_slice(&lines.next().await.unwrap()).unwrap();
        let age = event["object"]["rows"][0]["cells"][2].as_str().unwrap();
        assert!(age.starts_with(&format!("{hours}h")), "{age}");
    }
}

#[tokio::test]
async fn a_watch_ends_at_its_time_with_a_bookmark() {
    let cluster = Cluster::new().await;
    for protocol in BOTH {
        let mut watcher = cluster.admin(protocol).await;
        let parameters = "timeoutSeconds=1&allowWatchBookmarks=true&sendInitialEvents=true\
            &resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name%3Dkube-root-ca.crt";
        let mut lines = Lines::open(&mut watcher, parameters).await;
        let mut events = Vec::new();
        while let Some(line) = lines.next().await {
            events.push(serde_json::from_slice::<Value>(&line).unwrap());
        }
        let [.., initial, last] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(initial["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
        assert_eq!((&last["type"], &last["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
        assert!(last["object"]["metadata"]["resourceVersion"].is_string());
    }
}

#[tokio::test]
async fn a_watch_that_fails_says_why_in_its_last_line() {
    let cluster = Cluster::new().await;
    let mut admin = cluster.admin(Protocol::H2).await;
    let map = json!({ "metadata": { "name": "seen" } });
    check(&mut admin, ask(&format!("POST {MAPS}")).json(&map), 201, "").await;
    let mut lines = Lines::open(&mut admin, "resourceVersion=1").await;
    assert!(lines.event().await.is_some(), "the window reaches back to the start");
    cluster.storage.memory.disconnect_all();
    let last = loop {
        let line: Value = serde_json::from_slice(&lines.next().await.unwrap()).unwrap();
        if line["type"] == "ERROR" {
            break line;
        }
    };
    assert_eq!((&last["object"]["kind"], &last["object"]["code"]), (&json!("Status"), &json!(503)));
    assert_eq!(lines.next().await, None);
}
