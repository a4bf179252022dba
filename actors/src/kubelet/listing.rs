//! What runs on this machine, as the runtime lists it: asked once for all pods, after each change. Main type: [`Listing`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::kubelet::Observed;
use ::kubelet::node::Silence;
use ::kubelet::observed::{Container, Image, Sandbox};
use parking_lot::RwLock;
use runtime::{ContainerRuntime, PodRef, RuntimeError};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::debug;

use super::{Uid, convert};

/// How long an image that was found counts as present. One removed meanwhile fails its next container, which looks anew.
const IMAGE_FRESH: Duration = Duration::from_secs(60);

/// Images remembered; past it all are forgotten and looked up anew.
const IMAGES_MAX: usize = 1024;

/// What the runtime has of one pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// Whose.
    pub pod: PodRef,
    /// All attempts.
    pub sandboxes: Vec<Sandbox>,
    /// All attempts.
    pub containers: Vec<Container>,
}

/// What runs, as last listed.
pub struct Listing {
    runtime: Arc<dyn ContainerRuntime>,
    pods: RwLock<Option<Arc<BTreeMap<Uid, Listed>>>>,
    silence: watch::Sender<Option<Silence>>,
    images: RwLock<BTreeMap<String, (Image, Instant)>>,
    /// Listings asked for, and up to which of them one has begun after.
    wanted: AtomicU64,
    done: tokio::sync::Mutex<u64>,
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listing").field("silence", &*self.silence.borrow()).finish_non_exhaustive()
    }
}

impl Listing {
    /// Nothing is known until [`Listing::refresh`].
    pub fn new(runtime: Arc<dyn ContainerRuntime>) -> Self {
        Self {
            runtime,
            pods: RwLock::default(),
            silence: watch::Sender::new(None),
            images: RwLock::default(),
            wanted: AtomicU64::new(0),
            done: tokio::sync::Mutex::new(0),
        }
    }

    /// Whether the runtime was ever heard, and answered last time.
    pub fn is_known(&self) -> bool {
        self.pods.read().is_some() && self.silence.borrow().is_none()
    }

    /// That the runtime does not answer, if so.
    pub fn silence(&self) -> Option<Silence> {
        self.silence.borrow().clone()
    }

    /// Changes when the runtime falls silent or answers again.
    pub fn told(&self) -> watch::Receiver<Option<Silence>> {
        self.silence.subscribe()
    }

    /// Lists again, from a time after this call; calls that wait share one listing. Returns the pods that changed.
    ///
    /// # Errors
    /// What the runtime says; what was known stays.
    pub async fn refresh(&self) -> Result<BTreeSet<Uid>, RuntimeError> {
        let mine = self.wanted.fetch_add(1, Ordering::AcqRel) + 1;
        let mut done = self.done.lock().await;
        if *done >= mine {
            return Ok(BTreeSet::new());
        }
        let covers = self.wanted.load(Ordering::Acquire);
        let listed = self.list().await.inspect_err(|error| {
            debug!(%error, "the runtime does not list");
            // Without its causes, which say the same once more.
            self.hear(Some(error.to_string()));
        })?;
        *done = covers;
        let before = self.pods.write().replace(Arc::new(listed.clone())).unwrap_or_default();
        // Whoever is woken by this looks at what was listed.
        self.hear(None);
        let uids: BTreeSet<&Uid> = before.keys().chain(listed.keys()).collect();
        Ok(uids.into_iter().filter(|uid| before.get(*uid) != listed.get(*uid)).cloned().collect())
    }

    fn hear(&self, why: Option<String>) {
        self.silence.send_if_modified(|known| {
            let since = known.as_ref().map_or_else(clock::now, |silence| silence.since);
            let heard = why.map(|why| Silence { why, since });
            let news = *known != heard;
            *known = heard;
            news
        });
    }

    async fn list(&self) -> Result<BTreeMap<Uid, Listed>, RuntimeError> {
        // Containers first: one made in between has its sandbox in the second list.
        let containers = self.runtime.containers().await?;
        let sandboxes = self.runtime.sandboxes().await?;
        let mut pods: BTreeMap<Uid, Listed> = BTreeMap::new();
        for container in containers {
            let listed = pods.entry(container.pod.uid.clone()).or_default();
            listed.pod = container.pod.clone();
            listed.containers.push(convert::container(container));
        }
        for sandbox in sandboxes {
            let listed = pods.entry(sandbox.pod.uid.clone()).or_default();
            listed.pod = sandbox.pod.clone();
            listed.sandboxes.push(convert::sandbox(sandbox));
        }
        Ok(pods)
    }

    /// What the runtime has of a pod.
    pub fn of(&self, uid: &str, observed: &mut Observed) {
        let pods = self.pods.read().clone();
        if let Some(listed) = pods.as_ref().and_then(|pods| pods.get(uid)) {
            observed.sandboxes.clone_from(&listed.sandboxes);
            observed.containers.clone_from(&listed.containers);
        }
    }

    /// Whose the runtime's things are.
    pub fn pods(&self) -> Vec<PodRef> {
        let pods = self.pods.read().clone().unwrap_or_default();
        pods.values().map(|listed| listed.pod.clone()).collect()
    }

    /// The images that are present of these references.
    pub async fn images(&self, references: BTreeSet<String>) -> BTreeMap<String, Image> {
        let mut found = BTreeMap::new();
        for reference in references {
            if let Some(image) = self.image(&reference).await {
                found.insert(reference, image);
            }
        }
        found
    }

    async fn image(&self, reference: &str) -> Option<Image> {
        if let Some((image, at)) = self.images.read().get(reference)
            && at.elapsed() < IMAGE_FRESH
        {
            return Some(image.clone());
        }
        // A reference that is none, and a runtime that does not answer, have no image; the pull says why.
        let image = self.runtime.image(reference).await.ok().flatten().map(convert::image)?;
        let mut images = self.images.write();
        if images.len() >= IMAGES_MAX {
            images.clear();
        }
        images.insert(reference.to_owned(), (image.clone(), Instant::now()));
        Some(image)
    }

    /// Looks images up anew.
    pub fn forget_images(&self) {
        self.images.write().clear();
    }
}
