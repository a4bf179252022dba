//! WATCH: what changes in a collection, as it happens. Main type: [`Feed`].
//! Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>.
//!
//! A feed yields changes, not bytes: [`crate::render`] writes them, the in-process client takes them as they are.

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt};
use store::{Event, Freshness, Record, Revision, View, Watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::{
    http::query::Query,
    pipeline::{Answer, Reply, Request},
    select::Selection,
    shared::Shared,
    status::ApiError,
    version,
};

/// Objects of the initial state handed over at a time, so that a large collection is not rendered at once.
const INITIAL_CHUNK: usize = 256;

/// Longest time a watch may ask for, as upstream has none: a day.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// One change as a watcher sees it.
#[derive(Clone, Debug)]
pub enum Change {
    /// It is there now, or was at the start.
    Added(Arc<Record>),
    /// It has changed.
    Modified(Arc<Record>),
    /// It is gone, or no longer wanted, since this revision.
    Deleted(Arc<Record>, Revision),
    /// Nothing up to here was missed; `initial` ends the initial state.
    Bookmark {
        /// Up to where.
        revision: Revision,
        /// Does it end the initial state?
        initial: bool,
    },
    /// The last one: why the watch ends.
    Failed(ApiError),
}

/// A running watch.
pub struct Feed {
    shared: Arc<Shared>,
    watch: Option<Watch>,
    selection: Selection,
    initial: VecDeque<Arc<Record>>,
    initial_end: Option<Revision>,
    seen: Revision,
    bookmarks: Option<Interval>,
    deadline: Pin<Box<Sleep>>,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    failed: Option<ApiError>,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("scope", &self.selection.scope).field("seen", &self.seen).finish_non_exhaustive()
    }
}

/// Where a watch starts.
struct Start {
    after: Revision,
    initial: Option<View>,
    announced: bool,
}

/// Starts a watch.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    let target = &request.target;
    let selection = Selection::of(target.kind, &target.namespace, &request.query)?;
    let start = start(shared, &request.query).await?;
    let feed = Feed::new(shared, selection, start, &request.query)?;
    Ok(Reply { code: 200, answer: Answer::Watch(Box::new(feed)), warnings: Vec::new() })
}

async fn start(shared: &Arc<Shared>, query: &Query) -> Result<Start, ApiError> {
    let streaming = query.has("sendInitialEvents").then(|| query.flag("sendInitialEvents"));
    match (streaming, query.get("resourceVersionMatch")) {
        (None, Some(_)) => {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return Err(version::refuse("resourceVersionMatch", why));
        }
        (Some(_), rule) if rule != Some("NotOlderThan") => {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return Err(version::refuse("resourceVersionMatch", why));
        }
        _ => {}
    }
    let asked = query.get("resourceVersion").map(version::parse).transpose()?;
    let from_now = asked.is_none_or(|r| r == Revision(0));
    if streaming == Some(true) || (streaming.is_none() && from_now) {
        let view = shared.storage.read(version::freshness(query.get("resourceVersion"))?).await?;
        return Ok(Start { after: view.revision(), initial: Some(view), announced: streaming == Some(true) });
    }
    let after = match asked.filter(|_| !from_now) {
        Some(revision) => {
            shared.storage.read(Freshness::AtLeast(revision)).await?;
            revision
        }
        None => shared.storage.read(Freshness::Linearizable).await?.revision(),
    };
    Ok(Start { after, initial: None, announced: false })
}

impl Feed {
    fn new(shared: &Arc<Shared>, selection: Selection, start: Start, query: &Query) -> Result<Self, ApiError> {
        let timeout = timeout(query.get("timeoutSeconds"), shared.config.watch_timeout_seconds)?;
        let bookmarks = query.flag("allowWatchBookmarks").then(|| bookmarks(shared.config.bookmark_period_seconds));
        let (watch, failed) = match shared.storage.watch(selection.scope.clone(), start.after) {
            Ok(watch) => (Some(watch), None),
            Err(error) => (None, Some(ApiError::from(error))),
        };
        let initial = start.initial.as_ref();
        let items = initial.map(|view| super::list::page(view, &selection, 0, None).records);
        Ok(Self {
            shared: Arc::clone(shared),
            watch,
            initial: items.unwrap_or_default().into(),
            initial_end: (start.announced && bookmarks.is_some()).then_some(start.after),
            seen: start.after,
            bookmarks,
            deadline: Box::pin(tokio::time::sleep(timeout)),
            closing: Box::pin(shared.closing.clone().cancelled_owned()),
            selection,
            failed,
        })
    }

    /// The next changes, never none; `None` at the end.
    pub async fn next(&mut self) -> Option<Vec<Change>> {
        if let Some(changes) = self.initial() {
            return Some(changes);
        }
        if let Some(error) = self.failed.take() {
            self.watch = None;
            return Some(vec![Change::Failed(error)]);
        }
        loop {
            let watch = self.watch.as_mut()?;
            let batch = tokio::select! {
                biased;
                () = self.closing.as_mut() => return None,
                batch = watch.next() => batch?,
                () = self.deadline.as_mut() => return self.last(),
                () = tick(self.bookmarks.as_mut()) => match self.bookmark().await {
                    Some(changes) => return Some(changes),
                    None => continue,
                },
            };
            let changes = self.take(batch);
            if !changes.is_empty() {
                return Some(changes);
            }
        }
    }

    /// A chunk of the state at the start, and the bookmark that ends it.
    fn initial(&mut self) -> Option<Vec<Change>> {
        if self.initial.is_empty() && self.initial_end.is_none() {
            return None;
        }
        let chunk = self.initial.len().min(INITIAL_CHUNK);
        let mut changes: Vec<_> = self.initial.drain(..chunk).map(Change::Added).collect();
        if self.initial.is_empty() {
            let end = self.initial_end.take().map(|revision| Change::Bookmark { revision, initial: true });
            changes.extend(end);
        }
        Some(changes)
    }

    /// What a batch of the store means to this watcher.
    fn take(&mut self, batch: Result<store::Batch, store::WatchError>) -> Vec<Change> {
        match batch {
            Ok(events) => {
                self.seen = events.last().map_or(self.seen, |event| event.revision);
                events.iter().filter_map(|event| change(&self.selection, event)).collect()
            }
            Err(error) => {
                self.watch = None;
                vec![Change::Failed(error.into())]
            }
        }
    }

    /// A bookmark at what this node has, unless an event came first, which is what it gives then.
    async fn bookmark(&mut self) -> Option<Vec<Change>> {
        let view = self.shared.storage.read(Freshness::Any).await.ok()?;
        if let Some(batch) = self.watch.as_mut()?.next().now_or_never() {
            return Some(self.take(batch?)).filter(|changes| !changes.is_empty());
        }
        self.seen = self.seen.max(view.revision());
        Some(vec![Change::Bookmark { revision: self.seen, initial: false }])
    }

    /// The bookmark at the watch's time-out.
    fn last(&mut self) -> Option<Vec<Change>> {
        self.watch = None;
        self.bookmarks.as_ref()?;
        Some(vec![Change::Bookmark { revision: self.seen, initial: false }])
    }
}

/// What an event means to one who wants only what the selection takes.
fn change(selection: &Selection, event: &Event) -> Option<Change> {
    let takes = |record: &Option<Arc<Record>>| record.as_ref().filter(|r| selection.takes(r)).cloned();
    match (takes(&event.old), takes(&event.new)) {
        (None, None) => None,
        (None, Some(new)) => Some(Change::Added(new)),
        (Some(_), Some(new)) => Some(Change::Modified(new)),
        (Some(old), None) => Some(Change::Deleted(old, event.revision)),
    }
}

fn timeout(text: Option<&str>, default_seconds: u64) -> Result<Duration, ApiError> {
    let Some(text) = text else {
        let spread = 1.0 + rand::random::<f64>();
        return Ok(Duration::from_secs(default_seconds).mul_f64(spread));
    };
    let seconds: u64 = text.parse().map_err(|_| {
        ApiError::bad_request(format!("timeoutSeconds: invalid value {text:?}: give a whole number of seconds"))
    })?;
    Ok(Duration::from_secs(if seconds == 0 { default_seconds } else { seconds }).min(MAX_TIMEOUT))
}

/// Ticks once a period, at an offset of its own, so that watchers are not all due at once.
fn bookmarks(period_seconds: u64) -> Interval {
    let period = Duration::from_secs(period_seconds);
    let mut interval =
        tokio::time::interval_at(Instant::now() + period.mul_f64(0.5 + rand::random::<f64>() / 2.0), period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn tick(interval: Option<&mut Interval>) {
    match interval {
        Some(interval) => _ = interval.tick().await,
        None => std::future::pending().await,
    }
}
