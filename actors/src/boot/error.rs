//! Why a node does not start, in words for the person who started it.

use std::net::SocketAddr;

use crate::config::ConfigError;
use crate::home::HomeError;
use crate::host;
use crate::secrets::SecretsError;

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
    /// `mesh restore` did not come to its end.
    #[error(
        "{} holds what a restore left behind that was cut short: empty it and run `mesh restore` again", .0.display()
    )]
    Unfinished(std::path::PathBuf),
    /// An older release than the cluster's.
    #[error(
        "the cluster is at feature level {level} and this release knows up to {ours}: install the release that the other \
         members run"
    )]
    FeatureLevel {
        /// The cluster's.
        level: u32,
        /// The newest this binary knows.
        ours: u32,
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
    /// What containers need is not granted.
    #[error("this node cannot run pods ({0}); start it as root, or with --no-pods to serve the API only")]
    Runtime(String),
    /// Who runs containers does not answer.
    #[error(
        "containerd does not answer at {}: {why}; start it, name its socket with --containerd-socket, or start this node with \
         --no-pods to serve the API only", socket.display()
    )]
    Containerd {
        /// Where it should.
        socket: std::path::PathBuf,
        /// What happened instead.
        why: String,
    },
    /// No membership where there must be one.
    #[error("this node is not part of a cluster")]
    Unfounded,
}
