//! One placement: filter the nodes, score the rest, take the best. Main function: [`place`].
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/#kube-scheduler-implementation>.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    filters::{FILTERS, Refusal, affinity::Neighbours, topology::Spreading},
    node::Node,
    pod::Pod,
    scores,
    snapshot::{ClusterSnapshot, NodeState},
    storage::{Choice, Wants},
    unschedulable::{NO_VICTIMS, NOT_HELPFUL, Unschedulable},
};

/// Where a pod goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The node's name.
    pub node: String,
    /// Its score; 0 if it was the only one.
    pub score: i64,
    /// How many nodes would do.
    pub feasible: usize,
    /// What is to be done about its claims first.
    pub choices: Vec<Choice>,
}

/// What all nodes are compared with: the pod, the cluster, and what is worked out once for both.
pub(crate) struct Cycle<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) snapshot: &'a ClusterSnapshot,
    /// The only nodes that the pod's affinity names, if it does.
    only: Option<BTreeSet<&'a str>>,
    pub(crate) spreading: Spreading<'a>,
    pub(crate) neighbours: Neighbours<'a>,
    pub(crate) storage: Wants<'a>,
}

/// A known node and its sums.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) state: &'a NodeState,
    pub(crate) node: &'a Node,
}

/// The best node for a pod.
///
/// # Errors
/// [`Unschedulable`] where no node will do.
pub fn place(pod: &Pod, snapshot: &ClusterSnapshot) -> Result<Placement, Unschedulable> {
    if snapshot.is_empty() {
        return Err(Unschedulable::no_nodes());
    }
    let storage = Wants::of(pod, snapshot)
        .map_err(|why| Unschedulable::everywhere(snapshot.len(), pod.preempts, "VolumeBinding", why))?;
    let cycle = Cycle::new(pod, snapshot, storage);
    let feasible: Vec<Candidate<'_>> = cycle.candidates().filter(|one| cycle.fits(one)).collect();
    match feasible.as_slice() {
        [] => Err(cycle.explain()),
        [only] => Ok(cycle.placement(only, 0, 1)),
        several => Ok(best(&cycle, several)),
    }
}

/// Whether a node reaches all that a pod's claims are bound to.
#[must_use]
pub fn reaches(pod: &Pod, node: &str, snapshot: &ClusterSnapshot) -> bool {
    let node = snapshot.node(node);
    Wants::of(pod, snapshot).is_ok_and(|wants| node.is_some_and(|node| wants.on(node).is_ok()))
}

fn best(cycle: &Cycle<'_>, feasible: &[Candidate<'_>]) -> Placement {
    let totals = scores::totals(cycle, feasible);
    let ranked = totals.iter().zip(feasible);
    let (score, best) = ranked
        .max_by_key(|(score, one)| (**score, mix(&cycle.pod.uid, &one.node.name)))
        .expect("there are several nodes");
    cycle.placement(best, *score, feasible.len())
}

/// FNV-1a: spreads equal choices over the nodes, the same way each time.
fn mix(uid: &str, node: &str) -> u64 {
    let bytes = uid.bytes().chain([0]).chain(node.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl<'a> Cycle<'a> {
    pub(crate) fn new(pod: &'a Pod, snapshot: &'a ClusterSnapshot, storage: Wants<'a>) -> Self {
        let only = named(pod);
        let spreading = Spreading::of(pod, snapshot);
        let neighbours = Neighbours::of(pod, snapshot);
        Self { pod, snapshot, only, spreading, neighbours, storage }
    }

    fn placement(&self, on: &Candidate<'_>, score: i64, feasible: usize) -> Placement {
        let choices = self.storage.on(on.node).unwrap_or_default();
        Placement { node: on.node.name.clone(), score, feasible, choices }
    }

    fn candidates(&self) -> impl Iterator<Item = Candidate<'a>> + use<'_, 'a> {
        let named = |node: &Node| self.only.as_ref().is_none_or(|only| only.contains(node.name.as_str()));
        let all = self.snapshot.nodes().map(|(state, node)| Candidate { state, node });
        all.filter(move |one| named(one.node))
    }

    fn fits(&self, candidate: &Candidate<'_>) -> bool {
        FILTERS.iter().all(|filter| (filter.check)(self, candidate))
    }

    /// Why no node will do: of each node what the first filter says that refuses it.
    fn explain(&self) -> Unschedulable {
        let mut why = Unschedulable { nodes: self.snapshot.len(), ..Unschedulable::default() };
        let mut preemption = BTreeMap::new();
        let mut looked_at = 0;
        for candidate in self.candidates() {
            let Some(filter) = FILTERS.iter().find(|filter| !(filter.check)(self, &candidate)) else { continue };
            let refusal = (filter.explain)(self, &candidate);
            looked_at += 1;
            why.refused_by.insert(filter.name);
            *preemption.entry(self.preemption(&candidate, &refusal).to_owned()).or_default() += 1;
            refusal.reasons.into_iter().for_each(|reason| *why.reasons.entry(reason).or_default() += 1);
        }
        let others = why.nodes - looked_at;
        if others > 0 {
            why.refused_by.insert("NodeAffinity");
            why.reasons.insert("node(s) didn't satisfy plugin(s) [NodeAffinity]".to_owned(), others);
            *preemption.entry(NOT_HELPFUL.to_owned()).or_default() += others;
        }
        why.preemption = self.pod.preempts.then_some(preemption);
        why
    }

    /// Why making other pods go from a node does not help.
    fn preemption(&self, candidate: &Candidate<'_>, refusal: &Refusal) -> &'static str {
        let less_important = |other: &Pod| other.priority < self.pod.priority;
        let victims = candidate.state.pods.values().any(|other| less_important(other));
        if refusal.lasting || victims { NOT_HELPFUL } else { NO_VICTIMS }
    }
}

/// The nodes that the required node affinity names, if each of its terms does.
fn named(pod: &Pod) -> Option<BTreeSet<&str>> {
    let terms = pod.node_terms.as_ref()?;
    let lists: Option<Vec<BTreeSet<&str>>> = terms.iter().map(|term| term.named()).collect();
    Some(lists?.into_iter().flatten().collect()).filter(|_| !terms.is_empty())
}
