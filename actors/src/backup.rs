//! `mesh backup`: the replicated state of a running cluster, at one revision, as an archive. Main type: [`Backup`].
//!
//! Only a voter makes one, since it holds every Secret in the clear and the key of the cluster's own: a node that is no voter
//! may be anybody's. Leaves out what a new history forgets: past events, answers to past requests. Taken back by
//! [`crate::restore`].

use std::io;

use membership::{Role, member};
use net::seal::SealKey;
use store::Snapshot;

use crate::context::{Context, unix_now};

pub mod archive;

pub use archive::Header;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The node does not hold the state, or not the key to its secrets.
    #[error("node {node} is no voter and holds no secrets of the cluster: run this on one of {voters}")]
    NoVoter {
        /// The node that was asked.
        node: String,
        /// Names of the voters.
        voters: String,
    },
    /// The newest state cannot be told from an older one, or not be had.
    #[error("no backup ({0}): is a majority of the voters up? `mesh status` tells")]
    State(#[from] consensus::PictureError),
    /// The state holds no cluster.
    #[error("this node is not part of a cluster")]
    Unfounded,
}

/// A picture of the cluster's state, to be written somewhere.
pub struct Backup {
    header: Header,
    state: Snapshot,
}

impl std::fmt::Debug for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backup").field("header", &self.header).finish_non_exhaustive()
    }
}

impl Backup {
    /// The state with all that was acknowledged anywhere before the call. Cheap: it shares memory with the running state.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn take(context: &Context) -> Result<Self, BackupError> {
        // Others are not answered by the leader either.
        let cluster_key = key(context).await?;
        let state = context.raft.picture().await?;
        let view = context.view().await.map_err(|_| BackupError::Unfounded)?;
        let cluster = member::cluster(&view).ok_or(BackupError::Unfounded)?;
        let header = Header {
            cluster: cluster.id,
            node: context.name.clone(),
            release: env!("CARGO_PKG_VERSION").into(),
            created: unix_now(),
            revision: state.revision().0,
            feature_level: membership::features::level(&view),
            cluster_key: cluster_key.to_bytes(),
        };
        Ok(Self { header, state })
    }

    /// What it is of.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The archive's bytes, in order. Each piece is made when it is asked for.
    pub fn pieces(&self) -> impl Iterator<Item = io::Result<Vec<u8>>> {
        archive::write(&self.header, self.state.chunks().map(|chunk| chunk.map_err(io::Error::other)))
    }
}

/// The key of the cluster's secrets, which only a voter has.
async fn key(context: &Context) -> Result<SealKey, BackupError> {
    let view = context.view().await.map_err(|_| BackupError::Unfounded)?;
    let votes = member::member(&view, context.id()).is_some_and(|member| member.role == Role::Voter);
    if let (true, Some(key)) = (votes, context.cluster_key.borrow().clone()) {
        return Ok(key);
    }
    let peers = context.peers.load();
    let voters: Vec<_> = peers.iter().filter(|peer| peer.role == Role::Voter).map(|peer| peer.name.clone()).collect();
    Err(BackupError::NoVoter { node: context.name.clone(), voters: voters.join(", ") })
}
