//! A collection of the cluster in this node's memory, kept equal to it for ever. Main type: [`Mirror`].
//!
//! One watch with the state at its start; where it ends, another goes on from the newest revision seen, and one that
//! fell too far behind starts with the state anew. Readers never wait; what is here while no voter answers is the last known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ::api::{kinds::Kind, meta};
use futures::StreamExt;
use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::api::Api;
use super::wire::News;

/// Wait after a watch that failed; doubles up to [`LONGEST_WAIT`], spread by a random part.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Longest wait after a watch that failed: the cluster is back for this node at most this much later.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Refusals in a row after which it is told: that many are no matter of seconds.
const REFUSALS_TOLD: u32 = 8;

/// Namespace (empty for kinds without) and name.
pub type Key = (String, String);

/// A collection in memory. Clones share it; the last one dropped ends the watch.
#[derive(Clone)]
pub struct Mirror {
    shared: Arc<Shared>,
    _task: Arc<Ending>,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror").field("objects", &self.shared.objects.read().len()).finish_non_exhaustive()
    }
}

struct Ending(JoinHandle<()>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Shared {
    objects: RwLock<BTreeMap<Key, Arc<Value>>>,
    /// Whether the whole collection was seen once.
    synced: watch::Sender<bool>,
    followers: Mutex<Vec<Weak<Follower>>>,
}

#[derive(Default)]
struct Follower {
    keys: Mutex<BTreeSet<Key>>,
    woken: Notify,
}

/// Keys whose objects changed; each waits once, so that there are never more than objects.
pub struct Changes(Arc<Follower>);

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Changes")
    }
}

impl Changes {
    /// The keys that changed since the last call; waits for the first one.
    pub async fn next(&mut self) -> BTreeSet<Key> {
        loop {
            let keys = std::mem::take(&mut *self.0.keys.lock());
            if !keys.is_empty() {
                return keys;
            }
            self.0.woken.notified().await;
        }
    }
}

impl Mirror {
    /// Starts to follow a collection; `parameters` as in a URL (`fieldSelector`, `labelSelector`).
    pub fn start(api: Api, kind: &'static Kind, namespace: &str, parameters: &[(&str, &str)]) -> Self {
        Self::start_from(api, kind, namespace, parameters, None)
    }

    /// The same, of a state that is no older than a revision.
    pub fn start_from(
        api: Api,
        kind: &'static Kind,
        namespace: &str,
        parameters: &[(&str, &str)],
        seen: Option<u64>,
    ) -> Self {
        let shared = Arc::new(Shared {
            objects: RwLock::default(),
            synced: watch::Sender::new(false),
            followers: Mutex::default(),
        });
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let follow =
            Follow { api, kind, namespace: namespace.to_owned(), parameters, shared: shared.clone(), seen, refused: 0 };
        Self { shared, _task: Arc::new(Ending(tokio::spawn(follow.run()))) }
    }

    /// An object, as last seen.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.shared.objects.read().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// The first object that is so, as last seen.
    pub fn find(&self, is: impl Fn(&Value) -> bool) -> Option<Arc<Value>> {
        self.shared.objects.read().values().find(|object| is(object)).cloned()
    }

    /// All objects, as last seen.
    pub fn list(&self) -> Vec<Arc<Value>> {
        self.shared.objects.read().values().cloned().collect()
    }

    /// Whether the whole collection was seen once: only then does an absence say anything.
    pub fn synced(&self) -> bool {
        *self.shared.synced.borrow()
    }

    /// Returns once [`Mirror::synced`].
    pub async fn wait_synced(&self) {
        // The sender lives as long as `self`.
        let _ = self.shared.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// The keys that change from now on, after all that are there.
    pub fn changes(&self) -> Changes {
        let follower = Arc::new(Follower::default());
        // Registered before the keys are read: none falls between.
        self.shared.followers.lock().push(Arc::downgrade(&follower));
        let keys: Vec<Key> = self.shared.objects.read().keys().cloned().collect();
        follower.keys.lock().extend(keys);
        follower.woken.notify_one();
        Changes(follower)
    }
}

impl Shared {
    fn tell(&self, keys: &BTreeSet<Key>) {
        self.followers.lock().retain(|follower| {
            let Some(follower) = follower.upgrade() else { return false };
            follower.keys.lock().extend(keys.iter().cloned());
            follower.woken.notify_one();
            true
        });
    }
}

/// What follows the collection.
struct Follow {
    api: Api,
    kind: &'static Kind,
    namespace: String,
    parameters: Vec<(String, String)>,
    shared: Arc<Shared>,
    /// The newest revision up to which nothing is missing here.
    seen: Option<u64>,
    /// Refusals in a row.
    refused: u32,
}

impl Follow {
    async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        // State at the start is wanted at first, and again after the watch fell behind.
        let mut anew = true;
        loop {
            let ended = self.once(anew).await;
            if ended.went_well {
                wait = FIRST_WAIT;
            }
            anew = ended.anew;
            tokio::time::sleep(wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn once(&mut self, anew: bool) -> Ended {
        let parameters = self.parameters(anew);
        let parameters: Vec<(&str, &str)> = parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let mut feed = match self.api.watch(self.kind, &self.namespace, &parameters).await {
            Ok(feed) => feed,
            Err(error) => return self.failed(&error, anew, false),
        };
        let mut present = anew.then(BTreeSet::new);
        while let Some(news) = feed.next().await {
            if let Some(error) = self.take(news, &mut present) {
                return self.failed(&error, present.is_some(), present.is_none());
            }
        }
        Ended { anew: present.is_some(), went_well: present.is_none() }
    }

    fn failed(&mut self, error: &apiserver::ApiError, anew: bool, went_well: bool) -> Ended {
        self.refused = if error.code() == 403 { self.refused.saturating_add(1) } else { 0 };
        match self.refused {
            // Before that the authorizers may not have seen yet what entitles this node.
            REFUSALS_TOLD => warn!(resource = self.kind.plural, %error, "not followed"),
            _ => debug!(resource = self.kind.plural, %error, "followed anew"),
        }
        Ended { anew: anew || error.code() == 410, went_well }
    }

    fn parameters(&self, anew: bool) -> Vec<(String, String)> {
        let mut parameters = self.parameters.clone();
        let mut add = |name: &str, value: String| parameters.push((name.to_owned(), value));
        add("allowWatchBookmarks", "true".into());
        // Zero: as this voter has it, also without a quorum. Never older than what was seen: a voter that lags must not
        // bring back what is gone.
        add("resourceVersion", self.seen.unwrap_or(0).to_string());
        if anew {
            add("sendInitialEvents", "true".into());
            add("resourceVersionMatch", "NotOlderThan".into());
        }
        parameters
    }

    /// Takes news over; `present` are the keys seen while the state at the start still comes. Returns why the watch ends.
    fn take(&mut self, news: Vec<News>, present: &mut Option<BTreeSet<Key>>) -> Option<apiserver::ApiError> {
        let mut changed = BTreeSet::new();
        let mut failed = None;
        for piece in news {
            match piece {
                News::Put(object) => {
                    let key = self.note(&object);
                    if let Some(present) = present {
                        present.insert(key.clone());
                    }
                    self.put(&key, object, &mut changed);
                }
                News::Gone(object) => {
                    let key = self.note(&object);
                    if self.shared.objects.write().remove(&key).is_some() {
                        changed.insert(key);
                    }
                }
                News::Bookmark { revision, initial } => {
                    if initial && let Some(present) = present.take() {
                        self.keep(&present, &mut changed);
                    }
                    if present.is_none() {
                        self.seen = Some(self.seen.unwrap_or(0).max(revision));
                        self.shared.synced.send_if_modified(|synced| !std::mem::replace(synced, true));
                    }
                }
                News::Failed(error) => failed = Some(error),
            }
        }
        if !changed.is_empty() {
            self.shared.tell(&changed);
        }
        failed
    }

    /// The key of an object, its revision noted unless objects of the state at the start, which come in key order.
    fn note(&mut self, object: &Value) -> Key {
        if let (Some(seen), Ok(revision)) = (self.seen, meta::resource_version(object).parse::<u64>())
            && *self.shared.synced.borrow()
        {
            self.seen = Some(seen.max(revision));
        }
        (meta::namespace(object).to_owned(), meta::name(object).to_owned())
    }

    fn put(&self, key: &Key, object: Value, changed: &mut BTreeSet<Key>) {
        let mut objects = self.shared.objects.write();
        if objects.get(key).is_none_or(|known| **known != object) {
            objects.insert(key.clone(), Arc::new(object));
            changed.insert(key.clone());
        }
    }

    /// Forgets what was not in the state at the start.
    fn keep(&self, present: &BTreeSet<Key>, changed: &mut BTreeSet<Key>) {
        self.shared.objects.write().retain(|key, _| {
            let stays = present.contains(key);
            if !stays {
                changed.insert(key.clone());
            }
            stays
        });
    }
}

/// How one watch ended.
struct Ended {
    /// The next one needs the state at its start.
    anew: bool,
    /// It had told all of the state.
    went_well: bool,
}
