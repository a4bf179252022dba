//! A watch as a stream of events: [`Events`].

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::client::{Client, JSON};

/// Longest event: more than the largest object that a server takes.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// What happens to a collection.
pub(crate) struct Events {
    stream: Incoming,
    buffer: Vec<u8>,
}

impl Events {
    /// What happens from now on.
    ///
    /// # Errors
    /// Where the watch is refused.
    pub(crate) async fn of(client: &Client, collection: &str) -> Result<Self> {
        let from = client.revision(collection).await?;
        let path = format!("{collection}?watch=true&timeoutSeconds=600&resourceVersion={from}");
        let stream = client.send(Method::GET, &path, JSON, Bytes::new()).await?.into_body();
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// The next object and what happened to it: `ADDED`, `MODIFIED`, `DELETED`.
    ///
    /// # Errors
    /// Where the watch ends.
    pub(crate) async fn next(&mut self) -> Result<(String, Value)> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let mut event: Value = serde_json::from_slice(&line)?;
                let kind = event["type"].as_str().unwrap_or_default().to_owned();
                ensure!(kind != "ERROR", "the watch ended: {}", event["object"]);
                return Ok((kind, event["object"].take()));
            }
            let frame = self.stream.frame().await.context("the watch ended")??;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
            ensure!(self.buffer.len() <= EVENT_BYTES_MAX, "an event has no end");
        }
    }
}
