//! A client that lists once and watches from there, through whatever node serves it: [`Watcher`].
//! Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::COLLECTION;
use super::api::Api;
use super::history::Token;
use super::writer::token;

/// Longest silence of a stream: a node that stands still keeps its connections open.
const SILENCE: Duration = Duration::from_secs(4);

/// Prefixes of the names of our objects; others live in the namespace, too.
const OURS: [&str; 3] = ["register-", "own-", "mark-"];

/// One change of one object, as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The revision of the change.
    pub revision: u64,
    /// The object's name.
    pub key: String,
    /// What it holds now; 0 where it was removed.
    pub token: Token,
}

/// What one watcher was told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// In the order told, over all its streams.
    pub events: Vec<Event>,
    /// What no watch may do: a change told late or again, a revision that is gone.
    pub wrong: Vec<String>,
    /// Streams that it needed.
    pub streams: usize,
}

/// One watcher.
#[derive(Debug)]
pub(super) struct Watcher {
    api: Api,
    told: Told,
    /// Everything up to it was told.
    at: u64,
    /// The run ends once this was told; 0 while that is not known.
    end: Arc<AtomicU64>,
}

impl Watcher {
    /// Lists once. The namespace must hold nothing of ours yet.
    pub(super) fn new(mut api: Api, end: Arc<AtomicU64>) -> Result<Self> {
        let answer = api.ask("GET", COLLECTION, "application/json", "")?;
        let list = answer.json();
        ensure!(answer.code == 200, "listing: {list}");
        let at = list["metadata"]["resourceVersion"].as_str().context("the list has a revision")?.parse()?;
        let items = list["items"].as_array().context("the list has items")?;
        let ours = items.iter().filter(|one| is_ours(one["metadata"]["name"].as_str().unwrap_or_default())).count();
        ensure!(ours == 0, "{ours} objects are there already");
        Ok(Self { api, told: Told::default(), at, end })
    }

    /// Watches until the end was told, and `limit` longer at most once it is known.
    pub(super) fn run(mut self, limit: Duration) -> Told {
        let mut deadline = None;
        while !self.is_done() {
            // A stream may end for any reason: what counts is that the next one goes on where it stopped.
            let _ = self.stream();
            if self.end.load(Ordering::Acquire) > 0 && Instant::now() > *deadline.get_or_insert(Instant::now() + limit)
            {
                self.told.wrong.push(format!("stands at {} {limit:?} after the end", self.at));
                break;
            }
        }
        self.told
    }

    fn is_done(&self) -> bool {
        let end = self.end.load(Ordering::Acquire);
        end > 0 && self.at >= end
    }

    fn stream(&mut self) -> Result<()> {
        self.told.streams += 1;
        let path = format!("{COLLECTION}?watch=1&allowWatchBookmarks=true&resourceVersion={}", self.at);
        let (answer, mut connection) = self.api.follow(&path, SILENCE)?;
        if answer.code != 200 {
            self.refused(answer.code);
        }
        let mut told = answer.code == 200;
        while told && !self.is_done() {
            told = match connection.line() {
                Ok(Some(line)) => self.tell(&line).is_ok(),
                Ok(None) | Err(_) => false,
            };
        }
        self.api.move_on();
        Ok(())
    }

    fn tell(&mut self, line: &[u8]) -> Result<()> {
        let event: Value = serde_json::from_slice(line)?;
        let (kind, object) = (event["type"].as_str().unwrap_or_default(), &event["object"]);
        if kind == "ERROR" {
            self.refused(object["code"].as_u64().and_then(|code| code.try_into().ok()).unwrap_or(0));
            bail!("the stream ended: {object}");
        }
        let revision = object["metadata"]["resourceVersion"].as_str().context("a revision")?.parse()?;
        let key = object["metadata"]["name"].as_str().unwrap_or_default();
        let in_order = if kind == "BOOKMARK" { revision >= self.at } else { revision > self.at };
        if !in_order {
            self.told.wrong.push(format!("{kind} {key} at {revision} was told after {}", self.at));
        }
        self.at = self.at.max(revision);
        if kind != "BOOKMARK" && is_ours(key) {
            let token = if kind == "DELETED" { 0 } else { token(object) };
            self.told.events.push(Event { revision, key: key.into(), token });
        }
        Ok(())
    }

    fn refused(&mut self, code: u16) {
        if code == 410 {
            self.told.wrong.push(format!("revision {} is gone: changes were missed", self.at));
        }
    }
}

fn is_ours(name: &str) -> bool {
    OURS.iter().any(|prefix| name.starts_with(prefix))
}
