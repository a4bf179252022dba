//! From a data directory to a running agreement: found, join or resume. Every check comes before the first change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use membership::features;
use membership::token::TokenRecord;
use net::seal::SealKey;
use net::token::CaHash;
use net::{Endpoint, EndpointConfig, Identity, PeerTable, Token};
use tokio::net::TcpListener;
use tokio::sync::watch;
use wal::{Disk, FileDisk, KeyId, KeyRing};

use crate::chaos::SlowDisk;
use crate::config::Config;
use crate::context::Context;
use crate::home::{CLUSTER_KEY, DISK_KEY, FEED, Home, Membership};
use crate::kubelet::pulled::{self, Pulled};
use crate::restore::UNFINISHED;
use crate::rpc::Feed;
use crate::streams::Local;

mod containers;
mod error;
mod found;
mod join;

pub(crate) use containers::open as runtime;
pub use error::StartError;
pub(crate) use found::first_member;

/// Number of the key that seals log and snapshots; a later one gets the next.
pub(crate) const DISK_KEY_ID: KeyId = KeyId(1);

/// How a node comes to be part of a cluster.
#[derive(Debug)]
pub enum Entrance {
    /// Goes on where it was, or founds a cluster in an empty data directory.
    Up,
    /// Joins a cluster through one of these addresses.
    Join {
        /// Control endpoints of members.
        addresses: Vec<SocketAddr>,
        /// What admits it.
        token: Token,
        /// Take over the name of a member that is gone.
        replace: bool,
    },
}

/// How a node came to be part of its cluster.
#[derive(Debug)]
pub enum Origin {
    /// It founded the cluster just now; the token admits the next node.
    Founded(Token),
    /// It joined just now.
    Joined,
    /// It was a member before, and goes on.
    Resumed,
    /// It was asked to join the cluster that it is a member of.
    AlreadyMember,
}

/// A node up to its agreement.
pub(crate) struct Booted {
    pub(crate) context: Context,
    pub(crate) origin: Origin,
}

/// Binds the API port.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

/// Everything up to a running agreement.
pub(crate) async fn boot(config: Config, entrance: Entrance) -> Result<Booted, StartError> {
    let socket = net::bind(config.listen, "--listen")?;
    let home = Home::open(&config.data_dir)?;
    let identity = Arc::new(Identity::load_or_create(&home.path("identity"), &mut rand::rng())?);
    match (home.membership()?, entrance) {
        (Some(known), Entrance::Up) => resume(config, home, identity, socket, known, Origin::Resumed).await,
        (Some(known), Entrance::Join { addresses, token, .. }) => {
            same_cluster(&config, &known, &token)?;
            let known = join::again(&config, &identity, &addresses, &token, known).await?;
            home.save_membership(&known)?;
            resume(config, home, identity, socket, known, Origin::AlreadyMember).await
        }
        (None, _) if home.path(UNFINISHED).exists() => Err(StartError::Unfinished(config.data_dir)),
        (None, Entrance::Up) => found::found(config, home, identity, socket).await,
        (None, Entrance::Join { addresses, token, replace }) => {
            let known = join::join(&config, &identity, &addresses, &token, replace).await?;
            home.save_membership(&known)?;
            resume(config, home, identity, socket, known, Origin::Joined).await
        }
    }
}

fn same_cluster(config: &Config, known: &Membership, token: &Token) -> Result<(), StartError> {
    let ours = net::key::of_certificate(&known.authority).map(|key| CaHash::of(&key));
    if ours == Some(token.ca) {
        return Ok(());
    }
    Err(StartError::OtherCluster { path: config.data_dir.display().to_string(), cluster: known.cluster.clone() })
}

pub(crate) fn node_name(config: &Config) -> Result<String, StartError> {
    if !config.name.is_empty() {
        return Ok(config.name.clone());
    }
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().to_lowercase();
    let usable = api::names::dns1123_subdomain(&host).is_empty();
    if usable { Ok(host) } else { Err(StartError::Name(host)) }
}

/// A cluster that makes use of what this release does not know is not for it.
fn known_level(level: u32) -> Result<(), StartError> {
    let ours = features::NEWEST;
    if level > ours { Err(StartError::FeatureLevel { level, ours }) } else { Ok(()) }
}

async fn resume(
    config: Config,
    home: Home,
    identity: Arc<Identity>,
    socket: std::net::UdpSocket,
    known: Membership,
    origin: Origin,
) -> Result<Booted, StartError> {
    let cluster_key = home.key(CLUSTER_KEY)?.map(SealKey::from_bytes);
    let peers = PeerTable::new();
    peers.replace(known.members.clone(), &known.removed);
    let context = assemble(config, home, identity, socket, peers, &known, cluster_key).await?;
    Ok(Booted { context, origin })
}

async fn assemble(
    config: Config,
    home: Home,
    identity: Arc<Identity>,
    socket: std::net::UdpSocket,
    peers: Arc<PeerTable>,
    known: &Membership,
    cluster_key: Option<SealKey>,
) -> Result<Context, StartError> {
    let runtime = containers::open(&config)?;
    let logs = config.data_dir.join("logs/pods");
    // Heard again soon; a damaged file is as good as none.
    let feed: Option<Arc<Feed>> = home.read(FEED)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()).map(Arc::new);
    known_level(feed.as_ref().map_or(0, |feed| feed.feature_level))?;
    let (certificate, authority) = (known.certificate.clone(), known.authority.clone());
    let endpoint = EndpointConfig { identity: identity.clone(), certificate, authority, peers: peers.clone() };
    let endpoint = Endpoint::start(endpoint, socket)?;
    let disk_key = disk_key(&home)?;
    let pulled = Pulled::open(config.data_dir.join(pulled::NAME), SealKey::from_bytes(disk_key));
    let keys = KeyRing::new(DISK_KEY_ID, wal::Key::new(disk_key));
    let media = consensus::Media::new(disk(&config, &home)?, keys);
    let dial = Arc::new(endpoint.clone());
    let raft = consensus::Node::start(identity.id(), config.consensus.clone(), media, dial).await?;
    Ok(Context {
        config,
        home,
        identity,
        name: known.name.clone(),
        peers,
        endpoint,
        raft: Arc::new(raft),
        cluster_key: watch::Sender::new(cluster_key),
        liveness: Default::default(),
        counts: Default::default(),
        leaving: AtomicBool::new(false),
        api: watch::Sender::new(None),
        feed: watch::Sender::new(feed),
        paths: watch::Sender::new(None),
        pulled: Arc::new(pulled),
        streams: Arc::new(Local::new(runtime.clone(), logs)),
        runtime,
    })
}

/// Where this node's log lies.
fn disk(config: &Config, home: &Home) -> Result<Arc<dyn Disk>, StartError> {
    let disk = FileDisk::open(&home.path("raft"))?;
    Ok(match &config.chaos_hooks {
        None => Arc::new(disk),
        Some(hooks) => Arc::new(SlowDisk::new(disk, hooks.clone())),
    })
}

/// The key that seals this node's log; made with the first log.
fn disk_key(home: &Home) -> Result<[u8; 32], StartError> {
    if let Some(key) = home.key(DISK_KEY)? {
        return Ok(key);
    }
    let key = SealKey::random(&mut rand::rng()).to_bytes();
    home.save_key(DISK_KEY, &key)?;
    Ok(key)
}

/// What is stored of a token.
pub fn token_record(token: &Token, now: i64, ttl_seconds: i64, once: bool) -> TokenRecord {
    TokenRecord {
        id: token.id.to_string(),
        secret_hash: token.secret.hash(token.id).to_string(),
        created: now,
        expires: now.saturating_add(ttl_seconds),
        once,
        used_by: None,
    }
}
