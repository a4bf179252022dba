//! What an operator may set of the API server: plain data, checked before anything binds.

use std::time::Duration;

use crate::allocate::Pools;

/// Settings of one API server. [`Config::default`] serves a cluster; [`Config::check`] names what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Open client connections; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// Reading requests that may run at once; one more gets 429. Watches are not counted.
    pub max_reads_in_flight: usize,
    /// Writing requests that may run at once; one more gets 429.
    pub max_writes_in_flight: usize,
    /// How long a client may take to finish the TLS handshake, in seconds.
    pub handshake_timeout_seconds: u64,
    /// How long a client may take to send a request's head, in seconds.
    pub header_timeout_seconds: u64,
    /// How long a client may take to send a request's body, in seconds.
    pub body_timeout_seconds: u64,
    /// How long a request other than a watch may take, in seconds: then 504.
    pub request_timeout_seconds: u64,
    /// A watch that names no time-out ends after this to twice this, in seconds.
    pub watch_timeout_seconds: u64,
    /// Time between bookmarks of a quiet watch, in seconds.
    pub bookmark_period_seconds: u64,
    /// How long requests may finish after the stop signal, in seconds.
    pub drain_timeout_seconds: u64,
    /// Bound of the cache of encodings, in bytes.
    pub encoding_cache_bytes: usize,
    /// `iss` of ServiceAccount tokens, a URL; also where their keys are discovered.
    pub service_account_issuer: String,
    /// Audiences this server accepts in tokens. Empty means the issuer.
    pub api_audiences: Vec<String>,
    /// Longest lifetime a TokenRequest is given, in seconds.
    pub max_token_seconds: u64,
    /// Ranges that Services' addresses are taken from, in CIDR notation, the primary family first. A node sets the
    /// cluster's own.
    pub service_ranges: Vec<String>,
    /// Ports of every node that Services can be given, the first and the last with a dash between.
    pub service_node_ports: String,
    /// `host:port` clients are told to use (in `/api` and the discovery of keys).
    pub advertise_address: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 8192,
            max_reads_in_flight: 400,
            max_writes_in_flight: 200,
            handshake_timeout_seconds: 10,
            header_timeout_seconds: 30,
            body_timeout_seconds: 30,
            request_timeout_seconds: 60,
            watch_timeout_seconds: 1800,
            bookmark_period_seconds: 60,
            drain_timeout_seconds: 10,
            encoding_cache_bytes: 64 << 20,
            service_account_issuer: "https://kubernetes.default.svc.cluster.local".into(),
            api_audiences: Vec::new(),
            max_token_seconds: 365 * 24 * 3600,
            service_ranges: vec!["10.43.0.0/16".into()],
            service_node_ports: "30000-32767".into(),
            advertise_address: "127.0.0.1:6443".into(),
        }
    }
}

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value} is not usable: {remedy}")]
pub struct ConfigError {
    /// Name of the setting.
    pub field: &'static str,
    /// What was given.
    pub value: String,
    /// What to give instead.
    pub remedy: &'static str,
}

impl Config {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        let counts = [
            ("max_connections", self.max_connections),
            ("max_reads_in_flight", self.max_reads_in_flight),
            ("max_writes_in_flight", self.max_writes_in_flight),
        ];
        if let Some((field, _)) = counts.into_iter().find(|(_, n)| *n == 0) {
            return Err(ConfigError { field, value: "0".into(), remedy: "give at least 1" });
        }
        let seconds = [
            ("handshake_timeout_seconds", self.handshake_timeout_seconds),
            ("header_timeout_seconds", self.header_timeout_seconds),
            ("body_timeout_seconds", self.body_timeout_seconds),
            ("request_timeout_seconds", self.request_timeout_seconds),
            ("watch_timeout_seconds", self.watch_timeout_seconds),
            ("bookmark_period_seconds", self.bookmark_period_seconds),
        ];
        if let Some((field, value)) = seconds.into_iter().find(|(_, s)| !(1..=86_400).contains(s)) {
            return Err(ConfigError { field, value: value.to_string(), remedy: "give 1 to 86400 seconds" });
        }
        if let Err(error) = Pools::new(&self.service_ranges, &self.service_node_ports) {
            return Err(ConfigError { field: "service_ranges", value: error.value, remedy: error.why });
        }
        if !self.service_account_issuer.starts_with("https://") {
            let value = self.service_account_issuer.clone();
            return Err(ConfigError { field: "service_account_issuer", value, remedy: "give an https:// URL" });
        }
        Ok(())
    }

    /// Audiences accepted in tokens; never empty.
    #[must_use]
    pub fn audiences(&self) -> Vec<String> {
        match self.api_audiences.is_empty() {
            true => vec![self.service_account_issuer.clone()],
            false => self.api_audiences.clone(),
        }
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds)
    }

    pub(crate) fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.body_timeout_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Config), field: Option<&str>) {
        let mut config = Config::default();
        change(&mut config);
        assert_eq!(config.check().err().map(|e| e.field), field);
    }

    #[test]
    fn names_the_setting_that_cannot_work() {
        check(|_| {}, None);
        check(|c| c.max_connections = 0, Some("max_connections"));
        check(|c| c.watch_timeout_seconds = 0, Some("watch_timeout_seconds"));
        check(|c| c.service_account_issuer = "http://x".into(), Some("service_account_issuer"));
    }
}
