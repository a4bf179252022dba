//! Fills the controllers' queues while this node leads: all keys first, then those of what changes. Main type: [`Feed`].

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use api::kinds::Kind;
use apiserver::object;
use controllers::Watch;
use controllers::change::stored;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::select_all;
use parking_lot::Mutex;
use store::{Freshness, Record, Scope, Storage, View};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, error, info};

use super::snapshot::Changed;
use super::{Queues, facts};
use crate::context::Context;
use crate::host::{Error, Next, Rules, Work};

/// How often every key is asked for although nothing changed. Repairs what was lost; costs a walk over all objects.
const RESYNC: Duration = Duration::from_secs(600);

/// Wait before a feed that broke off starts anew.
const PAUSE: Duration = Duration::from_secs(1);

/// How often it is looked whether the feed is as it should be, although nobody asked.
const PERIOD: Duration = Duration::from_secs(10);

/// Records of a resync between two chances for others to run.
const RECORDS_AT_ONCE: usize = 256;

/// How the host treats a [`Feed`].
pub fn feed_rules() -> Rules<()> {
    Rules { name: "controllers", deadline: Duration::from_secs(10), resync: Some((PERIOD, vec![()])) }
}

/// See the file's head.
pub struct Feed {
    context: Arc<Context>,
    queues: Queues,
    /// The term that is fed for, and the task that does.
    feeding: Mutex<Option<(u64, JoinSet<()>)>>,
}

impl Feed {
    /// Feeds these queues while the node of this context leads.
    pub fn new(context: Arc<Context>, queues: Queues) -> Self {
        Self { context, queues, feeding: Mutex::default() }
    }

    fn refresh(&self) {
        let mut feeding = self.feeding.lock();
        let Some(term) = self.context.leading() else {
            if feeding.take().is_some() {
                self.queues.objects.clear();
            }
            return;
        };
        let fed = feeding.as_mut().is_some_and(|(fed, task)| *fed == term && task.try_join_next().is_none());
        if !fed {
            info!(term, "controllers run here");
            let mut task = JoinSet::new();
            task.spawn(feed(self.context.clone(), self.queues.clone()));
            *feeding = Some((term, task));
        }
    }
}

impl Work for Feed {
    type Key = ();

    fn run(&self, (): ()) -> BoxFuture<'_, Result<Next, Error>> {
        self.refresh();
        Box::pin(std::future::ready(Ok(Next::Done)))
    }
}

async fn feed(context: Arc<Context>, queues: Queues) {
    loop {
        // What controllers decide is written through it.
        if context.api.subscribe().wait_for(Option::is_some).await.is_err() {
            return;
        }
        let ended = tokio::select! {
            ended = round(&context, &queues) => ended,
            ended = facts::follow(&context, &queues) => ended,
        };
        if let Err(error) = ended {
            debug!(%error, "feed of the controllers broke off, next try in {PAUSE:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Everything, then what changes, until it is time for everything again.
async fn round(context: &Context, queues: &Queues) -> Result<(), Error> {
    let view = context.view().await?;
    for kind in stored() {
        for (at, record) in view.range(&object::prefix(kind, ""), None).enumerate() {
            queues.tell(&view, kind, None, Some(record));
            if at % RECORDS_AT_ONCE == RECORDS_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
        }
    }
    let mut news = Vec::new();
    for kind in stored() {
        let scope = Scope { prefix: object::prefix(kind, ""), index: None };
        news.push(context.raft.watch(scope, view.revision())?.map(move |batch| (kind, batch)));
    }
    let (mut news, end) = (select_all(news), Instant::now() + RESYNC);
    while let Ok(next) = timeout_at(end, news.next()).await {
        let (kind, batch) = next.ok_or("the watches ended")?;
        let batch = batch?;
        let Some(first) = batch.first() else { continue };
        // Watches are told before views: what is woken must not read the past.
        let view = context.raft.read(Freshness::AtLeast(first.revision)).await?;
        batch.iter().for_each(|event| queues.tell(&view, kind, event.old.as_deref(), event.new.as_deref()));
    }
    Ok(())
}

impl Queues {
    /// Wakes the keys that a change concerns.
    fn tell(&self, view: &View, kind: &'static Kind, old: Option<&Record>, new: Option<&Record>) {
        let Some(subject) = new.or(old) else { return };
        let Some(key) = api::key::parse(&subject.key) else { return };
        let change = Changed { kind, key, old, new, objects: &self.objects, former: OnceCell::new(), view };
        for (controller, handle) in &self.rows {
            let watches =
                controller.watches.iter().filter(|watch| watch.kinds.each().any(|one| std::ptr::eq(one, kind)));
            for key in watches.flat_map(|watch| keys(watch, &change, controller.name)) {
                handle.refresh(key);
            }
        }
    }
}

/// An object that a controller cannot bear is skipped, so that it holds up no other.
fn keys(watch: &Watch, change: &Changed<'_>, controller: &str) -> Vec<controllers::Key> {
    let mut keys = Vec::new();
    let told = catch_unwind(AssertUnwindSafe(|| (watch.keys)(change, &mut keys)));
    if told.is_err() {
        error!(controller, kind = change.kind.kind, key = ?change.key, "change skipped: the controller panicked over it");
    }
    keys
}
