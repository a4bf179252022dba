//! Pods that call a Service all the time and note each call: [`Callers`]. They tell what a client within the cluster sees.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{Kubectl, eventually};

/// How long one call may take, unless told otherwise: a dead endpoint answers nothing, and the next call goes to another.
const CALL_SECONDS: u32 = 1;

/// How long the pods may take to run and call, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(90);

/// Calls that are to be answered in a row before what failed counts as over.
const STEADY: usize = 40;

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
pub struct Callers {
    nodes: Vec<String>,
    script: String,
}

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
        let callers = Self { nodes: nodes.to_vec(), script };
        nodes.iter().try_for_each(|node| callers.create(kubectl, node))?;
        callers.are_answered(kubectl, nodes)?;
        Ok(callers)
    }

    fn create(&self, kubectl: &Kubectl, node: &str) -> Result<()> {
        let pod = pod_on(
            node,
            "caller",
            serde_json::json!({ "image": crate::BUSYBOX, "command": ["sh", "-c", self.script] }),
        );
        kubectl.prints("create -f -", &pod.to_string(), &["created"]).map(drop)
    }

    fn are_answered(&self, kubectl: &Kubectl, nodes: &[String]) -> Result<()> {
        eventually("every caller is answered", START_LIMIT, || {
            let calls = self.calls(kubectl, nodes)?;
            let silent: Vec<_> = calls.iter().filter(|(_, calls)| !calls.iter().any(Call::answered)).collect();
            ensure!(silent.is_empty(), "not answered: {silent:?}");
            Ok(())
        })
    }

    /// A new caller in the place of a node's former one, which died with its machine; waits until it is answered.
    ///
    /// # Errors
    /// As [`Callers::start`].
    pub fn put_back(&self, kubectl: &Kubectl, node: &str) -> Result<()> {
        kubectl.prints(&format!("delete pod caller-{node} --force --grace-period=0"), "", &[])?;
        self.create(kubectl, node)?;
        self.are_answered(kubectl, &[node.to_owned()])
    }

    /// Waits until each of these nodes' callers was answered many times in a row since then. Tells how long after it the last
    /// call that failed began, in seconds; 0 where none did.
    ///
    /// # Errors
    /// Where that takes longer than `limit`.
    pub fn recovered(
        &self,
        kubectl: &Kubectl,
        nodes: &[String],
        since: f64,
        limit: Duration,
    ) -> Result<BTreeMap<String, f64>> {
        let seen = eventually("calls succeed", limit, || {
            let calls = self.calls(kubectl, nodes)?;
            for (node, calls) in &calls {
                let steady = calls.iter().rev().take_while(|call| call.answered() && call.at > since).count();
                ensure!(steady >= STEADY, "{node}: {steady} answered in a row");
            }
            Ok(calls)
        })?;
        let last =
            |calls: Vec<Call>| calls.iter().rev().find(|call| !call.answered()).map_or(0.0, |call| call.at - since);
        Ok(seen.into_iter().map(|(node, calls)| (node, last(calls).max(0.0))).collect())
    }

    /// All calls from these nodes so far.
    ///
    /// # Errors
    /// Where a pod's output cannot be read.
    pub fn calls(&self, kubectl: &Kubectl, nodes: &[String]) -> Result<BTreeMap<String, Vec<Call>>> {
        let mut all = BTreeMap::new();
        for node in self.nodes.iter().filter(|node| nodes.contains(node)) {
            let said = kubectl.prints(&format!("logs caller-{node}"), "", &[])?;
            all.insert(node.clone(), said.lines().filter_map(call).collect());
        }
        Ok(all)
    }
}

/// A pod `<name>-<node>` with one container that stays on its node, whatever the node's state.
pub fn pod_on(node: &str, name: &str, mut container: serde_json::Value) -> serde_json::Value {
    container["name"] = "c".into();
    serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": format!("{name}-{node}"), "labels": { "app": name } },
        "spec": {
            "nodeSelector": { "kubernetes.io/hostname": node },
            "tolerations": [{ "operator": "Exists" }],
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    })
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
