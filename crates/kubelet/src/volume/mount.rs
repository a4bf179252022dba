//! What a container mounts: the pod's volumes and the small files. Main function: [`mounts`].

use std::path::{Component, Path, PathBuf};

use api::gotext::quote;

use super::{hostname, hosts, place::place, resolv_conf};
use crate::{
    env::Sources,
    model::{Container, VolumeMount},
    observed::NodeFacts,
    spec::{Environment, Mount, Propagation},
    step::Prepare,
    text::expand,
};

/// Mode of the small files.
const FILE_MODE: u32 = 0o644;

/// Mode of the file for last words: any user of the container may write them.
const TERMINATION_LOG_MODE: u32 = 0o666;

/// Mode of a folder made for a `subPath`; upstream's.
const SUB_PATH_MODE: u32 = 0o755;

/// What a container mounts, and what has to be there before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts {
    /// In the order of the spec; the small files last.
    pub mounts: Vec<Mount>,
    /// In order.
    pub prepare: Vec<Prepare>,
}

/// The file for a container's last words, on the host.
#[must_use]
pub(crate) fn termination_log(node: &NodeFacts, uid: &str, container: &str, attempt: u32) -> PathBuf {
    node.pods_dir.join(uid).join("containers").join(container).join(format!("{attempt}.termination"))
}

/// What a container mounts.
///
/// # Errors
/// A message for `CreateContainerConfigError`.
pub fn mounts(
    sources: &Sources<'_>,
    (container, attempt): (&Container, u32),
    env: &Environment,
) -> Result<Mounts, String> {
    let (mut all, &Sources { pod, pod_ips, node, .. }) = (Mounts::default(), sources);
    for wanted in &container.volume_mounts {
        all.volume(sources, container, wanted, env)?;
    }
    let taken = |path: &str, all: &Mounts| all.mounts.iter().any(|mount| mount.target == Path::new(path));
    let dir = node.pods_dir.join(&pod.metadata.uid);
    let small = [
        ("/etc/hosts", "etc-hosts", hosts(pod, pod_ips, node)),
        ("/etc/resolv.conf", "resolv.conf", resolv_conf(pod, node)),
        ("/etc/hostname", "hostname", format!("{}\n", hostname(pod, node).0)),
    ];
    for (target, file, text) in small {
        if !taken(target, &all) {
            all.file(dir.join(file), target, text, FILE_MODE);
        }
    }
    let path = container.termination_message_path.as_str();
    let path = if path.is_empty() { "/dev/termination-log" } else { path };
    if !taken(path, &all) {
        let source = termination_log(node, &pod.metadata.uid, &container.name, attempt);
        all.file(source, path, String::new(), TERMINATION_LOG_MODE);
    }
    Ok(all)
}

impl Mounts {
    fn file(&mut self, source: PathBuf, target: &str, text: String, mode: u32) {
        self.prepare.push(Prepare::File { path: source.clone(), text, mode });
        self.mounts.push(Mount { source, target: target.into(), read_only: false, propagation: Propagation::Private });
    }

    fn volume(
        &mut self,
        sources: &Sources<'_>,
        container: &Container,
        wanted: &VolumeMount,
        env: &Environment,
    ) -> Result<(), String> {
        let volume = sources.pod.spec.volumes.iter().find(|volume| volume.name == wanted.name);
        let volume = volume.ok_or_else(|| {
            format!("cannot find volume {} to mount into container {}", quote(&wanted.name), quote(&container.name))
        })?;
        let place = place(sources, volume).map_err(|error| error.to_string())?;
        let root = place.path;
        let mut source = root.clone();
        let path = sub_path(wanted, env)?;
        if !path.is_empty() {
            let path = PathBuf::from(path);
            if path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
                return Err(format!(
                    "failed to prepare subPath for volumeMount {} of container {}",
                    quote(&wanted.name),
                    quote(&container.name)
                ));
            }
            source = root.join(&path);
            // Files of a volume are links; what they lead to is found when the container is made.
            self.prepare.push(Prepare::SubPath { root, path, mode: SUB_PATH_MODE });
        }
        self.mounts.push(Mount {
            source,
            target: wanted.mount_path.clone().into(),
            read_only: wanted.read_only || place.read_only,
            propagation: match wanted.mount_propagation.as_deref() {
                Some("HostToContainer") => Propagation::FromHost,
                Some("Bidirectional") => Propagation::Both,
                _ => Propagation::Private,
            },
        });
        Ok(())
    }
}

/// `subPath`, or `subPathExpr` with the container's variables put in.
fn sub_path(wanted: &VolumeMount, env: &Environment) -> Result<String, String> {
    if wanted.sub_path_expr.is_empty() {
        return Ok(wanted.sub_path.clone());
    }
    let unknown = std::cell::RefCell::new(Vec::new());
    let text = expand(&wanted.sub_path_expr, |name| {
        let value = env.0.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str());
        if value.is_none() {
            unknown.borrow_mut().push(name.to_owned());
        }
        value
    });
    match unknown.into_inner().first() {
        Some(name) => Err(format!("missing value for {}", quote(name))),
        None => Ok(text),
    }
}
