//! The objects as the API writes them: only fields that [`super`] reads. Unknown ones are passed over.

use serde::Deserialize;

use super::{Endpoint, ServicePort, SlicePort};

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RawMetadata {
    pub(super) labels: RawLabels,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RawLabels {
    #[serde(rename = "kubernetes.io/service-name")]
    pub(super) service: Option<String>,
    #[serde(rename = "service.kubernetes.io/service-proxy-name")]
    pub(super) proxy: Option<String>,
    #[serde(rename = "service.kubernetes.io/headless")]
    pub(super) headless: Option<String>,
}

impl RawMetadata {
    pub(super) fn is_anothers(&self) -> bool {
        self.labels.proxy.is_some() || self.labels.headless.is_some()
    }
}

#[derive(Deserialize)]
pub(super) struct RawService {
    #[serde(default)]
    pub(super) metadata: RawMetadata,
    #[serde(default)]
    pub(super) spec: RawServiceSpec,
    #[serde(default)]
    pub(super) status: RawServiceStatus,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawServiceSpec {
    #[serde(rename = "type")]
    pub(super) r#type: String,
    #[serde(rename = "clusterIP")]
    pub(super) cluster_ip: String,
    #[serde(rename = "clusterIPs")]
    pub(super) cluster_ips: Vec<String>,
    pub(super) ports: Vec<ServicePort>,
    pub(super) session_affinity: String,
    pub(super) session_affinity_config: Option<RawAffinity>,
    pub(super) internal_traffic_policy: String,
    pub(super) external_traffic_policy: String,
}

#[derive(Deserialize)]
pub(super) struct RawAffinity {
    #[serde(rename = "clientIP")]
    pub(super) client_ip: Option<RawClientIp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawClientIp {
    pub(super) timeout_seconds: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawServiceStatus {
    pub(super) load_balancer: RawBalancer,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RawBalancer {
    pub(super) ingress: Vec<RawIngress>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawIngress {
    pub(super) ip: Option<String>,
    pub(super) ip_mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawSlice {
    #[serde(default)]
    pub(super) metadata: RawMetadata,
    #[serde(default)]
    pub(super) address_type: String,
    pub(super) ports: Option<Vec<SlicePort>>,
    pub(super) endpoints: Option<Vec<RawEndpoint>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawEndpoint {
    #[serde(default)]
    pub(super) addresses: Vec<String>,
    #[serde(default)]
    pub(super) conditions: RawConditions,
    pub(super) node_name: Option<String>,
    pub(super) hints: Option<RawHints>,
}

#[derive(Default, Deserialize)]
pub(super) struct RawConditions {
    pub(super) ready: Option<bool>,
    pub(super) serving: Option<bool>,
    pub(super) terminating: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawHints {
    pub(super) for_zones: Vec<RawName>,
    pub(super) for_nodes: Vec<RawName>,
}

#[derive(Deserialize)]
pub(super) struct RawName {
    pub(super) name: String,
}

impl RawEndpoint {
    /// Unset `ready` means ready, unset `serving` means as `ready` (upstream's words for consumers of slices).
    pub(super) fn read(self) -> Option<Endpoint> {
        let ready = self.conditions.ready.unwrap_or(true);
        let hints = self.hints.unwrap_or_default();
        let names = |names: Vec<RawName>| names.into_iter().map(|one| one.name).collect();
        Some(Endpoint {
            address: self.addresses.first()?.parse().ok()?,
            ready,
            serving: self.conditions.serving.unwrap_or(ready),
            terminating: self.conditions.terminating.unwrap_or(false),
            node: self.node_name,
            zones: names(hints.for_zones),
            nodes: names(hints.for_nodes),
        })
    }
}
