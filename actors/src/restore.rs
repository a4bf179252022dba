//! `mesh restore`: a node with an empty data directory takes a backup's state over and founds its cluster anew, alone. Main
//! type: [`Restore`].
//!
//! It is the same cluster to its users: kubeconfigs, tokens of ServiceAccounts and join tokens go on, since the keys travel
//! in the backup. To its former members it is another: they are forgotten, and refused for ever. Everything is written into a
//! folder of its own and then moved, `member.json` last: what was cut short is no node (see [`UNFINISHED`]).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use membership::member;
use membership::recover::{Recovery, RecoveryRefused, restore};
use net::Identity;
use net::seal::SealKey;
use store::State;

use crate::backup::Header;
use crate::backup::archive::{self, ArchiveError};
use crate::boot::{StartError, first_member, node_name};
use crate::config::Config;
use crate::context::request_id;
use crate::home::{CLUSTER_KEY, DISK_KEY, Home, MEMBERSHIP_VERSION, Membership};
use crate::recover::{self, RecoverError, certificate, next_incarnation, remember};
use crate::secrets::{Secrets, SecretsError};

/// Where in the data directory a restore is put together. A node does not start beside it.
pub const UNFINISHED: &str = "restoring";

/// What an empty file system may hold of its own (ext4).
const OF_FILE_SYSTEM: &str = "lost+found";

/// How large a part of the file is read at once.
const READ_BYTES: usize = 1 << 20;

/// Why nothing was restored; the data directory is no node, as before.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup cannot be used.
    #[error("{path} cannot be restored: {source}")]
    Archive {
        /// The backup.
        path: PathBuf,
        /// Why.
        source: ArchiveError,
    },
    /// Made by a cluster whose commands this binary may not understand.
    #[error(
        "{path} is of a cluster with feature level {level}, and this release knows up to {ours}: restore it with release \
         {release} or a later one"
    )]
    Level {
        /// The backup.
        path: PathBuf,
        /// Its level.
        level: u32,
        /// The newest this binary knows.
        ours: u32,
        /// What wrote it.
        release: String,
    },
    /// The backup is whole, but holds no cluster.
    #[error("{path} cannot be restored: {source}")]
    Refused {
        /// The backup.
        path: PathBuf,
        /// Why.
        source: RecoveryRefused,
    },
    /// There is something already.
    #[error("{path} is not empty (it holds {found}): name an empty data directory with --data-dir")]
    NotEmpty {
        /// The data directory.
        path: PathBuf,
        /// Something in it.
        found: String,
    },
    /// The data directory or the backup.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The new node.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its data directory.
    #[error(transparent)]
    Home(#[from] crate::home::HomeError),
    /// Its identity.
    #[error(transparent)]
    Identity(#[from] net::IdentityError),
    /// Its certificate.
    #[error(transparent)]
    Certificate(#[from] net::ca::CaError),
    /// The cluster's secrets.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The new history.
    #[error(transparent)]
    History(#[from] RecoverError),
}

/// A backup that is whole, and an empty data directory.
pub struct Restore {
    header: Header,
    state: State,
    recovery: Recovery,
    identity: Identity,
    home: Home,
    into: PathBuf,
}

impl std::fmt::Debug for Restore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restore").field("header", &self.header).finish_non_exhaustive()
    }
}

impl Restore {
    /// Reads the backup, and makes the identity of the node that these settings are of. `heard` is told of each part of the
    /// file as it is read, in bytes. Blocks.
    ///
    /// # Errors
    /// [`RestoreError`]; nothing was changed.
    pub fn open(path: &Path, config: &Config, heard: impl FnMut(u64)) -> Result<Self, RestoreError> {
        let into = &config.data_dir;
        empty(into)?;
        let name = node_name(config)?;
        let (header, state) = load(path, heard)?;
        let view = state.view();
        let refused = |source| RestoreError::Refused { path: path.into(), source };
        let cluster = member::cluster(&view).ok_or_else(|| refused(RecoveryRefused::Unfounded))?;
        // What follows may fail for want of room: then nothing but the empty folder is left.
        let home = Home::open(&into.join(UNFINISHED)).inspect_err(|_| discard(into))?;
        let identity = Identity::load_or_create(&home.path("identity"), &mut rand::rng());
        let identity = identity.inspect_err(|_| discard(into))?;
        let voter = first_member(config, &identity, &cluster, &name);
        let recovery = restore(&view, voter, next_incarnation(cluster.incarnation), request_id()).map_err(refused);
        let recovery = recovery.inspect_err(|_| discard(into))?;
        Ok(Self { header, state, recovery, identity, home, into: into.clone() })
    }

    /// What the backup is of.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What restoring comes to.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Makes the data directory that of the cluster's only member; returns the revision that it starts from. Blocks.
    ///
    /// # Errors
    /// [`RestoreError`]; no node starts in the data directory then.
    pub fn restore(self) -> Result<u64, RestoreError> {
        let (home, into) = (self.home.clone(), self.into.clone());
        let revision = self.write().inspect_err(|_| discard(&into))?;
        take_place(&home, &into)?;
        Ok(revision)
    }

    fn write(self) -> Result<u64, RestoreError> {
        let Self { header, state, recovery, identity, home, .. } = self;
        let key = SealKey::from_bytes(header.cluster_key);
        let secrets = Secrets::open(&state.view(), &key)?;
        home.save_key(CLUSTER_KEY, &key.to_bytes())?;
        let disk_key = SealKey::random(&mut rand::rng()).to_bytes();
        home.save_key(DISK_KEY, &disk_key)?;
        let recorded = consensus::Recorded::of(state);
        let state = recover::write(&home, &disk_key, recorded, identity.id(), &recovery)?;
        let mut known = Membership {
            version: MEMBERSHIP_VERSION,
            cluster: recovery.cluster.id.clone(),
            incarnation: recovery.cluster.incarnation,
            name: recovery.voter.name.clone(),
            certificate: certificate(&secrets, &recovery, &identity)?,
            authority: secrets.node.certificate().to_vec(),
            members: Vec::new(),
            removed: Vec::new(),
        };
        remember(&home, &mut known, &state, recovery.cluster.incarnation)?;
        Ok(state.revision().0)
    }
}

/// Moves all of it to where a node looks for it; the membership comes last, since it is what makes it a node.
fn take_place(home: &Home, into: &Path) -> Result<(), RestoreError> {
    let moves = [
        ("identity", "identity"),
        (CLUSTER_KEY, CLUSTER_KEY),
        (DISK_KEY, DISK_KEY),
        (recover::NEW_LOG, recover::LOG),
        ("member.json", "member.json"),
    ];
    for (from, to) in moves {
        io(into, std::fs::rename(home.path(from), into.join(to)))?;
    }
    io(into, std::fs::remove_dir(home.path("")))?;
    io(into, File::open(into).and_then(|folder| folder.sync_all()))
}

/// Refuses a data directory with anything in it.
fn empty(path: &Path) -> Result<(), RestoreError> {
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => io(path, entries)?,
    };
    for entry in entries {
        let found = io(path, entry)?.file_name().to_string_lossy().into_owned();
        if found != OF_FILE_SYSTEM {
            return Err(RestoreError::NotEmpty { path: path.into(), found });
        }
    }
    Ok(())
}

/// Ends what was begun. What cannot be removed keeps a node from starting here, and says so then.
fn discard(into: &Path) {
    let _ = std::fs::remove_dir_all(into.join(UNFINISHED));
}

/// Reads the file twice: that it is whole, and that this release knows what it holds; then what it holds.
fn load(path: &Path, heard: impl FnMut(u64)) -> Result<(Header, State), RestoreError> {
    let failed = |source| RestoreError::Archive { path: path.into(), source };
    let mut source = Heard { from: io(path, File::open(path))?, heard };
    let header = archive::read(BufReader::with_capacity(READ_BYTES, &mut source), |_| Ok(())).map_err(failed)?;
    let (level, ours) = (header.feature_level, membership::features::NEWEST);
    if level > ours {
        return Err(RestoreError::Level { path: path.into(), level, ours, release: header.release });
    }
    io(path, source.from.rewind())?;
    let mut state = store::Restore::default();
    let take = |chunk: &[u8]| state.push(chunk).map_err(|error| error.to_string());
    archive::read(BufReader::with_capacity(READ_BYTES, source), take).map_err(failed)?;
    let state = state.finish();
    let state = state.map_err(|error| failed(ArchiveError::Damaged { at: 0, why: error.to_string() }))?;
    Ok((header, state))
}

/// Tells of what is read.
struct Heard<F> {
    from: File,
    heard: F,
}

impl<F: FnMut(u64)> Read for Heard<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        (self.heard)(length as u64);
        Ok(length)
    }
}

fn io<T>(path: &Path, done: io::Result<T>) -> Result<T, RestoreError> {
    done.map_err(|source| RestoreError::Io { path: path.into(), source })
}
