//! How the commands ask the running node of this machine: one JSON frame each way over a socket that only its owner
//! may open. Main type: [`Request`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

mod backup;
pub(crate) mod client;
pub(crate) mod images;
pub(crate) mod ping;
pub(crate) mod server;
pub(crate) mod status;

/// Name of the socket in the data directory.
pub(crate) const SOCKET: &str = "mesh.sock";

/// What a command wants.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Request {
    /// The node's state; once it is ready, or after this many seconds.
    Status {
        /// See above.
        wait_seconds: Option<u64>,
    },
    /// The line that the next machine runs.
    CreateToken {
        /// How long it admits nodes.
        ttl_seconds: i64,
        /// Admit one node only.
        once: bool,
    },
    /// All tokens.
    ListTokens,
    /// End a token.
    RevokeToken {
        /// Which.
        id: String,
    },
    /// A kubeconfig for the administrator.
    Kubeconfig {
        /// The server to name.
        server: Option<String>,
    },
    /// Remove another member.
    Remove {
        /// Its name or id.
        node: String,
        /// Also where it is alive.
        force: bool,
    },
    /// Give up this node's part.
    Leave,
    /// Ask this node's pods to go, once.
    Drain {
        /// What may be lost.
        options: actors::drain::Options,
    },
    /// End this process.
    Down,
    /// The cluster's state: after the answer come its bytes, in frames, then an empty frame.
    Backup,
    /// One round of `mesh ping`.
    Ping {
        /// Name or id of a member.
        node: String,
        /// How long an answer may take.
        limit_millis: u64,
    },
    /// Take the images of an archive on this machine.
    ImportImages {
        /// The archive, absolute.
        path: PathBuf,
    },
    /// The images that containers of this node can be made from.
    ListImages,
    /// Forget an image.
    RemoveImage {
        /// Its name, in any form.
        reference: String,
    },
    /// What `mesh check` judges.
    Check,
}

/// Answer to [`Request::Down`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Down {
    /// The node's name.
    pub(crate) name: String,
    /// The process that ends now.
    pub(crate) pid: u32,
    /// Where its data plane is found.
    pub(crate) state_dir: PathBuf,
}

/// What it gets: a value, or words for the person who asked.
pub(crate) type Answer = Result<serde_json::Value, String>;
