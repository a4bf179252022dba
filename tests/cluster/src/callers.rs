//! Pods that call a Service all the time and note each call: [`Callers`]. They tell what a client within the cluster sees.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{Kubectl, eventually};

/// How long one call may take, unless told otherwise: a dead endpoint answers nothing, and the next call goes to another.
const CALL_SECONDS: u32 = 1;

/// How long the pods may take to run and call, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(90);

/// One call: the machine's uptime when it began, in seconds, and whether it was answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    /// Seconds since the machine started.
    pub at: f64,
    /// What the client exited with: 1 where it was told of a failure, such as an unknown name; 143 where nothing came in time.
    pub exit: u8,
}

impl Call {
    /// Whether an answer came in time.
    pub fn answered(&self) -> bool {
        self.exit == 0
    }
}

/// One pod a node, `caller-<node>`.
#[derive(Debug)]
pub struct Callers(Vec<String>);

impl Callers {
    /// Starts one on each of these nodes, and waits until each has been answered. They stay whatever their node's state.
    ///
    /// # Errors
    /// Where they do not run or are not answered.
    pub fn start(kubectl: &Kubectl, nodes: &[String], url: &str) -> Result<Self> {
        Self::start_with(kubectl, nodes, url, CALL_SECONDS)
    }

    /// As [`Callers::start`], with callers that wait so many seconds for each answer.
    ///
    /// # Errors
    /// As [`Callers::start`].
    pub fn start_with(kubectl: &Kubectl, nodes: &[String], url: &str, seconds: u32) -> Result<Self> {
        let script = format!(
            "while true; do t=$(cut -d\" \" -f1 /proc/uptime); \
             timeout {seconds} wget -q -O - {url} > /dev/null 2>&1; echo $t $?; usleep 50000; done"
        );
        for node in nodes {
            let pod = serde_json::json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": { "name": format!("caller-{node}") },
                "spec": {
                    "nodeSelector": { "kubernetes.io/hostname": node },
                    "tolerations": [{ "operator": "Exists" }],
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{ "name": "c", "image": crate::BUSYBOX, "command": ["sh", "-c", script] }],
                },
            });
            kubectl.prints("create -f -", &pod.to_string(), &["created"])?;
        }
        let callers = Self(nodes.to_vec());
        eventually("every caller is answered", START_LIMIT, || {
            let calls = callers.calls(kubectl, nodes)?;
            let silent: Vec<_> = calls.iter().filter(|(_, calls)| !calls.iter().any(Call::answered)).collect();
            ensure!(silent.is_empty(), "not answered: {silent:?}");
            Ok(())
        })?;
        Ok(callers)
    }

    /// All calls from these nodes so far.
    ///
    /// # Errors
    /// Where a pod's output cannot be read.
    pub fn calls(&self, kubectl: &Kubectl, nodes: &[String]) -> Result<BTreeMap<String, Vec<Call>>> {
        let mut all = BTreeMap::new();
        for node in self.0.iter().filter(|node| nodes.contains(node)) {
            let said = kubectl.prints(&format!("logs caller-{node}"), "", &[])?;
            all.insert(node.clone(), said.lines().filter_map(call).collect());
        }
        Ok(all)
    }
}

fn call(line: &str) -> Option<Call> {
    let (at, exit) = line.split_once(' ')?;
    Some(Call { at: at.parse().ok()?, exit: exit.parse().ok()? })
}

/// The machine's uptime, as calls tell it.
///
/// # Errors
/// Where the kernel does not tell it.
pub fn uptime() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/uptime")?;
    Ok(text.split(' ').next().context("/proc/uptime is empty")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_when_a_call_began_and_how_it_ended() {
        assert_eq!(call("12.50 0"), Some(Call { at: 12.5, exit: 0 }));
        assert_eq!(call("12.50 143"), Some(Call { at: 12.5, exit: 143 }));
        assert_eq!(call("sh: something"), None);
    }
}
