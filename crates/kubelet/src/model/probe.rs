//! Probes and hooks of a container. Main types: [`Probe`], [`Lifecycle`].

use serde::Deserialize;
use serde_json::Value;

/// A probe. Absent numbers are the API's defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Probe {
    /// Run a command.
    pub exec: Option<ExecAction>,
    /// Ask by HTTP.
    pub http_get: Option<HttpGet>,
    /// Connect.
    pub tcp_socket: Option<TcpSocket>,
    /// Ask by gRPC.
    pub grpc: Option<GrpcAction>,
    /// Seconds after the container's start before the first.
    pub initial_delay_seconds: i64,
    /// Seconds it may take; 1 at least.
    pub timeout_seconds: i64,
    /// Seconds between two; 1 at least.
    pub period_seconds: i64,
    /// Successes in a row that count.
    pub success_threshold: i64,
    /// Failures in a row that count.
    pub failure_threshold: i64,
    /// Grace of the stop that a failure causes; the pod's if unset.
    pub termination_grace_period_seconds: Option<i64>,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            exec: None,
            http_get: None,
            tcp_socket: None,
            grpc: None,
            initial_delay_seconds: 0,
            timeout_seconds: 1,
            period_seconds: 10,
            success_threshold: 1,
            failure_threshold: 3,
            termination_grace_period_seconds: None,
        }
    }
}

/// A command in the container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ExecAction {
    /// Program and arguments.
    pub command: Vec<String>,
}

/// A GET.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpGet {
    /// Path, `/` if empty.
    pub path: String,
    /// Number or name.
    pub port: Value,
    /// Host, the pod's address if empty.
    pub host: String,
    /// `HTTP` or `HTTPS`; empty is HTTP.
    pub scheme: String,
    /// Headers.
    pub http_headers: Vec<Header>,
}

/// A header.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Header {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// A connection.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TcpSocket {
    /// Number or name.
    pub port: Value,
    /// Host, the pod's address if empty.
    pub host: String,
}

/// `grpc.health.v1.Health/Check`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GrpcAction {
    /// Number.
    pub port: u16,
    /// Service, or empty.
    pub service: Option<String>,
}

/// A pause.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SleepAction {
    /// How long.
    pub seconds: i64,
}

/// `lifecycle`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Lifecycle {
    /// After the start.
    pub post_start: Option<LifecycleHandler>,
    /// Before it is asked to end.
    pub pre_stop: Option<LifecycleHandler>,
    /// Instead of SIGTERM.
    pub stop_signal: Option<String>,
}

/// A hook.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LifecycleHandler {
    /// Run a command.
    pub exec: Option<ExecAction>,
    /// Ask by HTTP.
    pub http_get: Option<HttpGet>,
    /// Wait.
    pub sleep: Option<SleepAction>,
    /// Connect; kept for old objects, does nothing but fail.
    pub tcp_socket: Option<TcpSocket>,
}
