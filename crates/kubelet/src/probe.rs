//! Probes: when each runs and what its answers mean. Main type: [`State`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes>.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sort {
    /// The others wait for it.
    Startup,
    /// Its failure restarts the container.
    Liveness,
    /// Its success makes it ready.
    Readiness,
}

/// What a probe or hook does, with nothing left to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Run a command in the container.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
    },
    /// GET; 200 to 399 succeeds. Certificates are not verified. Redirects to another host count as success with a warning.
    Http {
        /// Over TLS.
        tls: bool,
        /// Address or name.
        host: String,
        /// Port.
        port: u16,
        /// Path and query, starts with `/`.
        path: String,
        /// Headers, those of the spec first. `Host` among them is to be sent as the request's host.
        headers: Vec<(String, String)>,
    },
    /// Connect.
    Tcp {
        /// Address or name.
        host: String,
        /// Port.
        port: u16,
    },
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        /// Address.
        host: String,
        /// Port.
        port: u16,
        /// Service, or empty.
        service: String,
    },
    /// It cannot be run at all, as when a named port does not exist; fails with this.
    Impossible {
        /// Why.
        message: String,
    },
}

/// What a probe answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Good.
    Success,
    /// Good, with something to tell.
    Warning(String),
    /// Bad: exit code, status code, refused connection; with its output, at most 10 KiB.
    Failure(String),
    /// It could not be carried out; counts as bad.
    Error(String),
}

/// Where a probe of one attempt of a container is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Which attempt.
    pub attempt: u32,
    /// What counts now; `None` before the first that counts.
    pub result: Option<bool>,
    /// Equal answers in a row, and which.
    pub run: u32,
    /// What those answers were.
    pub last: bool,
    /// When it is due again; `None` before the first.
    pub next_at: Option<Timestamp>,
}
