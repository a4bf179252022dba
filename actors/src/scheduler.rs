//! Gives pods their nodes, on the leader. Decided by the crate `scheduler`; here are its queue and its hands.
//!
//! While the node leads, one task follows pods, nodes, namespaces and storage in this node's state (`follow`), keeps the
//! snapshot, the queue (`pending`) and those that wait for volumes (`reserved`), and binds through the API as `system:kube-scheduler` (`hands`). A new leader
//! starts from all there is; a deposed one's last writes are refused by the term they carry.
//! Leaves out: preemption.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tracing::{debug, info};

use crate::context::Context;
use crate::host::{Error, Next, Rules, Work};

mod follow;
mod hands;
mod pending;
mod reserved;
mod round;
mod storage;

use hands::Hands;
use round::Round;

/// How often it is looked whether all is as it should be, although nobody asked.
const PERIOD: Duration = Duration::from_secs(10);

/// Wait before a round that broke off starts anew.
const PAUSE: Duration = Duration::from_millis(500);

/// How the host treats a [`Scheduler`].
pub fn rules() -> Rules<()> {
    Rules { name: "scheduler", deadline: Duration::from_secs(10), resync: Some((PERIOD, vec![()])) }
}

/// See the file's head.
pub struct Scheduler {
    context: Arc<Context>,
    /// The term that is scheduled for, and the task that does.
    running: Mutex<Option<(u64, JoinSet<()>)>>,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scheduler")
    }
}

impl Scheduler {
    /// Schedules while the node of this context leads.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, running: Mutex::default() }
    }

    fn refresh(&self) {
        let mut running = self.running.lock();
        let Some(term) = self.context.leading() else {
            *running = None;
            return;
        };
        let runs = running.as_mut().is_some_and(|(of, task)| *of == term && task.try_join_next().is_none());
        if !runs {
            info!(term, "pods are scheduled here");
            let mut task = JoinSet::new();
            task.spawn(schedule(self.context.clone(), term));
            *running = Some((term, task));
        }
    }
}

impl Work for Scheduler {
    type Key = ();

    fn run(&self, (): ()) -> BoxFuture<'_, Result<Next, Error>> {
        self.refresh();
        Box::pin(std::future::ready(Ok(Next::Done)))
    }
}

/// Rounds without end: each starts from all there is.
async fn schedule(context: Arc<Context>, term: u64) {
    let mut told = String::new();
    loop {
        let Err(error) = Round::run(Hands::new(context.clone(), term)).await;
        if told != error.to_string() {
            told = error.to_string();
            debug!(%error, "scheduling broke off, next try in {PAUSE:?}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
