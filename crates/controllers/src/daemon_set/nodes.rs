//! Which nodes a DaemonSet means, and the pods it has on each. Main type: [`Daemons`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#how-daemon-pods-are-scheduled>.

use std::collections::BTreeMap;

use api::{
    kinds::{
        node::NODE,
        pod::is_terminal,
        read::{items, text},
        workload::{count, percent},
    },
    meta,
};
use jiff::Timestamp;
use scheduler::{Node, Pod};
use serde_json::{Value, json};

use super::{HASH_LABEL, pods};
use crate::{View, view::Object, workload::available_at};

/// A set, its nodes and pods as one run sees them.
pub(super) struct Daemons<'a> {
    pub(super) view: &'a dyn View,
    pub(super) set: &'a Value,
    pub(super) now: Timestamp,
    /// Hash of the present template.
    pub(super) hash: &'a str,
    /// What the set wants of each node there is.
    pub(super) nodes: BTreeMap<String, Wish>,
    /// Its pods by node, those first that are bound, then by age. What ended and is being deleted is left out.
    pub(super) pods: BTreeMap<String, Vec<Object>>,
}

/// What a set wants of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// A pod is to run there.
    pub(super) runs: bool,
    /// A pod that runs there may stay.
    pub(super) stays: bool,
}

impl<'a> Daemons<'a> {
    pub(super) fn new(view: &'a dyn View, set: &'a Value, now: Timestamp, hash: &'a str, all: Vec<Object>) -> Self {
        let mut pods: BTreeMap<String, Vec<Object>> = BTreeMap::new();
        for pod in all.into_iter().filter(|pod| !is_terminal(pod) || !meta::is_being_deleted(pod)) {
            let node = target(&pod).to_owned();
            if !node.is_empty() {
                pods.entry(node).or_default().push(pod);
            }
        }
        let rank = |pod: &Object| {
            let is_waiting = text(pod, "/spec/nodeName").is_empty();
            (is_waiting, meta::creation_timestamp(pod).to_owned(), meta::name(pod).to_owned())
        };
        pods.values_mut().for_each(|pods| pods.sort_by_cached_key(rank));
        Self { view, set, now, hash, nodes: wishes(view, set), pods }
    }

    /// The set's pods on a node.
    pub(super) fn on(&self, node: &str) -> &[Object] {
        self.pods.get(node).map_or(&[], Vec::as_slice)
    }

    /// How many nodes are to run a pod.
    pub(super) fn wanted(&self) -> i64 {
        i64::try_from(self.nodes.values().filter(|wish| wish.runs).count()).unwrap_or(i64::MAX)
    }

    /// Whether a pod has been ready for long enough.
    pub(super) fn is_available(&self, pod: &Value) -> bool {
        self.available_at(pod).is_some_and(|at| at <= self.now)
    }

    /// When it will have been.
    pub(super) fn available_at(&self, pod: &Value) -> Option<Timestamp> {
        available_at(pod, count(self.set, "/spec/minReadySeconds"))
    }

    /// Whether a pod is of the present template; those of old clients are told by a number.
    pub(super) fn is_new(&self, pod: &Value) -> bool {
        let number = meta::label(pod, pods::GENERATION_LABEL);
        !self.hash.is_empty() && meta::label(pod, HASH_LABEL) == Some(self.hash)
            || number.is_some() && number == meta::annotation(self.set, api::kinds::daemon_set::TEMPLATE_GENERATION)
    }

    /// Pods above what is wanted, and below it, that a rollout may bring, of so many nodes.
    pub(super) fn bounds(&self, nodes: i64) -> (i64, i64) {
        let zero = Value::from(0);
        let of = |field: &str| {
            let bound = self.set.pointer(&format!("/spec/updateStrategy/rollingUpdate/{field}"));
            percent::of(bound.unwrap_or(&zero), nodes, true)
        };
        match (of("maxSurge"), of("maxUnavailable")) {
            (0, 0) => (0, 1),
            bounds => bounds,
        }
    }

    /// Whether old pods are replaced by themselves.
    pub(super) fn is_rolling(&self) -> bool {
        text(self.set, "/spec/updateStrategy/type") == "RollingUpdate"
    }

    /// Whether a new pod may run beside the old one.
    pub(super) fn surges(&self) -> bool {
        self.is_rolling() && self.bounds(1).0 > 0
    }
}

/// The node that a pod is on, or is to be bound to.
fn target(pod: &Value) -> &str {
    match text(pod, "/spec/nodeName") {
        "" => named(pod).unwrap_or_default(),
        bound => bound,
    }
}

/// The one node that a pod's affinity names.
fn named(pod: &Value) -> Option<&str> {
    let terms = items(pod, pods::TERMS);
    let fields = terms.iter().flat_map(|term| items(term, "/matchFields"));
    let is_name = |field: &&Value| text(field, "/key") == "metadata.name" && text(field, "/operator") == "In";
    fields.filter(is_name).find_map(|field| match items(field, "/values") {
        [only] => only.as_str(),
        _ => None,
    })
}

/// What a set wants of each node, as placing would judge its pod. A template that cannot be read wants nothing.
fn wishes(view: &dyn View, set: &Value) -> BTreeMap<String, Wish> {
    let template = pods::tolerant(set);
    let pod = json!({ "metadata": { "namespace": meta::namespace(set) }, "spec": template.get("spec") });
    let Ok(pod) = Pod::read(&pod) else { return BTreeMap::new() };
    let nodes = view.list(&NODE, "").filter_map(|node| Node::read(&node).ok());
    nodes.map(|node| (node.name.clone(), wish(&pod, &node))).collect()
}

fn wish(pod: &Pod, node: &Node) -> Wish {
    let elsewhere = !pod.node.is_empty() && pod.node != node.name;
    if elsewhere || !pod.may_choose(node) {
        return Wish { runs: false, stays: false };
    }
    let runs = pod.repelled_by(node).is_none();
    let drives_out = node.taints.iter().any(|taint| taint.effect == "NoExecute" && !pod.tolerates(taint));
    Wish { runs, stays: !drives_out }
}
