//! The network of this node's pods: a namespace each, a routed veth pair, addresses out of the node's ranges.
//!
//! Main type: [`PodNetwork`]. What upstream asks of it: <https://kubernetes.io/docs/concepts/services-networking/>.
//! There is no bridge: a pod has `/32` and `/128` addresses and one next hop, its end of the pair in the node's namespace, and
//! the node has one route per pod. Services, policies and traffic between nodes are not made here.

mod addresses;
mod book;
mod link;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use ipnet::IpNet;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::netns::{self, Namespace};
use book::Book;

pub use addresses::overlay_address;
pub use link::HOST_LINK_PREFIX;

/// Pods attached or detached at once; the kernel does most of it one by one.
const AT_ONCE: usize = 16;

/// Longest UID, in bytes: upstream's have 36; a file has its name.
const MAX_UID: usize = 128;

/// What a [`PodNetwork`] needs to know.
#[derive(Clone, Debug)]
pub struct PodNetworkConfig {
    /// This node's pod ranges, at most one per family. The first usable address of each is the node's own.
    pub ranges: Vec<IpNet>,
    /// What a reboot ends: holds `netns/<uid>` and `pod-network.json`.
    pub state_dir: PathBuf,
    /// Largest packet of a pod, in bytes.
    pub mtu: u32,
}

/// Where a pod is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its network namespace, as a path that containers may join.
    pub netns: PathBuf,
    /// Its addresses, in the order of the node's ranges: one per family.
    pub addresses: Vec<IpAddr>,
}

/// Why a pod has no network.
#[derive(Debug, thiserror::Error)]
pub enum PodNetworkError {
    /// No address is free: retry once pods have gone.
    #[error(
        "all addresses of {range} are in use by pods: remove pods from this node, or give it a larger range \
         (`mesh up --pod-range`)"
    )]
    Exhausted {
        /// The range.
        range: IpNet,
    },
    /// It could not name a file.
    #[error("{uid:?} is no pod UID: letters, digits, `-`, `_` and `.`, 128 of them at most")]
    InvalidUid {
        /// The UID given.
        uid: String,
    },
    /// The kernel or the file system refused: retry.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

impl PodNetworkError {
    fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

/// A handle; clones share the network. It is kept by kernel and files: dropping the handle changes nothing.
#[derive(Clone, Debug)]
pub struct PodNetwork(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: PodNetworkConfig,
    /// `<stateDir>/netns`.
    directory: PathBuf,
    /// The namespace of the node itself.
    node: Namespace,
    book: Mutex<Book>,
    /// One job at a time for a pod, and a bound on all: a pod's turn is chosen by the hash of its UID.
    turns: [Arc<tokio::sync::Mutex<()>>; AT_ONCE],
}

impl PodNetwork {
    /// Opens the network in the calling thread's network namespace, which is from then on the node's. Pods that are
    /// attached stay so, half-made ones and what a reboot left are cleared away. Blocks for some ms.
    ///
    /// # Errors
    /// [`PodNetworkError::Io`], where this is not root among others.
    pub fn open(config: PodNetworkConfig) -> Result<Self, PodNetworkError> {
        let directory = config.state_dir.join("netns");
        let directory = netns::prepare_directory(&directory)
            .map_err(PodNetworkError::io(format!("make {} a place for network namespaces", directory.display())))?;
        let node = Namespace::current().map_err(PodNetworkError::io("open the node's network namespace"))?;
        link::prepare_node(&config.ranges).map_err(PodNetworkError::io("prepare the node's network namespace"))?;
        let mut book = Book::load(&config.state_dir, &config.ranges);
        let found = found(&directory, &node).map_err(PodNetworkError::io("look at the attached pods"))?;
        book.set_pods(found);
        let turns = std::array::from_fn(|_| Arc::default());
        Ok(Self(Arc::new(Shared { config, directory, node, book: Mutex::new(book), turns })))
    }

    /// Attaches a pod. Done before, it is made whole where something is missing, and keeps its addresses.
    ///
    /// # Errors
    /// [`PodNetworkError`]; asking again is safe.
    pub async fn attach(&self, uid: &str) -> Result<Attachment, PodNetworkError> {
        self.in_turn(uid, Shared::attach).await
    }

    /// Detaches a pod and frees its addresses, which are given out again as late as possible. One that is not attached is as good.
    /// Processes of the pod that still run keep a namespace with nothing but `lo`.
    ///
    /// # Errors
    /// [`PodNetworkError`]; asking again is safe.
    pub async fn detach(&self, uid: &str) -> Result<(), PodNetworkError> {
        self.in_turn(uid, Shared::detach).await
    }

    /// All attached pods by UID, those of earlier processes included.
    pub fn attached(&self) -> Vec<(String, Attachment)> {
        let attachment = |(uid, addresses): (&String, &Vec<IpAddr>)| (uid.clone(), self.0.attachment(uid, addresses));
        self.0.book.lock().pods().iter().map(attachment).collect()
    }

    /// Detaches every pod and gives back the node's namespace as it was found, for a node that leaves for good.
    ///
    /// # Errors
    /// [`PodNetworkError`]; asking again is safe.
    pub async fn dismantle(&self) -> Result<(), PodNetworkError> {
        for (uid, _) in self.attached() {
            self.detach(&uid).await?;
        }
        self.in_turn("", |shared, _| shared.dismantle()).await
    }

    /// Runs a job of a pod on a thread of its own; it ends though its caller stops waiting.
    async fn in_turn<T: Send + 'static>(
        &self,
        uid: &str,
        job: fn(&Shared, &str) -> Result<T, PodNetworkError>,
    ) -> Result<T, PodNetworkError> {
        let mut hasher = DefaultHasher::new();
        uid.hash(&mut hasher);
        let turn = self.0.turns[hasher.finish() as usize % AT_ONCE].clone().lock_owned().await;
        let (shared, uid) = (self.0.clone(), uid.to_owned());
        let (answer, answered) = oneshot::channel();
        let run = move || {
            let _ = answer.send(job(&shared, &uid));
            drop(turn);
        };
        thread::Builder::new()
            .name("pod-network".into())
            .spawn(run)
            .map_err(PodNetworkError::io("start a thread for a pod's network"))?;
        let panicked = || PodNetworkError::io("change a pod's network")(io::Error::other("the thread panicked"));
        answered.await.map_err(|_| panicked())?
    }
}

impl Shared {
    fn attach(&self, uid: &str) -> Result<Attachment, PodNetworkError> {
        let path = self.path(uid)?;
        let addresses = {
            let mut book = self.book.lock();
            let addresses = book.allocate(uid)?;
            book.save().map_err(PodNetworkError::io("write down a pod's addresses"))?;
            addresses
        };
        let pod = link::Pod { uid, path: &path, addresses: &addresses, mtu: self.config.mtu };
        match link::attach(&pod, &self.node) {
            Ok(()) => Ok(self.attachment(uid, &addresses)),
            Err(error) => Err(PodNetworkError::io(format!("attach pod {uid}"))(error)),
        }
    }

    fn detach(&self, uid: &str) -> Result<(), PodNetworkError> {
        let path = self.path(uid)?;
        link::detach(uid, &path, &self.node).map_err(PodNetworkError::io(format!("detach pod {uid}")))?;
        let mut book = self.book.lock();
        match book.free(uid) {
            true => book.save().map_err(PodNetworkError::io("write down a pod's end")),
            false => Ok(()),
        }
    }

    fn dismantle(&self) -> Result<(), PodNetworkError> {
        link::release_node(&self.config.ranges, &self.node).map_err(PodNetworkError::io("take the routes away"))?;
        self.book.lock().remove().map_err(PodNetworkError::io("remove what was written down"))?;
        let doing = format!("remove {}", self.directory.display());
        netns::remove_directory(&self.directory).map_err(PodNetworkError::io(doing))
    }

    fn attachment(&self, uid: &str, addresses: &[IpAddr]) -> Attachment {
        Attachment { netns: self.directory.join(uid), addresses: addresses.to_vec() }
    }

    fn path(&self, uid: &str) -> Result<PathBuf, PodNetworkError> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        match (1..=MAX_UID).contains(&uid.len()) && uid.bytes().all(good) && !uid.starts_with('.') {
            true => Ok(self.directory.join(uid)),
            false => Err(PodNetworkError::InvalidUid { uid: uid.into() }),
        }
    }
}

/// The pods that the kernel has, with their addresses. What else lies in the directory is removed.
fn found(directory: &Path, node: &Namespace) -> io::Result<BTreeMap<String, Vec<IpAddr>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(uid) = entry.file_name().into_string() else { continue };
        let addresses = match Namespace::mounted(&entry.path())? {
            Some(pod) => link::addresses(&pod)?,
            None => Vec::new(),
        };
        match addresses.is_empty() {
            true => link::detach(&uid, &entry.path(), node)?,
            false => drop(found.insert(uid, addresses)),
        }
    }
    Ok(found)
}
