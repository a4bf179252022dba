//! From a data directory to a running agreement: found, join or resume. Every check comes before the first change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use membership::token::{DEFAULT_TTL_SECONDS, TokenRecord};
use membership::{Cluster, Member, Role, keys, member};
use net::ca::Profile;
use net::seal::SealKey;
use net::token::CaHash;
use net::wire::{JoinRequest, WIRE};
use net::{Endpoint, EndpointConfig, Identity, PeerTable, Token};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info;
use wal::{FileDisk, KeyId, KeyRing};

use crate::admission::peer;
use crate::config::{Config, ConfigError};
use crate::context::{Context, request_id, unix_now};
use crate::home::{CLUSTER_KEY, DISK_KEY, Home, HomeError, MEMBERSHIP_VERSION, Membership};
use crate::host;
use crate::node::Entrance;
use crate::secrets::{Secrets, SecretsError};

/// How long a joiner asks a busy cluster again.
const JOIN_PATIENCE: Duration = Duration::from_secs(60);

/// How long a new cluster of one may take to elect its only member and store its founding.
const FOUNDING_LIMIT: Duration = Duration::from_secs(30);

/// Number of the key that seals log and snapshots; a later one gets the next.
const DISK_KEY_ID: KeyId = KeyId(1);

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

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The node's identity cannot be used.
    #[error(transparent)]
    Identity(#[from] net::IdentityError),
    /// The host's name is no node name.
    #[error("the host's name {0:?} cannot name a node; choose a name with --name")]
    Name(String),
    /// The data directory belongs to another cluster.
    #[error(
        "{path} holds a node of cluster {cluster}, which is not the token's; leave that cluster with `mesh leave`, or name \
         another folder with --data-dir"
    )]
    OtherCluster {
        /// The data directory.
        path: String,
        /// The cluster it belongs to.
        cluster: String,
    },
    /// The control port.
    #[error(transparent)]
    Bind(#[from] net::BindError),
    /// The API port.
    #[error("cannot listen on {address} ({source}); is another mesh running? choose another with --api-listen")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The control endpoint.
    #[error(transparent)]
    Endpoint(#[from] net::EndpointError),
    /// The cluster did not admit it.
    #[error(transparent)]
    Join(#[from] net::JoinError),
    /// The cluster's secrets.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] net::ca::CaError),
    /// The log or the agreement.
    #[error(transparent)]
    Agreement(#[from] consensus::StartError),
    /// The disk beneath the log.
    #[error(transparent)]
    Disk(#[from] wal::DiskError),
    /// The founding was not agreed on.
    #[error("the new cluster could not be founded: {0}")]
    Founding(host::Error),
    /// No membership where there must be one.
    #[error("this node is not part of a cluster")]
    Unfounded,
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
        (Some(known), Entrance::Join { token, .. }) => {
            same_cluster(&config, &known, &token)?;
            resume(config, home, identity, socket, known, Origin::AlreadyMember).await
        }
        (None, Entrance::Up) => found(config, home, identity, socket).await,
        (None, Entrance::Join { addresses, token, replace }) => {
            let known = join(&config, &identity, &addresses, &token, replace).await?;
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

fn node_name(config: &Config) -> Result<String, StartError> {
    if !config.name.is_empty() {
        return Ok(config.name.clone());
    }
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().to_lowercase();
    let usable = api::names::dns1123_subdomain(&host).is_empty();
    if usable { Ok(host) } else { Err(StartError::Name(host)) }
}

async fn join(
    config: &Config,
    identity: &Identity,
    addresses: &[SocketAddr],
    token: &Token,
    replace: bool,
) -> Result<Membership, StartError> {
    let name = node_name(config)?;
    let request = JoinRequest {
        wire: WIRE,
        software: env!("CARGO_PKG_VERSION").into(),
        token: token.id,
        secret: token.secret.clone(),
        node: identity.id(),
        name: name.clone(),
        replace,
        csr: Vec::new(),
        addresses: config.addresses(),
        api_addresses: config.api_addresses(),
        zone: Some(config.zone.clone()).filter(|zone| !zone.is_empty()),
        voter: config.voter,
        labels: config.labels.clone(),
        cluster: None,
    };
    let answer = net::join(identity, token, addresses, request, SystemTime::now(), JOIN_PATIENCE).await?;
    info!(cluster = %answer.cluster, already = answer.already, "joined");
    Ok(Membership {
        version: MEMBERSHIP_VERSION,
        cluster: answer.cluster,
        incarnation: answer.incarnation,
        name,
        certificate: answer.certificate,
        authority: answer.authority,
        members: answer.members,
        removed: answer.removed,
    })
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
    let (certificate, authority) = (known.certificate.clone(), known.authority.clone());
    let endpoint = EndpointConfig { identity: identity.clone(), certificate, authority, peers: peers.clone() };
    let endpoint = Endpoint::start(endpoint, socket)?;
    let disk_key = disk_key(&home)?;
    let keys = KeyRing::new(DISK_KEY_ID, wal::Key::new(disk_key));
    let media = consensus::Media::new(Arc::new(FileDisk::open(&home.path("raft"))?), keys);
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
        api: watch::Sender::new(None),
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

/// A cluster of one. `member.json` is written last: without it, the next start founds anew over what is left.
async fn found(
    config: Config,
    home: Home,
    identity: Arc<Identity>,
    socket: std::net::UdpSocket,
) -> Result<Booted, StartError> {
    let name = node_name(&config)?;
    discard_unfinished(&home)?;
    let cluster = cluster(&config);
    let secrets = Secrets::create(&cluster.id, SystemTime::now())?;
    let key = SealKey::random(&mut rand::rng());
    home.save_key(CLUSTER_KEY, &key.to_bytes())?;
    let first = first_member(&config, &identity, &cluster, &name);
    let profile = Profile::Node { cluster: cluster.id.clone(), id: identity.id(), name: name.clone() };
    let certificate = secrets.node.issue_for(&profile, identity.key(), SystemTime::now(), net::ca::CA_VALIDITY)?;
    let known = Membership {
        version: MEMBERSHIP_VERSION,
        cluster: cluster.id.clone(),
        incarnation: cluster.incarnation,
        name,
        certificate,
        authority: secrets.node.certificate().to_vec(),
        members: vec![peer(&first)],
        removed: Vec::new(),
    };
    let peers = PeerTable::new();
    peers.replace(known.members.clone(), &[]);
    let context = assemble(config, home, identity, socket, peers, &known, Some(key.clone())).await?;
    let token = Token::create(&secrets.node.fingerprint(), &mut rand::rng());
    let sealed = secrets.seal(&key);
    let agreed = agree(&context, &cluster, &first, &sealed, &token);
    let agreed = timeout(FOUNDING_LIMIT, agreed).await.unwrap_or_else(|late| Err(late.into()));
    agreed.map_err(StartError::Founding)?;
    context.home.save_membership(&known)?;
    Ok(Booted { context, origin: Origin::Founded(token) })
}

/// A founding that was cut short left a log nobody else has seen.
fn discard_unfinished(home: &Home) -> Result<(), StartError> {
    let path = home.path("raft");
    match std::fs::remove_dir_all(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(HomeError::Io { path, source }.into()),
        _ => Ok(()),
    }
}

fn cluster(config: &Config) -> Cluster {
    Cluster {
        id: format!("{:016x}", rand::random::<u64>()),
        incarnation: 0,
        pod_ranges: config.pod_ranges.clone(),
        service_ranges: config.service_ranges.clone(),
        node_prefix: config.node_prefix,
        domain: config.domain.clone(),
    }
}

fn first_member(config: &Config, identity: &Identity, cluster: &Cluster, name: &str) -> Member {
    Member {
        id: identity.id(),
        name: name.into(),
        key: identity.fingerprint(),
        addresses: config.addresses(),
        api_addresses: config.api_addresses(),
        role: Role::Voter,
        voter: config.voter,
        zone: config.zone.clone(),
        pod_ranges: membership::first_pod_ranges(cluster),
        leaving: false,
        labels: config.labels.clone(),
    }
}

async fn agree(
    context: &Context,
    cluster: &Cluster,
    first: &Member,
    sealed: &[(&str, Vec<u8>)],
    token: &Token,
) -> Result<(), host::Error> {
    context.raft.initialize().await?;
    let mut command = membership::found(cluster, first, sealed, request_id());
    let record = token_record(token, unix_now(), DEFAULT_TTL_SECONDS, false);
    command.ops.push(member::put(keys::token(&record.id), &record));
    context.propose(command).await
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
