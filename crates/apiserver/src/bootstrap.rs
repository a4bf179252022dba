//! What every cluster holds: its namespaces, default roles, ServiceAccounts, classes of priority and storage, and the CAs for extension servers.
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings>.
//!
//! Idempotent: every voter may run it at every start; what is there stays as it is, and of two at once one wins.

use std::collections::HashMap;

use api::{
    kinds::{
        self, Kind,
        config_map::CONFIG_MAP,
        namespace::NAMESPACE,
        priority_class::{self, PRIORITY_CLASS},
        rbac,
        service_account::SERVICE_ACCOUNT,
        service_cidr::SERVICE_CIDR,
        storage_class::{self, STORAGE_CLASS},
    },
    meta,
};
use auth::{User, bootstrap::Change};
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::{client::Client, object, server::ApiServer, status::ApiError};

/// Rank of roles and bindings in namespaces: the last, see [`rank`].
const NAMESPACED: usize = 3;

/// Namespaces that are there from the start.
pub const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

impl ApiServer {
    /// Creates what is missing.
    ///
    /// # Errors
    /// The first refusal other than that it is there already.
    pub async fn bootstrap(&self, client_ca_pem: &str) -> Result<(), ApiError> {
        let client = self.client().of(User::new("system:apiserver", &["system:masters"]), "mesh");
        let changes = missing_roles(&client).await?;
        // Controllers act on namespaces and on roles that add up others: what lets them comes before.
        for rank in 0..NAMESPACED {
            carry_out_all(&client, &changes, rank).await?;
        }
        for name in NAMESPACES {
            let namespace = json!({ "metadata": { "name": name } });
            ensure(&client, &NAMESPACE, "", name, namespace).await?;
        }
        carry_out_all(&client, &changes, NAMESPACED).await?;
        for (name, value, description) in priority_class::SYSTEM {
            let class = json!({ "metadata": { "name": name }, "value": value, "description": description });
            ensure(&client, &PRIORITY_CLASS, "", name, class).await?;
        }
        ensure(&client, &STORAGE_CLASS, "", storage_class::LOCAL_CLASS, local_class()).await?;
        for namespace in NAMESPACES {
            ensure(&client, &SERVICE_ACCOUNT, namespace, "default", json!({ "metadata": { "name": "default" } }))
                .await?;
        }
        service_ranges(&client, &self.config().service_ranges).await?;
        let trust = json!({
            "metadata": { "name": "extension-apiserver-authentication" },
            "data": { "client-ca-file": client_ca_pem },
        });
        ensure(&client, &CONFIG_MAP, "kube-system", "extension-apiserver-authentication", trust).await
    }
}

/// The class of volumes that are folders of a node.
fn local_class() -> Value {
    json!({
        "metadata": {
            "name": storage_class::LOCAL_CLASS, "annotations": { storage_class::DEFAULT_ANNOTATION: "true" },
        },
        "provisioner": storage_class::LOCAL, "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer",
    })
}

/// The object that tells the ranges of Services' addresses.
async fn service_ranges(client: &Client, ranges: &[String]) -> Result<(), ApiError> {
    const NAME: &str = "kubernetes";
    let object = json!({ "metadata": { "name": NAME }, "spec": { "cidrs": ranges } });
    ensure(client, &SERVICE_CIDR, "", NAME, object).await?;
    let mut object = client.get(&SERVICE_CIDR, "", NAME).await?;
    if object.pointer("/status/conditions/0").is_some() {
        return Ok(());
    }
    object["status"] = json!({ "conditions": [{
        "type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready",
        "lastTransitionTime": object["metadata"]["creationTimestamp"],
    }] });
    match client.update(&SERVICE_CIDR, "status", &object).await {
        Err(error) if error.code() != 409 => Err(error),
        _ => Ok(()),
    }
}

/// What default roles and bindings are missing, or lack.
async fn missing_roles(client: &Client) -> Result<Vec<Change>, ApiError> {
    let mut present = HashMap::new();
    for kind in [&rbac::CLUSTER_ROLE, &rbac::ROLE, &rbac::CLUSTER_ROLE_BINDING, &rbac::ROLE_BINDING] {
        for record in client.list(kind, "", &[]).await?.records {
            let object = object::decode(&record);
            let place = (kind.kind.to_owned(), meta::namespace(&object).to_owned(), meta::name(&object).to_owned());
            present.insert(place, object);
        }
    }
    let find = |kind: &str, namespace: &str, name: &str| present.get(&(kind.into(), namespace.into(), name.into()));
    Ok(auth::bootstrap::missing(find))
}

fn object_of(change: &Change) -> &Value {
    let (Change::Create(object) | Change::Update(object) | Change::Replace(object)) = change;
    object
}

/// Place in their order: bindings, roles, roles that add up others, then what is in a namespace.
fn rank(change: &Change) -> usize {
    let object = object_of(change);
    match (meta::namespace(object).is_empty(), object.get("roleRef"), object.get("aggregationRule")) {
        (false, ..) => NAMESPACED,
        (_, Some(_), _) => 0,
        (_, _, None) => 1,
        _ => 2,
    }
}

async fn carry_out_all(client: &Client, changes: &[Change], wanted: usize) -> Result<(), ApiError> {
    let ranked = changes.iter().filter(|change| rank(change) == wanted);
    // At once, so that they share commits.
    try_join_all(ranked.map(|change| carry_out(client, change))).await.map(drop)
}

async fn carry_out(client: &Client, change: &Change) -> Result<(), ApiError> {
    let object = object_of(change);
    let (kind, namespace, name) = place(object)?;
    let done = match change {
        Change::Create(object) => client.create(kind, &namespace, object).await,
        Change::Update(object) => client.update(kind, "", object).await,
        Change::Replace(object) => {
            client.delete(kind, &namespace, &name, &Value::Null).await?;
            client.create(kind, &namespace, object).await
        }
    };
    match done {
        Err(error) if error.code() != 409 => Err(error),
        _ => Ok(()),
    }
}

async fn ensure(
    client: &Client,
    kind: &'static Kind,
    namespace: &str,
    name: &str,
    object: Value,
) -> Result<(), ApiError> {
    match client.get(kind, namespace, name).await {
        Err(error) if error.code() == 404 => {}
        other => return other.map(|_| ()),
    }
    match client.create(kind, namespace, &object).await {
        Err(error) if error.code() != 409 => Err(error),
        _ => Ok(()),
    }
}

fn place(object: &Value) -> Result<(&'static Kind, String, String), ApiError> {
    let (group, version) = meta::api_version(object).split_once('/').unwrap_or(("", meta::api_version(object)));
    let kind = kinds::by_kind(group, version, meta::kind(object));
    let kind = kind.ok_or_else(|| ApiError::internal(format!("{} is not served", meta::kind(object))))?;
    Ok((kind, meta::namespace(object).to_owned(), meta::name(object).to_owned()))
}
