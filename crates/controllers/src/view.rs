//! What deciders see: all objects at one revision. Main type: [`View`].

use std::{net::SocketAddr, sync::Arc};

use api::kinds::Kind;
use jiff::Timestamp;
use serde_json::Value;

/// A stored object, `apiVersion`, `kind` and `resourceVersion` included. Decoded once, shared, never changed.
pub type Object = Arc<Value>;

/// Facts about the cluster that are no objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The CA that API servers' certificates are signed by, in PEM.
    pub root_ca_pem: String,
    /// Its members.
    pub members: Vec<Member>,
}

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id, as the annotation [`NODE_ID`] of its Node has it.
    pub id: String,
    /// The name of its Node, if it runs pods.
    pub name: String,
    /// Where its API endpoint listens.
    pub api_addresses: Vec<SocketAddr>,
    /// Set while its control process is not heard of.
    pub silent: Option<Silence>,
}

/// What is known of a member that is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Since when, by the clock of whoever decides; measured by monotonic time.
    pub since: Timestamp,
    /// Packets still pass to its data plane: only its control process is away, as during an upgrade. Its pods serve.
    pub reachable: bool,
}

/// Annotation of a Node that names the member it belongs to.
pub const NODE_ID: &str = "mesh.dev/node-id";

impl Cluster {
    /// The member of this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// A read-only snapshot at one revision. Objects are decoded when they are asked for: iterators are lazy.
pub trait View {
    /// The revision seen.
    fn revision(&self) -> u64;

    /// One object; `namespace` is empty for a cluster-wide one.
    fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Object>;

    /// Objects of a kind in one namespace (empty: in all), in the order of their keys.
    fn list<'a>(&'a self, kind: &'a Kind, namespace: &'a str) -> Box<dyn Iterator<Item = Object> + 'a>;

    /// Objects of a kind in one namespace that have all of these labels; the others need not be decoded.
    fn labelled<'a>(&'a self, kind: &'a Kind, namespace: &'a str, labels: &'a [(&'a str, &'a str)]) -> Vec<Object> {
        let fits = |object: &Object| labels.iter().all(|(key, value)| api::meta::label(object, key) == Some(value));
        self.list(kind, namespace).filter(fits).collect()
    }

    /// Objects of any kind with an `ownerReferences` entry of this UID.
    fn by_owner<'a>(&'a self, uid: &'a str) -> Box<dyn Iterator<Item = Object> + 'a>;

    /// Objects of a kind found by one of its [`Kind::indexes`].
    fn by_index<'a>(&'a self, kind: &'a Kind, index: &'a str, value: &'a str) -> Box<dyn Iterator<Item = Object> + 'a>;

    /// Facts about the cluster.
    fn cluster(&self) -> &Cluster;

    /// Why the last plan for this key was not carried out, in the API's words; `None` if it was.
    fn failure(&self) -> Option<&str> {
        None
    }
}
