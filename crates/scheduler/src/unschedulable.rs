//! Why a pod has no node, in the words of the upstream scheduler. Main type: [`Unschedulable`].
//! Spec: what `kubectl describe pod` shows as FailedScheduling and as the message of the condition PodScheduled.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Says that making other pods go would change nothing on these nodes.
pub(crate) const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";

/// Says that no less important pods are on these nodes.
pub(crate) const NO_VICTIMS: &str = "No preemption victims found for incoming pod";

/// What claims of devices have to say about a pod without any.
const NO_CLAIMS: &str = "no new claims to deallocate";

/// No node will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unschedulable {
    /// Nodes that were looked at.
    pub nodes: usize,
    /// Why no node would do, whatever it is like.
    pub everywhere: Option<String>,
    /// Why they will not do, and how many of them.
    pub reasons: BTreeMap<String, usize>,
    /// Why making other pods go does not help; `None` where the pod does not want that.
    pub preemption: Option<BTreeMap<String, usize>>,
    /// The filters that refused: what may change so that the pod is worth another try.
    pub refused_by: BTreeSet<&'static str>,
}

impl Unschedulable {
    /// Refuses all nodes of a cluster that has none.
    pub(crate) fn no_nodes() -> Self {
        Self::default()
    }

    /// Refuses all nodes for what the pod itself lacks.
    pub(crate) fn everywhere(nodes: usize, preempts: bool, filter: &'static str, why: String) -> Self {
        let preemption = preempts.then(|| BTreeMap::from([(NOT_HELPFUL.to_owned(), nodes)]));
        Self { nodes, everywhere: Some(why), preemption, refused_by: BTreeSet::from([filter]), ..Self::default() }
    }
}

impl fmt::Display for Unschedulable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        let nodes = self.nodes;
        let why = self.everywhere.clone().unwrap_or_else(|| counted(&self.reasons));
        write!(f, "0/{nodes} nodes are available: {why}. {NO_CLAIMS}, preemption: ")?;
        match &self.preemption {
            Some(reasons) => write!(f, "0/{nodes} nodes are available: {}.", counted(reasons)),
            None => f.write_str("not eligible due to preemptionPolicy=Never."),
        }
    }
}

/// `1 Insufficient cpu, 2 Insufficient memory`; sorted as text, so that 10 comes before 2.
fn counted(reasons: &BTreeMap<String, usize>) -> String {
    let mut counted: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    counted.sort_unstable();
    counted.join(", ")
}

impl std::error::Error for Unschedulable {}
