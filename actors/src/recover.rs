//! `mesh recover`: one node of a cluster whose other voters are lost for good goes on alone. Main type: [`Survivor`].
//!
//! Runs while the node does not. The new history is written beside the old one and takes its place in one step, so that a
//! crash leaves either; the old one is kept. See `consensus::found_anew` for how the two are told apart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use membership::recover::{Recovery, RecoveryRefused, survive};
use membership::{keys, member};
use net::ca::Profile;
use net::peers::Removed;
use net::seal::SealKey;
use net::{Identity, NodeId};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use store::{Body, Incarnation, Op, State};
use wal::{FileDisk, KeyRing};

use crate::admission::peer;
use crate::boot::DISK_KEY_ID;
use crate::context::request_id;
use crate::home::{CLUSTER_KEY, DISK_KEY, FEED, Home, HomeError, Membership};
use crate::secrets::{Secrets, SecretsError};

/// Where log and snapshots lie.
pub(crate) const LOG: &str = "raft";

/// Where those of the new history are written.
pub(crate) const NEW_LOG: &str = "raft.new";

/// What the folder with the old history is called afterwards, before its incarnation.
const OLD_LOG: &str = "raft.before-recovery-to";

/// Why nothing was recovered; everything is as before.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// No node ever ran here.
    #[error("{0} holds no member of a cluster: name its data directory with --data-dir")]
    NoNode(PathBuf),
    /// The data directory.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The node's identity.
    #[error(transparent)]
    Identity(#[from] net::IdentityError),
    /// A node runs, or the disk fails.
    #[error(transparent)]
    Disk(#[from] wal::DiskError),
    /// Log or snapshot.
    #[error(transparent)]
    Record(#[from] consensus::RecoverError),
    /// The state does not allow it.
    #[error("{path} cannot be recovered from: {source}")]
    Refused {
        /// The data directory.
        path: PathBuf,
        /// Why.
        source: RecoveryRefused,
    },
    /// The secrets.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] net::ca::CaError),
    /// The file system does not swap or move the folders.
    #[error("{path}: {source}")]
    Move {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What a stopped node has, and what recovering comes to.
pub struct Survivor {
    home: Home,
    identity: Identity,
    known: Membership,
    media: consensus::Media,
    recorded: consensus::Recorded,
    recovery: Recovery,
    key: Option<SealKey>,
}

impl std::fmt::Debug for Survivor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Survivor").field("name", &self.known.name).finish_non_exhaustive()
    }
}

/// What was done.
#[derive(Debug)]
pub struct Recovered {
    /// The revision that the new history starts from.
    pub revision: u64,
    /// Where the old history is kept.
    pub old: PathBuf,
}

impl Survivor {
    /// Reads what there is; changes nothing. Blocks.
    ///
    /// # Errors
    /// [`RecoverError`], also where a node runs on this data directory.
    pub fn open(data_dir: &Path) -> Result<Self, RecoverError> {
        let no_node = || RecoverError::NoNode(data_dir.into());
        if !data_dir.join(LOG).is_dir() {
            return Err(no_node());
        }
        let home = Home::open(data_dir)?;
        let known = home.membership()?.ok_or_else(no_node)?;
        let identity = Identity::load_or_create(&home.path("identity"), &mut rand::rng())?;
        let media = media(&home, LOG, &home.key(DISK_KEY)?.ok_or_else(no_node)?)?;
        let recorded = consensus::Recorded::read(&media)?;
        let view = recorded.state.view();
        let incarnation = next_incarnation(member::cluster(&view).map_or(0, |cluster| cluster.incarnation));
        let recovery = survive(&view, identity.id(), &recorded.voters, incarnation, request_id());
        let recovery = recovery.map_err(|source| RecoverError::Refused { path: data_dir.into(), source })?;
        let key = home.key(CLUSTER_KEY)?.map(SealKey::from_bytes);
        Ok(Self { home, identity, known, media, recorded, recovery, key })
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.known.name
    }

    /// What it comes to.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The newest revision on this disk.
    pub fn revision(&self) -> u64 {
        self.recorded.state.revision().0
    }

    /// Entries on this disk of which it is not known whether they were ever acknowledged.
    pub fn unconfirmed(&self) -> u64 {
        self.recorded.unconfirmed
    }

    /// Whether this node voted, as far as it knew: one that did not may be far behind.
    pub fn voted(&self) -> bool {
        self.recorded.voters.contains(&self.identity.id())
    }

    /// Whether this node has the key of the cluster's secrets. Without it they are made anew: kubeconfigs, tokens of
    /// ServiceAccounts and join tokens end.
    pub fn has_secrets(&self) -> bool {
        self.key.is_some()
    }

    /// Makes this node the cluster's only voter. Blocks.
    ///
    /// # Errors
    /// [`RecoverError`]; the node goes on as before then.
    pub fn recover(mut self) -> Result<Recovered, RecoverError> {
        if self.key.is_none() {
            self.renew_secrets()?;
        }
        let Self { home, identity, mut known, media: old, recorded, recovery, .. } = self;
        let disk_key = home.key(DISK_KEY)?.ok_or_else(|| RecoverError::NoNode(home.path("")))?;
        let state = write(&home, &disk_key, recorded, identity.id(), &recovery)?;
        let kept = home.path(&format!("{OLD_LOG}-{}", recovery.cluster.incarnation));
        swap(&home.path(NEW_LOG), &home.path(LOG))?;
        drop(old);
        moved(&home.path(NEW_LOG), std::fs::rename(home.path(NEW_LOG), &kept))?;
        remember(&home, &mut known, &state, recovery.cluster.incarnation)?;
        Ok(Recovered { revision: state.revision().0, old: kept })
    }

    /// A cluster without its secrets gets new ones.
    fn renew_secrets(&mut self) -> Result<(), RecoverError> {
        let secrets = Secrets::create(&self.recovery.cluster.id, clock::system())?;
        let key = SealKey::random(&mut rand::rng());
        self.recovery.command.ops.extend(secrets.seal(&key).into_iter().map(|(name, sealed)| Op::Put {
            key: keys::secret(name),
            body: Body { head: sealed.into(), tail: Default::default() },
            labels: Vec::new(),
            fields: Vec::new(),
            indexes: Vec::new(),
        }));
        self.known.certificate = certificate(&secrets, &self.recovery, &self.identity)?;
        self.known.authority = secrets.node.certificate().to_vec();
        self.home.save_key(CLUSTER_KEY, &key.to_bytes())?;
        Ok(())
    }
}

/// The voter's own certificate.
pub(crate) fn certificate(secrets: &Secrets, to: &Recovery, identity: &Identity) -> Result<Vec<u8>, net::ca::CaError> {
    let profile = Profile::Node { cluster: to.cluster.id.clone(), id: identity.id(), name: to.voter.name.clone() };
    secrets.node.issue_for(&profile, identity.key(), clock::system(), net::ca::CA_VALIDITY)
}

/// Above the old one, and told apart from that of any other recovery from the same state.
pub(crate) fn next_incarnation(old: u64) -> u64 {
    (old >> u32::BITS).saturating_add(1) << u32::BITS | u64::from(rand::random::<u32>())
}

/// Writes the new history beside the old one.
pub(crate) fn write(
    home: &Home,
    disk_key: &[u8; 32],
    recorded: consensus::Recorded,
    voter: NodeId,
    recovery: &Recovery,
) -> Result<State, RecoverError> {
    let path = home.path(NEW_LOG);
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => moved(&path, Err(error))?,
        _ => {}
    }
    let media = media(home, NEW_LOG, disk_key)?;
    let incarnation = Incarnation(recovery.cluster.incarnation.into());
    Ok(consensus::found_anew(&media, recorded, voter, &recovery.command, incarnation)?)
}

/// What the node knows before its log is open.
pub(crate) fn remember(
    home: &Home,
    known: &mut Membership,
    state: &State,
    incarnation: u64,
) -> Result<(), RecoverError> {
    let view = state.view();
    known.incarnation = incarnation;
    known.members = member::members(&view).iter().map(peer).collect();
    known.removed = membership::removed(&view).into_iter().map(|(id, key)| Removed { id, key }).collect();
    home.save_membership(known)?;
    // It is heard anew, from the log.
    let feed = home.path(FEED);
    match std::fs::remove_file(&feed) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => moved(&feed, Err(error)),
        _ => Ok(()),
    }
}

fn media(home: &Home, name: &str, disk_key: &[u8; 32]) -> Result<consensus::Media, RecoverError> {
    let keys = KeyRing::new(DISK_KEY_ID, wal::Key::new(*disk_key));
    Ok(consensus::Media::new(Arc::new(FileDisk::open(&home.path(name))?), keys))
}

/// Each folder takes the other's name, in one step.
fn swap(new: &Path, old: &Path) -> Result<(), RecoverError> {
    let swapped = renameat2(AT_FDCWD, new, AT_FDCWD, old, RenameFlags::RENAME_EXCHANGE);
    moved(old, swapped.map_err(Into::into))?;
    let folder = old.parent().unwrap_or(old);
    moved(folder, std::fs::File::open(folder).and_then(|folder| folder.sync_all()))
}

fn moved(path: &Path, done: std::io::Result<()>) -> Result<(), RecoverError> {
    done.map_err(|source| RecoverError::Move { path: path.into(), source })
}
