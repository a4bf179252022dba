//! The fields of Pods and Nodes that placing looks at, as they are stored. Everything else is ignored.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

macro_rules! raw {
    ($($name:ident { $($(#[$meta:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        #[derive(Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub(crate) struct $name { $($(#[$meta])* pub(crate) $field: $type),* }
    )*};
}

raw! {
    Metadata {
        name: String,
        namespace: String,
        uid: String,
        labels: BTreeMap<String, String>,
        deletion_timestamp: Option<String>,
        owner_references: Vec<Owner>,
    }
    Owner { uid: String, controller: bool }

    Pod { metadata: Metadata, spec: PodSpec, status: PodStatus }
    PodStatus { phase: String }
    PodSpec {
        node_name: String,
        scheduler_name: String,
        scheduling_gates: Vec<Value>,
        priority: i32,
        preemption_policy: String,
        node_selector: BTreeMap<String, String>,
        affinity: Affinity,
        tolerations: Vec<Toleration>,
        topology_spread_constraints: Vec<SpreadConstraint>,
        containers: Vec<Container>,
        init_containers: Vec<Container>,
        overhead: Map<String, Value>,
        resources: Resources,
        volumes: Vec<Volume>,
    }
    Volume { name: String, persistent_volume_claim: Option<ClaimName>, ephemeral: Option<Value> }
    ClaimName { claim_name: String }
    Container { image: String, restart_policy: String, ports: Vec<Port>, resources: Resources }
    Resources { requests: Map<String, Value> }
    Port { host_port: u16, protocol: String, #[serde(rename = "hostIP")] host_ip: String }
    Toleration { key: String, operator: String, value: String, effect: String }
    Affinity { node_affinity: NodeAffinity, pod_affinity: PodAffinity, pod_anti_affinity: PodAffinity }
    NodeAffinity {
        #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")] required: Option<NodeSelector>,
        #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")] preferred: Vec<PreferredNode>,
    }
    NodeSelector { node_selector_terms: Vec<NodeSelectorTerm> }
    NodeSelectorTerm { match_expressions: Vec<Requirement>, match_fields: Vec<Requirement> }
    Requirement { key: String, operator: String, values: Vec<String> }
    PreferredNode { weight: i64, preference: NodeSelectorTerm }
    PodAffinity {
        #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")] required: Vec<AffinityTerm>,
        #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")] preferred: Vec<PreferredPods>,
    }
    PreferredPods { weight: i64, pod_affinity_term: AffinityTerm }
    AffinityTerm {
        label_selector: Value,
        namespaces: Vec<String>,
        namespace_selector: Option<Value>,
        topology_key: String,
        match_label_keys: Vec<String>,
        mismatch_label_keys: Vec<String>,
    }
    SpreadConstraint {
        max_skew: i64,
        topology_key: String,
        when_unsatisfiable: String,
        label_selector: Value,
        min_domains: Option<i64>,
        node_affinity_policy: String,
        node_taints_policy: String,
        match_label_keys: Vec<String>,
    }

    Node { metadata: Metadata, spec: NodeSpec, status: NodeStatus }
    NodeSpec { unschedulable: bool, taints: Vec<Taint> }
    Taint { key: String, value: String, effect: String }
    NodeStatus { allocatable: Map<String, Value>, images: Vec<Image> }
    Image { names: Vec<String>, size_bytes: i64 }
}
