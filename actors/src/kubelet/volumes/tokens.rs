//! Tokens of a pod's service account in its volumes: requested through the API, kept while they are good.
//! When they were issued and end is kept in `<dataDir>/pods/<uid>/tokens.json`; the tokens themselves are in the volumes only.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/>.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use ::kubelet::observed::Token;
use ::kubelet::volume::TokenRequest;
use api::kinds::{read::text, service_account::SERVICE_ACCOUNT};
use jiff::Timestamp;
use runtime::PodRef;
use serde_json::json;

use super::{history, mounts::blocking};
use crate::node_api::Api;

/// Name of the file in a pod's folder.
const NAME: &str = "tokens.json";

/// The token that is there while it need not be renewed, else a new one, with its times.
///
/// # Errors
/// What the API says, where there is no token yet.
pub async fn get(
    api: &Api,
    pod: &PodRef,
    request: &TokenRequest,
    known: Option<Token>,
    there: &Path,
) -> Result<(Vec<u8>, Token), String> {
    let path = there.to_owned();
    let present = blocking(move || fs::read(path)).await.ok().zip(known).filter(|(bytes, _)| !bytes.is_empty());
    if let Some((bytes, token)) = &present
        && !request.renew
        && token.expires_at > clock::now()
    {
        return Ok((bytes.clone(), *token));
    }
    match ask(api, pod, request).await {
        Ok(fresh) => Ok(fresh),
        // Asked for again at the next plan; meanwhile the pod runs with this one, be it past its end.
        Err(error) => present.ok_or(error),
    }
}

async fn ask(api: &Api, pod: &PodRef, request: &TokenRequest) -> Result<(Vec<u8>, Token), String> {
    let audiences: Vec<&str> = request.audience.as_deref().into_iter().collect();
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": audiences,
            "expirationSeconds": request.expiration_seconds,
            "boundObjectRef": { "apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid },
        },
    });
    let issued_at = clock::now();
    let answer = api.create_part(&SERVICE_ACCOUNT, &pod.namespace, &request.service_account, "token", &body).await;
    let answer = answer.map_err(|error| format!("failed to fetch token: {error}"))?;
    let expires_at: Timestamp = text(&answer, "/status/expirationTimestamp")
        .parse()
        .map_err(|error| format!("failed to fetch token: its end is no time: {error}"))?;
    Ok((text(&answer, "/status/token").as_bytes().to_vec(), Token { issued_at, expires_at }))
}

/// The times of a pod's tokens, as last kept.
pub fn load(pod_dir: &Path) -> BTreeMap<String, Token> {
    let bytes = fs::read(pod_dir.join(NAME)).unwrap_or_default();
    let kept: BTreeMap<String, (Timestamp, Timestamp)> = serde_json::from_slice(&bytes).unwrap_or_default();
    kept.into_iter().map(|(key, (issued_at, expires_at))| (key, Token { issued_at, expires_at })).collect()
}

/// Keeps the times of a pod's tokens. Blocks.
///
/// # Errors
/// What the disk says.
pub fn save(pod_dir: &Path, tokens: &BTreeMap<String, Token>) -> io::Result<()> {
    if load(pod_dir) == *tokens {
        return Ok(());
    }
    let kept: BTreeMap<&str, (Timestamp, Timestamp)> =
        tokens.iter().map(|(key, token)| (key.as_str(), (token.issued_at, token.expires_at))).collect();
    fs::create_dir_all(pod_dir)?;
    history::write(&pod_dir.join(NAME), &serde_json::to_vec(&kept).map_err(io::Error::other)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = BTreeMap::from([(
            "v/token".to_owned(),
            Token { issued_at: Timestamp::UNIX_EPOCH, expires_at: Timestamp::from_second(3600).unwrap() },
        )]);
        save(dir.path(), &tokens).unwrap();
        assert_eq!(load(dir.path()), tokens);
        assert!(load(&dir.path().join("none")).is_empty());
    }
}
