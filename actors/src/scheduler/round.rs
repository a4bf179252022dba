//! One round of scheduling: everything there is, then what changes, until the watch breaks off. Main type: [`Round`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use api::meta;
use apiserver::object;
use scheduler::{Choice, ClusterSnapshot, Node, Placement, Pod, Unschedulable, place};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use super::follow::{Change, KINDS, News, everything};
use super::hands::{Hands, NAME};
use super::pending::{Pending, Waiting};
use super::reserved::Reserved;
use crate::host::Error;

/// Bindings under way at once: they share commits, and leave room for other writers.
const BINDS_AT_ONCE: usize = 64;

/// Tellings under way at once. Past it events are left out, conditions wait for the next try.
const TOLD_AT_ONCE: usize = 256;

/// Pods placed between two chances for others to run.
const PLACED_AT_ONCE: usize = 32;

/// Records read at the start between two chances for others to run.
const RECORDS_AT_ONCE: usize = 256;

/// What pods that are bound, or change their labels, may help against.
const BY_PODS: &[&str] = &["InterPodAffinity", "PodTopologySpread"];

/// What a claim, a volume or a class may help against.
const BY_STORAGE: &[&str] = &["VolumeBinding"];

/// See the file's head.
pub(super) struct Round {
    hands: Hands,
    pub(super) snapshot: ClusterSnapshot,
    pending: Pending,
    pub(super) reserved: Reserved,
    binds: JoinSet<Ended>,
    told: JoinSet<()>,
    pub(super) helped: Helped,
    started: Instant,
}

/// Whom the changes heard in a turn may help.
#[derive(Clone, Copy, Default)]
pub(super) struct Helped {
    /// Those refused for the sake of other pods.
    pods: bool,
    /// Those refused for the sake of their claims.
    pub(super) storage: bool,
    everybody: bool,
}

impl Helped {
    /// The filters whose refusals may not hold any more; `None` where that is nobody's, no names where it is everybody's.
    fn filters(self) -> Option<Vec<&'static str>> {
        let mut filters = Vec::new();
        if self.pods {
            filters.extend(BY_PODS);
        }
        if self.storage {
            filters.extend(BY_STORAGE);
        }
        if self.everybody { Some(Vec::new()) } else { Some(filters).filter(|filters| !filters.is_empty()) }
    }
}

/// Writing that ended.
enum Ended {
    Bound(Bound),
    /// What was chosen for claims.
    Chosen(Vec<String>, Result<(), Error>),
}

/// A binding that ended.
struct Bound {
    key: String,
    object: Arc<Value>,
    node: String,
    result: Result<(), Error>,
}

impl Round {
    /// Schedules until something breaks off.
    pub(super) async fn run(hands: Hands) -> Result<Infallible, Error> {
        hands.ready().await?;
        let view = hands.context.view().await?;
        let mut news = News::after(&view, &hands.context)?;
        let mut round = Self {
            hands,
            snapshot: ClusterSnapshot::default(),
            pending: Pending::default(),
            reserved: Reserved::default(),
            binds: JoinSet::new(),
            told: JoinSet::new(),
            helped: Helped::default(),
            started: Instant::now(),
        };
        for kind in KINDS {
            for (at, change) in everything(&view, kind).enumerate() {
                round.hear(change);
                if at % RECORDS_AT_ONCE == RECORDS_AT_ONCE - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
        drop(view);
        loop {
            round.turn(&mut news).await?;
        }
    }

    /// Hears what there is to hear, then places what can be placed.
    async fn turn(&mut self, news: &mut News) -> Result<(), Error> {
        let due = [self.pending.next_due(), self.reserved.next_due()].into_iter().flatten().min();
        let due = due.map(|due| self.started + due);
        let may_place = self.pending.is_ready() && self.binds.len() < BINDS_AT_ONCE;
        tokio::select! {
            biased;
            changes = news.next() => changes?.into_iter().for_each(|change| self.hear(change)),
            Some(ended) = self.binds.join_next() => self.ended(ended?),
            Some(_) = self.told.join_next() => {}
            () = tokio::task::yield_now(), if may_place => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
        self.expire();
        self.wake();
        self.place_some();
        Ok(())
    }

    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn hear(&mut self, change: Change) {
        let object = change.record.as_deref().map(object::decode);
        match change.kind.kind {
            "Pod" => self.hear_pod(&change.key, object),
            "Namespace" => self.hear_namespace(&change.key, object.as_ref()),
            "Node" => self.hear_node(&change.key, object.as_ref()),
            "PersistentVolumeClaim" => self.hear_claim(&change.key, object),
            "PersistentVolume" => self.hear_volume(&change.key, object),
            _ => self.hear_class(&change.key, object.as_ref()),
        }
    }

    fn hear_namespace(&mut self, name: &str, object: Option<&Value>) {
        let Some(object) = object else { return self.snapshot.remove_namespace(name) };
        let labels = meta::labels(object).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        self.snapshot.set_namespace(name, labels);
    }

    fn hear_node(&mut self, name: &str, object: Option<&Value>) {
        let Some(object) = object else { return self.snapshot.remove_node(name) };
        match Node::read(object) {
            Ok(node) => {
                if self.snapshot.set_node(node) {
                    self.helped.everybody = true;
                }
            }
            Err(error) => warn!(%error, node = name, "node takes no pods"),
        }
    }

    fn hear_pod(&mut self, key: &str, object: Option<Value>) {
        let pod = object.as_ref().map(Pod::read).transpose().inspect_err(|error| warn!(%error, pod = key));
        let (Ok(Some(pod)), Some(object)) = (pod, object) else { return self.gone(key) };
        if pod.finished {
            return self.gone(key);
        }
        if !pod.node.is_empty() {
            self.release(key);
            self.pending.remove(key);
            self.snapshot.set_pod(pod);
            self.helped.pods = true;
            return;
        }
        let mine = pod.scheduler == NAME && !pod.deleting && !pod.gated;
        if mine {
            self.pending.set(key, Waiting { pod: pod.into(), object: object.into() });
        } else {
            self.gone(key);
        }
    }

    /// A pod needs no node, or not any more.
    fn gone(&mut self, key: &str) {
        self.pending.remove(key);
        self.release(key);
        if self.snapshot.holds(key) {
            self.snapshot.remove_pod(key);
            self.helped.everybody = true;
        }
    }

    fn wake(&mut self) {
        if let Some(filters) = std::mem::take(&mut self.helped).filters() {
            self.pending.wake(self.now(), &filters);
        }
    }

    fn place_some(&mut self) {
        for _ in 0..PLACED_AT_ONCE {
            if self.binds.len() >= BINDS_AT_ONCE {
                return;
            }
            let Some((key, waiting)) = self.pending.take(self.now()) else { return };
            match place(&waiting.pod, &self.snapshot) {
                Ok(placement) => self.bind(key, waiting, placement),
                Err(why) => self.park(&key, &waiting, why),
            }
        }
    }

    fn bind(&mut self, key: String, waiting: Waiting, placement: Placement) {
        let Placement { node, score, feasible, choices } = placement;
        debug!(pod = key, node, score, feasible, "pod placed");
        self.snapshot.assume(waiting.pod.clone(), &node);
        match choices.is_empty() {
            true => self.bind_to(key, waiting.object, node),
            false => self.choose(key, waiting, node, choices),
        }
    }

    pub(super) fn bind_to(&mut self, key: String, object: Arc<Value>, node: String) {
        let hands = self.hands.clone();
        self.binds.spawn(async move {
            let result = hands.bind(&object, &node).await;
            Ended::Bound(Bound { key, object, node, result })
        });
    }

    /// Has written what was chosen for a pod's claims; it is bound once they are.
    fn choose(&mut self, key: String, waiting: Waiting, node: String, choices: Vec<Choice>) {
        let todo = self.promise(&choices, &node);
        let claims = choices.iter().map(|choice| choice.claim().to_owned()).collect();
        self.reserved.add(&key, waiting, node.clone(), choices, self.now());
        let hands = self.hands.clone();
        self.binds.spawn(async move {
            for (claim, volume) in &todo {
                if let Err(error) = hands.choose(claim, volume.as_ref(), &node).await {
                    return Ended::Chosen(claims, Err(error));
                }
            }
            Ended::Chosen(claims, Ok(()))
        });
    }

    fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Bound(bound) => self.bound(bound),
            Ended::Chosen(claims, result) => self.chosen(&claims, &result),
        }
    }

    /// A pod that waited for its volumes does not get its node.
    pub(super) fn give_up(&mut self, key: &str, why: &str) {
        let Some(gone) = self.release(key) else { return };
        self.snapshot.forget(key);
        self.pending.failed(key, self.now());
        self.helped.everybody = true;
        let message = format!("running PreBind plugin \"VolumeBinding\": binding volumes: {why}");
        let (hands, object) = (self.hands.clone(), gone.waiting.object);
        self.tell(async move { hands.tell_failed(&object, "SchedulerError", &message).await });
    }

    fn bound(&mut self, bound: Bound) {
        let Bound { key, object, node, result } = bound;
        let hands = self.hands.clone();
        match result {
            Ok(()) => self.tell(async move { hands.tell_bound(&object, &node).await }),
            Err(error) => {
                debug!(%error, pod = key, node, "pod not bound");
                self.snapshot.forget(&key);
                self.pending.failed(&key, self.now());
                self.helped.everybody = true;
            }
        }
    }

    fn park(&mut self, key: &str, waiting: &Waiting, why: Unschedulable) {
        let message = why.to_string();
        debug!(pod = key, message, "pod has no node");
        self.pending.park(key, self.now(), why.refused_by);
        let (hands, object) = (self.hands.clone(), waiting.object.clone());
        self.tell(async move { hands.tell_failed(&object, "Unschedulable", &message).await });
    }

    fn tell(&mut self, telling: impl Future<Output = ()> + Send + 'static) {
        if self.told.len() < TOLD_AT_ONCE {
            self.told.spawn(telling);
        }
    }
}
