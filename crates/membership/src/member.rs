//! The replicated records: what the cluster and each member are. Stored as JSON; unknown fields are kept out.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::{Body, Key, Op, Record, View};

use crate::id::{KeyFingerprint, NodeId, Role};
use crate::keys;

/// Port of pods' endpoints unless set otherwise (UDP).
const PODS_PORT: u16 = 7444;

/// Facts about the cluster, written when it is founded. Addresses are lists: one entry a family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// Random id; certificates and gossip carry it, so that two clusters never mix.
    pub id: String,
    /// Raised by recover and restore; members of an older one are refused.
    pub incarnation: u64,
    /// Ranges that nodes' pod ranges are cut from.
    pub pod_ranges: Vec<IpNet>,
    /// Ranges that Services' addresses are taken from.
    pub service_ranges: Vec<IpNet>,
    /// Prefix length of one node's IPv4 pod range; IPv6 ranges are /64.
    pub node_prefix: u8,
    /// Suffix of every Service's DNS name.
    pub domain: String,
}

/// Whether a member may vote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VoterPreference {
    /// As the quorum needs.
    #[default]
    Auto,
    /// Before those that say auto.
    Prefer,
    /// Never.
    Never,
}

/// One member. Only what is here is believed; gossip is a hint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Its identity.
    pub id: NodeId,
    /// Its label: the name of its Node object.
    pub name: String,
    /// The key that proves the identity.
    pub key: KeyFingerprint,
    /// Where its control endpoint listens.
    pub addresses: Vec<SocketAddr>,
    /// Where its API endpoint listens.
    pub api_addresses: Vec<SocketAddr>,
    /// Where its pods' endpoint listens; the node itself says so once it is up. Until then see [`Member::pods_endpoints`].
    #[serde(default)]
    pub pod_addresses: Vec<SocketAddr>,
    /// Its part in the quorum.
    pub role: Role,
    /// Whether it may vote.
    #[serde(default)]
    pub voter: VoterPreference,
    /// Failure zone; voters are spread over zones.
    #[serde(default)]
    pub zone: String,
    /// Addresses of its pods, one range a family.
    #[serde(default)]
    pub pod_ranges: Vec<IpNet>,
    /// Whether it asked to leave; it then gets no role and is removed next.
    #[serde(default)]
    pub leaving: bool,
    /// Labels for its Node object, given at join.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl Member {
    /// Where its pods' endpoint listens; at the usual port, where the node has not said yet.
    pub fn pods_endpoints(&self) -> Vec<SocketAddr> {
        if self.pod_addresses.is_empty() {
            return self.addresses.iter().map(|address| SocketAddr::new(address.ip(), PODS_PORT)).collect();
        }
        self.pod_addresses.clone()
    }
}

/// All members, by id.
pub fn members(view: &View) -> Vec<Member> {
    view.range(keys::MEMBERS, None).filter_map(|record| decode(record)).collect()
}

/// One member.
pub fn member(view: &View, id: NodeId) -> Option<Member> {
    view.get(&keys::member(id)).and_then(|record| decode(record))
}

/// The cluster's facts, once it is founded.
pub fn cluster(view: &View) -> Option<Cluster> {
    view.get(keys::CLUSTER).and_then(|record| decode(record))
}

/// Decodes one of our JSON records.
pub fn decode<T: DeserializeOwned>(record: &Record) -> Option<T> {
    serde_json::from_slice(&record.body.head).ok()
}

/// The operation that stores a value as JSON under a key.
pub fn put<T: Serialize>(key: Key, value: &T) -> Op {
    let head = serde_json::to_vec(value).expect("records have string keys and finite numbers");
    let body = Body { head: head.into(), tail: Default::default() };
    Op::Put { key, body, labels: Vec::new(), fields: Vec::new(), indexes: Vec::new() }
}
