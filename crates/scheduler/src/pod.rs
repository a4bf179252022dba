//! A pod as placing sees it. Main type: [`Pod`].
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>; what a pod requests:
//! <https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers>.
//! Leaves out: amounts that a resize under way holds beside the wanted ones.

use api::kinds::pod::ephemeral_claim;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    amounts::Amounts,
    node::Node,
    raw,
    terms::{Labels, NodeTerm, PodTerm, Preference, Spread, Taint, Toleration, label, sorted},
};

/// What a container without a CPU request counts as in scores, so that such pods do not all go to one node.
const USUAL_MILLI_CPU: i64 = 100;

/// As [`USUAL_MILLI_CPU`], in bytes of memory.
const USUAL_MEMORY: i64 = 200 << 20;

/// What placing needs to know of a Pod object.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its labels.
    pub labels: Labels,
    /// UID of the object that controls it, or nothing.
    pub controller: String,
    /// The node it is bound to, or nothing.
    pub node: String,
    /// Who is to place it.
    pub scheduler: String,
    /// Higher goes first.
    pub priority: i32,
    /// Whether less important pods may be made to go for it.
    pub preempts: bool,
    /// It has run to its end and uses nothing any more.
    pub finished: bool,
    /// Its deletion has begun.
    pub deleting: bool,
    /// Somebody holds it back.
    pub gated: bool,
    /// What it asks of its node.
    pub requests: Amounts,
    /// The same where every container asks for some CPU and memory: what scores count.
    pub usual: Amounts,
    /// Ports of the node that it takes.
    pub ports: Vec<HostPort>,
    /// Images of its containers, with a tag or digest.
    pub images: Vec<String>,
    /// Taints it can live with.
    pub tolerations: Vec<Toleration>,
    /// Labels that its node must have.
    pub node_selector: Labels,
    /// Terms of which its node must meet one, if there are any.
    pub node_terms: Option<Vec<NodeTerm>>,
    /// Nodes it would like.
    pub liked_nodes: Vec<Preference<NodeTerm>>,
    /// Pods it must be near.
    pub near: Vec<PodTerm>,
    /// Pods it must be far from.
    pub far: Vec<PodTerm>,
    /// Pods it would like to be near (weight above 0) or far from (below).
    pub liked_pods: Vec<Preference<PodTerm>>,
    /// How it wants to be spread.
    pub spread: Vec<Spread>,
    /// Claims of storage that it uses: their names, and whether each is made for it and goes with it.
    pub claims: Vec<(String, bool)>,
    /// Its wishes about other pods, as text: pods with equal ones are counted together.
    pub(crate) wishes: String,
}

/// A port of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The port.
    pub port: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// The address, `0.0.0.0` for all.
    pub address: String,
}

/// A Pod object that cannot be read.
#[derive(Debug)]
pub struct PodError(serde_json::Error);

impl std::fmt::Display for PodError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the pod cannot be read: {}", self.0)
    }
}

impl std::error::Error for PodError {}

impl HostPort {
    /// Any address.
    const ANY: &'static str = "0.0.0.0";

    fn of(raw: &raw::Port) -> Option<Self> {
        let or = |value: &str, other: &str| if value.is_empty() { other.to_owned() } else { value.to_owned() };
        let port =
            Self { port: raw.host_port, protocol: or(&raw.protocol, "TCP"), address: or(&raw.host_ip, Self::ANY) };
        (raw.host_port > 0).then_some(port)
    }

    /// Whether both cannot be taken.
    #[must_use]
    pub fn clashes(&self, other: &Self) -> bool {
        let addresses = self.address == other.address || self.address == Self::ANY || other.address == Self::ANY;
        addresses && self.port == other.port && self.protocol == other.protocol
    }
}

impl Pod {
    /// Reads a Pod object.
    ///
    /// # Errors
    /// Where a field has the wrong type.
    pub fn read(object: &Value) -> Result<Self, PodError> {
        let raw = raw::Pod::deserialize(object).map_err(PodError)?;
        let mut pod = Self::of(raw);
        let wish = |field: &str| object.pointer(&format!("/spec/affinity/{field}")).map(Value::to_string);
        pod.wishes = [wish("podAffinity"), wish("podAntiAffinity")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        Ok(pod)
    }

    fn of(raw: raw::Pod) -> Self {
        let raw::Pod { metadata, spec, status } = raw;
        let labels = sorted(metadata.labels);
        let running = || spec.containers.iter().chain(spec.init_containers.iter().filter(|one| one.is_sidecar()));
        let affinity = &spec.affinity;
        let term = |raw: &raw::AffinityTerm| PodTerm::of(raw, &metadata.namespace, &labels);
        let liked = |list: &[raw::PreferredPods], sign: i64| {
            list.iter()
                .map(|raw| Preference { weight: sign * raw.weight, term: term(&raw.pod_affinity_term) })
                .collect()
        };
        let (mut liked_pods, feared): (Vec<_>, Vec<_>) =
            (liked(&affinity.pod_affinity.preferred, 1), liked(&affinity.pod_anti_affinity.preferred, -1));
        liked_pods.extend(feared);
        let node_terms = affinity.node_affinity.required.as_ref();
        let liked_node =
            |raw: &raw::PreferredNode| Preference { weight: raw.weight, term: NodeTerm::of(&raw.preference) };
        Self {
            controller: metadata
                .owner_references
                .iter()
                .find(|one| one.controller)
                .map(|one| one.uid.clone())
                .unwrap_or_default(),
            preempts: spec.preemption_policy != "Never",
            finished: matches!(status.phase.as_str(), "Succeeded" | "Failed"),
            deleting: metadata.deletion_timestamp.is_some(),
            gated: !spec.scheduling_gates.is_empty(),
            requests: spec.requests(0, 0),
            usual: spec.requests(USUAL_MILLI_CPU, USUAL_MEMORY),
            ports: running().flat_map(|container| &container.ports).filter_map(HostPort::of).collect(),
            images: spec.init_containers.iter().chain(&spec.containers).map(|one| tagged(&one.image)).collect(),
            node_terms: node_terms.map(|terms| terms.node_selector_terms.iter().map(NodeTerm::of).collect()),
            liked_nodes: affinity.node_affinity.preferred.iter().map(liked_node).collect(),
            near: affinity.pod_affinity.required.iter().map(term).collect(),
            far: affinity.pod_anti_affinity.required.iter().map(term).collect(),
            liked_pods,
            spread: spec.topology_spread_constraints.iter().map(|raw| Spread::of(raw, &labels)).collect(),
            claims: spec.volumes.iter().filter_map(|volume| volume.claim(&metadata.name)).collect(),
            node: spec.node_name,
            scheduler: spec.scheduler_name,
            priority: spec.priority,
            tolerations: spec.tolerations.into_iter().map(Toleration::of).collect(),
            node_selector: sorted(spec.node_selector),
            namespace: metadata.namespace,
            name: metadata.name,
            uid: metadata.uid,
            labels,
            wishes: String::new(),
        }
    }

    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether it can live with a taint.
    #[must_use]
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.tolerations.iter().any(|toleration| toleration.covers(taint))
    }

    /// The first taint that keeps it off a node.
    #[must_use]
    pub fn repelled_by<'a>(&self, node: &'a Node) -> Option<&'a Taint> {
        let repels =
            |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute") && !self.tolerates(taint);
        node.taints.iter().find(repels)
    }

    /// Whether a node meets its node selector and required node affinity.
    #[must_use]
    pub fn may_choose(&self, node: &Node) -> bool {
        self.node_selector.iter().all(|(key, value)| label(&node.labels, key) == Some(value))
            && self.node_terms.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches(node)))
    }
}

impl raw::Volume {
    fn claim(&self, pod: &str) -> Option<(String, bool)> {
        let made = || self.ephemeral.as_ref().map(|_| (ephemeral_claim(pod, &self.name), true));
        self.persistent_volume_claim.as_ref().map(|one| (one.claim_name.clone(), false)).or_else(made)
    }
}

impl raw::Container {
    fn is_sidecar(&self) -> bool {
        self.restart_policy == "Always"
    }

    fn requests(&self, milli_cpu: i64, memory: i64) -> Amounts {
        let requests = &self.resources.requests;
        let mut amounts = Amounts::of(requests);
        if !requests.contains_key("cpu") {
            amounts.milli_cpu = milli_cpu;
        }
        if !requests.contains_key("memory") {
            amounts.memory = memory;
        }
        amounts
    }
}

impl raw::PodSpec {
    /// Containers and sidecars run together; each init container runs beside the sidecars before it.
    fn requests(&self, milli_cpu: i64, memory: i64) -> Amounts {
        let mut all = Amounts::default();
        for container in &self.containers {
            all.add(&container.requests(milli_cpu, memory));
        }
        let (mut sidecars, mut starting) = (Amounts::default(), Amounts::default());
        for container in &self.init_containers {
            let own = container.requests(milli_cpu, memory);
            if container.is_sidecar() {
                all.add(&own);
                sidecars.add(&own);
                starting.raise_to(&sidecars);
            } else {
                let mut beside = sidecars.clone();
                beside.add(&own);
                starting.raise_to(&beside);
            }
        }
        all.raise_to(&starting);
        self.of_the_pod(&mut all);
        all.add(&Amounts::of(&self.overhead));
        all
    }

    /// What is requested for the pod as a whole replaces the sum over its containers.
    fn of_the_pod(&self, all: &mut Amounts) {
        let whole: &Map<String, Value> = &self.resources.requests;
        let amounts = Amounts::of(whole);
        if whole.contains_key("cpu") {
            all.milli_cpu = amounts.milli_cpu;
        }
        if whole.contains_key("memory") {
            all.memory = amounts.memory;
        }
        all.extended.extend(amounts.extended);
    }
}

/// An image's name as nodes list it.
fn tagged(image: &str) -> String {
    let after_host = image.rsplit('/').next().unwrap_or(image);
    if after_host.contains(':') { image.to_owned() } else { format!("{image}:latest") }
}
