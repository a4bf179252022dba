//! What deciders see: all objects at one revision. Main type: [`View`].

use std::sync::Arc;

use api::kinds::Kind;
use serde_json::Value;

/// A stored object, `apiVersion`, `kind` and `resourceVersion` included. Decoded once, shared, never changed.
pub type Object = Arc<Value>;

/// Facts about the cluster that are no objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The CA that API servers' certificates are signed by, in PEM.
    pub root_ca_pem: String,
}

/// A read-only snapshot at one revision. Objects are decoded when they are asked for: iterators are lazy.
pub trait View {
    /// The revision seen.
    fn revision(&self) -> u64;

    /// One object; `namespace` is empty for a cluster-wide one.
    fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Object>;

    /// Objects of a kind in one namespace (empty: in all), in the order of their keys.
    fn list<'a>(&'a self, kind: &'a Kind, namespace: &'a str) -> Box<dyn Iterator<Item = Object> + 'a>;

    /// Objects of any kind with an `ownerReferences` entry of this UID.
    fn by_owner<'a>(&'a self, uid: &'a str) -> Box<dyn Iterator<Item = Object> + 'a>;

    /// Objects of a kind found by one of its [`Kind::indexes`].
    fn by_index<'a>(&'a self, kind: &'a Kind, index: &'a str, value: &'a str) -> Box<dyn Iterator<Item = Object> + 'a>;

    /// Facts about the cluster.
    fn cluster(&self) -> &Cluster;
}
