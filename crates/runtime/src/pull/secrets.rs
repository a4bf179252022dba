//! `imagePullSecrets`: which credentials a registry gets. Main type: [`PullSecrets`].
//! Spec: <https://kubernetes.io/docs/concepts/containers/images/#config-json>.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::Credentials;
use crate::containerd::full;

/// Docker's own registry has names from before there were others.
const DOCKER: &str = "docker.io";
const DOCKER_NAMES: &[&str] = &["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A secret that cannot be read; nothing of it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// It is not the JSON it should be.
    #[error("the image pull secret is not a docker configuration")]
    Form,
}

/// Credentials by registry, from any number of secrets.
#[derive(Clone, Debug, Default)]
pub struct PullSecrets {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    host: String,
    path: String,
    credentials: Credentials,
}

#[derive(Deserialize)]
struct Config {
    auths: BTreeMap<String, Auth>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    username: String,
    password: String,
    auth: String,
    identitytoken: String,
}

impl PullSecrets {
    /// Adds a secret of type `kubernetes.io/dockerconfigjson`: the value of `.dockerconfigjson`.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn add_config(&mut self, json: &[u8]) -> Result<(), SecretsError> {
        let config: Config = serde_json::from_slice(json).map_err(|_| SecretsError::Form)?;
        self.extend(config.auths);
        Ok(())
    }

    /// Adds a secret of type `kubernetes.io/dockercfg`: the value of `.dockercfg`.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn add_legacy(&mut self, json: &[u8]) -> Result<(), SecretsError> {
        self.extend(serde_json::from_slice(json).map_err(|_| SecretsError::Form)?);
        Ok(())
    }

    fn extend(&mut self, auths: BTreeMap<String, Auth>) {
        self.entries.extend(auths.into_iter().filter_map(|(registry, auth)| entry(&registry, auth)));
    }

    /// What to try for an image, the most specific first. Empty: nobody is known there.
    #[must_use]
    pub fn find(&self, reference: &str) -> Vec<Credentials> {
        let Ok(whole) = full(reference) else { return Vec::new() };
        let (host, path) = whole.split_once('/').unwrap_or((&whole, ""));
        let fits = |entry: &&Entry| host_fits(&entry.host, host) && path_fits(&entry.path, path);
        let mut fitting: Vec<&Entry> = self.entries.iter().filter(fits).collect();
        // As upstream: from the last name to the first, so that what is longer comes first. Stable: secrets named first do too.
        fitting.sort_by_key(|entry| std::cmp::Reverse((&entry.host, &entry.path)));
        fitting.into_iter().map(|entry| entry.credentials.clone()).collect()
    }
}

fn entry(registry: &str, auth: Auth) -> Option<Entry> {
    let bare = registry.trim_start_matches("https://").trim_start_matches("http://");
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let host = if DOCKER_NAMES.contains(&host) { DOCKER } else { host };
    // Docker's names carry the version of an API.
    let path = path.strip_prefix("v1/").or_else(|| path.strip_prefix("v2/")).unwrap_or(path);
    let decoded = STANDARD.decode(&auth.auth).ok().and_then(|text| String::from_utf8(text).ok());
    let (username, password) = match decoded.as_deref().and_then(|text| text.split_once(':')) {
        Some((username, password)) => (username.to_owned(), password.trim_end_matches('\0').to_owned()),
        None => (auth.username, auth.password),
    };
    let identity_token = Some(auth.identitytoken).filter(|token| !token.is_empty());
    let is_empty = username.is_empty() && password.is_empty() && identity_token.is_none();
    let credentials = Credentials { username, password, identity_token };
    (!is_empty).then(|| Entry { host: host.to_owned(), path: path.to_owned(), credentials })
}

/// `*` stands for one label of a host's name, or a part of one.
fn host_fits(pattern: &str, host: &str) -> bool {
    let (pattern, ours) = pattern.split_once(':').unwrap_or((pattern, ""));
    let (host, port) = host.split_once(':').unwrap_or((host, ""));
    let (patterns, labels): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), host.split('.').collect());
    let fits = || patterns.iter().zip(&labels).all(|(pattern, label)| label_fits(pattern, label));
    ours == port && patterns.len() == labels.len() && fits()
}

fn label_fits(pattern: &str, label: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == label,
        Some((before, after)) => {
            label.len() >= before.len() + after.len() && label.starts_with(before) && label.ends_with(after)
        }
    }
}

/// A path fits all that begins with it, as upstream's keyring has it, which knows no bounds of names.
fn path_fits(pattern: &str, path: &str) -> bool {
    path.starts_with(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"auths":{
        "https://index.docker.io/v1/":{"auth":"aHViOnNlY3JldA=="},
        "reg.test:5000":{"username":"all","password":"x"},
        "reg.test:5000/team":{"username":"team","password":"y"},
        "*.cloud.test":{"username":"cloud","password":"z"},
        "token.test":{"identitytoken":"t"},
        "empty.test":{}
    }}"#;

    fn check(reference: &str, expect: &[&str]) {
        let mut secrets = PullSecrets::default();
        secrets.add_config(CONFIG.as_bytes()).expect("it is one");
        let found: Vec<String> = secrets.find(reference).into_iter().map(|found| found.username).collect();
        assert_eq!(found, expect, "{reference}");
    }

    #[test]
    fn the_most_specific_credentials_come_first() {
        check("busybox", &["hub"]);
        check("reg.test:5000/app", &["all"]);
        check("reg.test:5000/team/app:1", &["team", "all"]);
        check("reg.test:5000/teammates/app:1", &["team", "all"]);
        check("reg.test:5001/app", &[]);
        check("eu.cloud.test/app", &["cloud"]);
        check("a.eu.cloud.test/app", &[]);
        check("token.test/app", &[""]);
        check("empty.test/app", &[]);
        check("Not A Reference", &[]);
    }

    #[test]
    fn what_is_no_configuration_is_refused_and_not_told() {
        let mut secrets = PullSecrets::default();
        for wrong in ["", "{}", "[]", r#"{"auths":[]}"#] {
            assert_eq!(secrets.add_config(wrong.as_bytes()), Err(SecretsError::Form), "{wrong}");
        }
        secrets.add_legacy(br#"{"a.test":{"auth":"dTpzZWNyZXQ="}}"#).expect("the older form");
        let shown = format!("{secrets:?} {:?}", secrets.find("a.test/x"));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
