//! The one place that knows restart, watchdog, capacity and observation: [`Host`] runs a [`Work`] over a queue of keys.
//!
//! A host is an actix actor whose only message is "look at your queue"; the keys wait in a set beside the mailbox, so a
//! full mailbox loses nothing. One key runs at a time, as a task on the shared runtime. A panic or a run past its
//! deadline ends the work, which is built anew from its factory: boot, restart and resync are one path.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::queue::{CAPACITY, Queue};

/// Wake-ups that may wait. One is enough: the next look at the queue sees it all.
const MAILBOX_CAPACITY: usize = 1;

/// Why a run failed; told in the log and by [`Observation::last_error`].
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a run wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing until refreshed.
    Done,
    /// The same key again after a while, or earlier when refreshed.
    After(Duration),
}

/// A supervised unit: reads the present state of a key and brings the world one step nearer to it.
/// Dropping it ends every task it owns.
pub trait Work: Send + Sync + 'static {
    /// What it works on; `()` for a singleton.
    type Key: Clone + Ord + Debug + Send + Sync + Unpin + 'static;

    /// Level-triggered: may be called at any time, any number of times.
    fn run(&self, key: Self::Key) -> BoxFuture<'_, Result<Next, Error>>;
}

/// How a [`Host`] treats its work.
#[derive(Clone, Debug)]
pub struct Rules<K> {
    /// In logs and observations.
    pub name: &'static str,
    /// A run that takes longer is ended, and the work built anew.
    pub deadline: Duration,
    /// Keys that are refreshed although nobody asked, and how often: repairs whatever was lost.
    pub resync: Option<(Duration, Vec<K>)>,
}

/// The state of a host, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Observation {
    /// The host's name.
    pub name: &'static str,
    /// Keys that wait.
    pub waiting: usize,
    /// Runs that ended well.
    pub runs: u64,
    /// Runs that ended in an error.
    pub errors: u64,
    /// Times the work was built anew after a panic or a missed deadline.
    pub rebuilt: u64,
    /// Keys set aside because they panicked again and again.
    pub aside: Vec<String>,
    /// The newest error.
    pub last_error: Option<String>,
}

/// Asks a [`Host`] for its [`Observation`].
#[derive(Debug, Message)]
#[rtype(result = "Observation")]
pub struct Observe;

/// Look at the queue.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Wake;

/// End: no new run; the running one is dropped.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Keys on their way to a host.
type Inbox<K> = Arc<Mutex<BTreeSet<K>>>;

/// The sending side of a host; cheap to clone.
#[derive(Clone)]
pub struct Handle<K: Ord + Clone + Send + 'static> {
    inbox: Inbox<K>,
    wake: Recipient<Wake>,
    observe: Recipient<Observe>,
    stop: Recipient<Stop>,
}

impl<K: Ord + Clone + Send + 'static> Debug for Handle<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

impl<K: Ord + Clone + Send + 'static> Handle<K> {
    /// Work on this key, soon. Safe to lose and to repeat.
    pub fn refresh(&self, key: K) {
        let mut inbox = self.inbox.lock();
        if inbox.len() < CAPACITY {
            inbox.insert(key);
        }
        drop(inbox);
        // Full means that a wake-up waits already; closed means that all is ending.
        let _ = self.wake.try_send(Wake);
    }

    /// The host's state; `None` where it has ended.
    pub async fn observe(&self) -> Option<Observation> {
        self.observe.send(Observe).await.ok()
    }

    /// Ends the host and drops its work.
    pub async fn stop(&self) {
        let _ = self.stop.send(Stop).await;
    }
}

/// The actor around a [`Work`].
pub struct Host<W: Work> {
    rules: Rules<W::Key>,
    factory: Box<dyn Fn() -> W + Send>,
    work: Option<Arc<W>>,
    inbox: Inbox<W::Key>,
    queue: Queue<W::Key>,
    running: bool,
    timer: Option<SpawnHandle>,
    seen: Observation,
    started: Instant,
}

impl<W: Work> Host<W> {
    /// Starts a host in an arbiter.
    pub fn start_in(
        arbiter: &ArbiterHandle,
        rules: Rules<W::Key>,
        factory: impl Fn() -> W + Send + 'static,
    ) -> Handle<W::Key> {
        let inbox = Inbox::<W::Key>::default();
        let actor_inbox = inbox.clone();
        let addr = Host::start_in_arbiter(arbiter, move |_| Self {
            seen: Observation { name: rules.name, ..Observation::default() },
            rules,
            factory: Box::new(factory),
            work: None,
            inbox: actor_inbox,
            queue: Queue::default(),
            running: false,
            timer: None,
            started: Instant::now(),
        });
        Handle { inbox, wake: addr.clone().recipient(), observe: addr.clone().recipient(), stop: addr.recipient() }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Starts the next due key, or arms the timer for it.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        let now = self.now();
        for key in std::mem::take(&mut *self.inbox.lock()) {
            self.queue.add(key, now);
        }
        if self.running {
            return;
        }
        match self.queue.take(now) {
            Some(key) => self.run(key, ctx),
            None => self.arm(now, ctx),
        }
    }

    fn arm(&mut self, now: Duration, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(due) = self.queue.next_due() {
            self.timer = Some(ctx.run_later(due.saturating_sub(now), |host, ctx| host.pump(ctx)));
        }
    }

    fn run(&mut self, key: W::Key, ctx: &mut Context<Self>) {
        self.running = true;
        let work = self.work.get_or_insert_with(|| Arc::new((self.factory)())).clone();
        let (deadline, running_key) = (self.rules.deadline, key.clone());
        let mut task = tokio::spawn(async move { work.run(running_key).await });
        let guarded = async move {
            let ended = tokio::time::timeout(deadline, &mut task).await;
            task.abort();
            ended
        };
        let ended = guarded.into_actor(self).map(move |ended, host, ctx| {
            host.running = false;
            match ended {
                Ok(Ok(result)) => host.returned(key, result),
                Ok(Err(panic)) => host.panicked(key, &panic.to_string()),
                Err(_) => host.panicked(key, "no progress within its deadline"),
            }
            host.pump(ctx);
        });
        ctx.spawn(ended);
    }

    fn returned(&mut self, key: W::Key, result: Result<Next, Error>) {
        let now = self.now();
        match result {
            Ok(next) => {
                self.seen.runs += 1;
                self.queue.succeeded(&key);
                if let Next::After(wait) = next {
                    self.queue.add(key, now + wait);
                }
            }
            Err(error) => {
                let wait = self.queue.failed(key.clone(), now, rand::random());
                self.seen.errors += 1;
                debug!(actor = self.rules.name, ?key, %error, "run failed, next try in {wait:?}");
                self.seen.last_error = Some(error.to_string());
            }
        }
    }

    /// The work is in an unknown state: build it anew.
    fn panicked(&mut self, key: W::Key, why: &str) {
        self.work = None;
        self.seen.rebuilt += 1;
        self.seen.last_error = Some(why.to_owned());
        warn!(actor = self.rules.name, ?key, why, "work ended abruptly and is built anew");
        let now = self.now();
        if self.queue.panicked(key.clone(), now, rand::random()) {
            error!(actor = self.rules.name, ?key, "key set aside: it ended the work again and again");
        }
    }
}

impl<W: Work> Actor for Host<W> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        if let Some((period, keys)) = self.rules.resync.clone() {
            let refresh = move |host: &mut Self, ctx: &mut Context<Self>| {
                host.inbox.lock().extend(keys.iter().cloned());
                host.pump(ctx);
            };
            refresh(self, ctx);
            ctx.run_interval(period, refresh);
        }
    }
}

impl<W: Work> Handler<Wake> for Host<W> {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.pump(ctx);
    }
}

impl<W: Work> Handler<Observe> for Host<W> {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Self::Result {
        let aside = self.queue.aside().map(|key| format!("{key:?}")).collect();
        let waiting = self.queue.len() + self.inbox.lock().len();
        MessageResult(Observation { waiting, aside, ..self.seen.clone() })
    }
}

impl<W: Work> Handler<Stop> for Host<W> {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.work = None;
        ctx.stop();
    }
}

#[cfg(test)]
mod tests;
