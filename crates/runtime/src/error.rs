//! Why a runtime did not do what it was asked. Main type: [`RuntimeError`].

use std::{error::Error, io, path::PathBuf};

use crate::ArchiveError;

/// Why something was not done. Repeating helps with [`Self::is_transient`] ones only.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The runtime does not answer.
    #[error("the container runtime at {socket} does not answer; is it running?")]
    Unavailable {
        /// Where it should.
        socket: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It refused a call.
    #[error("the container runtime refused to {call}: {message}")]
    Refused {
        /// What was asked.
        call: &'static str,
        /// What it said.
        message: String,
    },
    /// Nothing of this id.
    #[error("there is no {what} {id}")]
    NotFound {
        /// As `container`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// It is in another state than the request needs.
    #[error("{what} {id} {state}")]
    Conflict {
        /// As `container`.
        what: &'static str,
        /// Its id.
        id: String,
        /// As `is not running`.
        state: &'static str,
    },
    /// The image is not on this machine.
    #[error("image {0} is not present on this node")]
    ImageMissing(String),
    /// A part of a spec cannot be.
    #[error("{field} {value:?}: {reason}")]
    Invalid {
        /// Which part.
        field: &'static str,
        /// What it says.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The program could not be started; the container has ended with code 128.
    #[error("the container did not start: {message}")]
    Start {
        /// What the low-level runtime said.
        message: String,
    },
    /// A command could not be started in a container.
    #[error("the command did not start: {message}")]
    Exec {
        /// What the low-level runtime said.
        message: String,
    },
    /// An image archive cannot be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The host refused.
    #[error("cannot {action}")]
    Host {
        /// What was tried.
        action: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl RuntimeError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Refused { .. } | Self::Host { .. })
    }

    /// For `map_err` on what the host does.
    pub(crate) fn host<E: Into<io::Error>>(action: impl Into<String>) -> impl FnOnce(E) -> Self {
        let action = action.into();
        move |source| Self::Host { action, source: source.into() }
    }
}
