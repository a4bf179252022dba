//! What is kept with a sandbox or container in containerd, as labels. Main type: [`Identity`].

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::{Exit, PodRef, SandboxId};

/// Label of what it is: [`SANDBOX`] or [`CONTAINER`].
pub(crate) const KIND: &str = "mesh.kind";
pub(crate) const SANDBOX: &str = "sandbox";
pub(crate) const CONTAINER: &str = "container";

/// Set when a container is about to be started.
pub(crate) const STARTED_AT: &str = "mesh.started-at";
/// The namespaces of a sandbox, as JSON.
pub(crate) const NAMESPACES: &str = "mesh.namespaces";
/// The signal that stops a container.
pub(crate) const STOP_SIGNAL: &str = "mesh.stop-signal";
/// Its cgroup; of a sandbox, the one that holds its containers'.
pub(crate) const CGROUP: &str = "mesh.cgroup";
/// The file its output goes to.
pub(crate) const LOG_PATH: &str = "mesh.log-path";
/// It has a terminal.
pub(crate) const TTY: &str = "mesh.tty";
/// It has an input that people may write to: [`STDIN_KEPT`], or [`STDIN_ONCE`] if it ends with the first of them.
pub(crate) const STDIN: &str = "mesh.stdin";
pub(crate) const STDIN_KEPT: &str = "kept";
pub(crate) const STDIN_ONCE: &str = "once";
/// The snapshot of its image.
pub(crate) const IMAGE_CHAIN: &str = "mesh.image-chain";
/// Its image's manifest.
pub(crate) const IMAGE_DIGEST: &str = "mesh.image-digest";

const FINISHED_AT: &str = "mesh.finished-at";
const EXIT_CODE: &str = "mesh.exit-code";
const OOM_KILLED: &str = "mesh.oom-killed";
const MESSAGE: &str = "mesh.message";

const UID: &str = "io.kubernetes.pod.uid";
const NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD: &str = "io.kubernetes.pod.name";
const NAME: &str = "io.kubernetes.container.name";
const ATTEMPT: &str = "mesh.attempt";
const SANDBOX_ID: &str = "mesh.sandbox";
/// Before the caller's own.
const CALLER: &str = "user/";

/// The longest message kept, in bytes: a label has 4,096 at most.
const MESSAGE_BYTES_MAX: usize = 2048;

/// Whose something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pod: PodRef,
    pub(crate) attempt: u32,
    /// Of a container.
    pub(crate) container: Option<(SandboxId, String)>,
    pub(crate) caller: BTreeMap<String, String>,
}

impl Identity {
    pub(crate) fn to_labels(&self) -> HashMap<String, String> {
        let kind = if self.container.is_some() { CONTAINER } else { SANDBOX };
        let mut labels = HashMap::from([
            (KIND.to_owned(), kind.to_owned()),
            (UID.to_owned(), self.pod.uid.clone()),
            (NAMESPACE.to_owned(), self.pod.namespace.clone()),
            (POD.to_owned(), self.pod.name.clone()),
            (ATTEMPT.to_owned(), self.attempt.to_string()),
        ]);
        if let Some((sandbox, name)) = &self.container {
            labels.insert(SANDBOX_ID.to_owned(), sandbox.to_string());
            labels.insert(NAME.to_owned(), name.clone());
        }
        labels.extend(self.caller.iter().map(|(key, value)| (format!("{CALLER}{key}"), value.clone())));
        labels
    }

    /// `None` for what is not ours.
    pub(crate) fn from_labels(labels: &HashMap<String, String>) -> Option<Self> {
        let text = |key: &str| labels.get(key).cloned();
        let container = match labels.get(KIND)?.as_str() {
            SANDBOX => None,
            CONTAINER => Some((SandboxId::from(text(SANDBOX_ID)?), text(NAME)?)),
            _ => return None,
        };
        let caller =
            labels.iter().filter_map(|(key, value)| Some((key.strip_prefix(CALLER)?.to_owned(), value.clone())));
        Some(Self {
            pod: PodRef { uid: text(UID)?, namespace: text(NAMESPACE)?, name: text(POD)? },
            attempt: text(ATTEMPT)?.parse().ok()?,
            container,
            caller: caller.collect(),
        })
    }
}

/// How an exit is kept.
pub(crate) fn exit_to_labels(exit: &Exit) -> Vec<(&'static str, String)> {
    let mut labels = vec![(FINISHED_AT, exit.finished_at.to_string()), (OOM_KILLED, exit.oom_killed.to_string())];
    labels.extend(exit.code.map(|code| (EXIT_CODE, code.to_string())));
    labels.extend(exit.message.as_ref().map(|message| (MESSAGE, shortened(message))));
    labels
}

/// An exit that was kept.
pub(crate) fn exit_from_labels(labels: &HashMap<String, String>) -> Option<Exit> {
    let finished_at = time(labels, FINISHED_AT)?;
    Some(Exit {
        code: labels.get(EXIT_CODE).and_then(|code| code.parse().ok()),
        oom_killed: labels.get(OOM_KILLED).is_some_and(|value| value == "true"),
        started_at: time(labels, STARTED_AT).unwrap_or(finished_at),
        finished_at,
        message: labels.get(MESSAGE).cloned(),
    })
}

/// A time that was kept.
pub(crate) fn time(labels: &HashMap<String, String>, key: &str) -> Option<Timestamp> {
    labels.get(key)?.parse().ok()
}

fn shortened(message: &str) -> String {
    let mut end = message.len().min(MESSAGE_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(container: Option<(SandboxId, String)>) -> Identity {
        let pod = PodRef { uid: "u".into(), namespace: "n".into(), name: "p".into() };
        Identity { pod, attempt: 3, container, caller: BTreeMap::from([("a/b".into(), "c".into())]) }
    }

    #[test]
    fn identities_come_back() {
        for identity in [identity(None), identity(Some((SandboxId::of("u", 3), "web".into())))] {
            assert_eq!(Identity::from_labels(&identity.to_labels()), Some(identity));
        }
        assert_eq!(Identity::from_labels(&HashMap::new()), None);
    }

    #[test]
    fn exits_come_back() {
        let at = Timestamp::UNIX_EPOCH;
        for (code, message) in [(Some(137), None), (None, Some("no such file".to_owned()))] {
            let exit = Exit { code, oom_killed: true, started_at: at, finished_at: at, message };
            let labels = exit_to_labels(&exit).into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            assert_eq!(exit_from_labels(&labels), Some(exit));
        }
    }
}
