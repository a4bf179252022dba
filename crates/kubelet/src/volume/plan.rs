//! A pod's volumes. Main function: [`plan`].

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Content, File, HostCheck, Source, TokenRequest, Volume, VolumeSet,
    content::{self, DEFAULT_MODE},
    place::{NO_DRIVER, place},
};
use crate::{
    env::Sources,
    model::{EmptyDir, Pod, Projected, TokenSource},
    observed::{Observed, Token},
    text::{between, fingerprint, later},
};

/// A token is renewed when it is this old, if its life is not over before.
const TOKEN_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A token is renewed when so much of its life is over.
const TOKEN_LIFE_PERCENT: u32 = 80;

/// Seconds a token is valid if the pod does not say.
const TOKEN_SECONDS: i64 = 3_600;

/// Mode of a token that the pod's users can read: upstream's for pods with a file group, or with one user.
const TOKEN_MODE: u32 = 0o600;

/// Why volumes cannot be made now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// Something has not been looked up yet; plan again when it was.
    #[error("waiting for {0}")]
    Waiting(String),
    /// Something it refers to is not there.
    #[error("{0}")]
    Failed(String),
}

/// When tokens are next to be renewed.
pub type RefreshAt = Option<Timestamp>;

/// All volumes of a pod, and when its tokens are next to be renewed.
///
/// # Errors
/// The first volume that cannot be made, by name, and why.
pub fn plan(
    sources: &Sources<'_>,
    observed: &Observed,
    now: Timestamp,
) -> Result<(VolumeSet, RefreshAt), (String, VolumeError)> {
    let pod = sources.pod;
    let mut volumes = Vec::new();
    let mut refresh: RefreshAt = None;
    for wanted in &pod.spec.volumes {
        let named = |error| (wanted.name.clone(), error);
        let place = place(sources, wanted).map_err(named)?;
        let (source, at) = match place.source {
            Some(source) => (source, None),
            None => source(sources, wanted, observed, now).map_err(named)?,
        };
        refresh = [refresh, at].into_iter().flatten().min();
        let group = pod.spec.security_context.fs_group.filter(|_| !matches!(source, Source::Host { .. }));
        let group = group.and_then(|id| u32::try_from(id).ok());
        volumes.push(Volume { name: wanted.name.clone(), path: place.path, source, group });
    }
    let fingerprint = fingerprint_of(&volumes);
    Ok((VolumeSet { volumes, fingerprint }, refresh))
}

fn source(
    sources: &Sources<'_>,
    wanted: &crate::model::Volume,
    observed: &Observed,
    now: Timestamp,
) -> Result<(Source, RefreshAt), VolumeError> {
    let mode = |mode: Option<u32>| mode.unwrap_or(DEFAULT_MODE);
    let files = |files, memory| (Source::Files { files, memory }, None);
    Ok(if let Some(one) = &wanted.empty_dir {
        (empty(sources.pod, one), None)
    } else if let Some(one) = &wanted.host_path {
        (Source::Host { check: check(&one.kind) }, None)
    } else if let Some(one) = &wanted.config_map {
        files(content::config_map(sources, one, mode(one.default_mode))?, false)
    } else if let Some(one) = &wanted.secret {
        files(content::secret(sources, one, mode(one.default_mode))?, true)
    } else if let Some(one) = &wanted.downward_api {
        files(content::downward(sources, &one.items, mode(one.default_mode))?, true)
    } else if let Some(one) = &wanted.projected {
        projected(sources, &wanted.name, one, observed, now)?
    } else {
        return Err(VolumeError::Failed(NO_DRIVER.to_owned()));
    })
}

fn empty(pod: &Pod, wanted: &EmptyDir) -> Source {
    let memory = wanted.medium == "Memory";
    let limit = wanted.size_limit.as_ref().and_then(|limit| api::quantity::Quantity::from_json(limit).ok());
    let limit = limit.map(|limit| limit.value()).filter(|limit| *limit > 0);
    // What a tmpfs holds counts as its writers' memory, so their limits bound it, too.
    let limits = pod.spec.containers.iter().map(|one| crate::resources::quantity(&one.resources.limits, "memory"));
    let limits: Option<Vec<i64>> = limits.map(|limit| limit.map(|limit| limit.value())).collect();
    let bound = limits.map(|limits| limits.into_iter().fold(0, i64::saturating_add)).filter(|sum| memory && *sum > 0);
    Source::Empty { memory, size_bytes_max: [limit, bound].into_iter().flatten().min() }
}

pub(super) fn check(kind: &str) -> HostCheck {
    match kind {
        "Directory" => HostCheck::Directory,
        "DirectoryOrCreate" => HostCheck::DirectoryOrCreate,
        "File" => HostCheck::File,
        "FileOrCreate" => HostCheck::FileOrCreate,
        "Socket" => HostCheck::Socket,
        "CharDevice" => HostCheck::CharDevice,
        "BlockDevice" => HostCheck::BlockDevice,
        _ => HostCheck::Unset,
    }
}

fn projected(
    sources: &Sources<'_>,
    volume: &str,
    wanted: &Projected,
    observed: &Observed,
    now: Timestamp,
) -> Result<(Source, RefreshAt), VolumeError> {
    let mode = wanted.default_mode.unwrap_or(DEFAULT_MODE);
    let mut files: Vec<File> = Vec::new();
    let mut refresh: RefreshAt = None;
    for part in &wanted.sources {
        let mut found = Vec::new();
        if let Some(one) = &part.config_map {
            found.extend(content::config_map(sources, one, mode)?);
        }
        if let Some(one) = &part.secret {
            found.extend(content::secret(sources, one, mode)?);
        }
        if let Some(one) = &part.downward_api {
            found.extend(content::downward(sources, &one.items, mode)?);
        }
        if let Some(one) = &part.service_account_token {
            let key = format!("{volume}/{}", one.path);
            let token = observed.tokens.get(&key);
            let due = token.map(refresh_at);
            refresh = [refresh, due].into_iter().flatten().min();
            found.push(token_file(sources.pod, one, key, mode, due.is_some_and(|due| due <= now)));
        }
        for file in found {
            files.retain(|old| old.path != file.path);
            files.push(file);
        }
    }
    Ok((Source::Files { files, memory: true }, refresh))
}

/// When a token is to be renewed: at 80 % of its life, or after a day.
#[must_use]
pub fn refresh_at(token: &Token) -> Timestamp {
    let life = between(token.issued_at, token.expires_at);
    later(token.issued_at, (life * TOKEN_LIFE_PERCENT / 100).min(TOKEN_AGE_MAX))
}

fn token_file(pod: &Pod, wanted: &TokenSource, key: String, mode: u32, renew: bool) -> File {
    let owner = sole_user(pod).filter(|_| pod.spec.security_context.fs_group.is_none());
    let private = owner.is_some() || pod.spec.security_context.fs_group.is_some();
    let request = TokenRequest {
        key,
        service_account: Some(&pod.spec.service_account_name)
            .filter(|name| !name.is_empty())
            .map_or("default", |name| name)
            .to_owned(),
        audience: Some(wanted.audience.clone()).filter(|audience| !audience.is_empty()),
        expiration_seconds: wanted.expiration_seconds.unwrap_or(TOKEN_SECONDS),
        renew,
    };
    File {
        path: wanted.path.clone(),
        mode: if private { TOKEN_MODE } else { mode },
        owner,
        content: Content::Token(request),
    }
}

/// The user that all containers run as, if it is one.
fn sole_user(pod: &Pod) -> Option<u32> {
    let all = &pod.spec.security_context;
    let mut users = pod.all_containers().map(|(_, one)| one.security_context.run_as_user.or(all.run_as_user));
    let first = users.next()??;
    users.all(|user| user == Some(first)).then_some(first).and_then(|user| u32::try_from(user).ok())
}

fn fingerprint_of(volumes: &[Volume]) -> u64 {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for volume in volumes {
        parts.push(format!("{} {:?} {:?}", volume.name, volume.path, volume.group).into_bytes());
        let Source::Files { files, .. } = &volume.source else {
            parts.push(format!("{:?}", volume.source).into_bytes());
            continue;
        };
        for file in files {
            parts.push(format!("{} {} {:?}", file.path, file.mode, file.owner).into_bytes());
            parts.push(match &file.content {
                Content::Bytes(bytes) => bytes.clone(),
                // One that is due to be renewed makes another set.
                Content::Token(request) => format!("{request:?}").into_bytes(),
            });
        }
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    fingerprint(&parts).max(1)
}
