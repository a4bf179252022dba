//! Namespaces kept in order: a live one has its default ServiceAccount, a dying one is emptied and let go.
//! Spec: <https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/>.
//!
//! Level-triggered and safe to run on every voter: each pass looks at the state and does what is missing, as a user
//! of the ordinary pipeline. It moves to the controllers when there are some.

use std::{sync::Arc, time::Duration};

use api::{
    kinds::{KINDS, config_map::CONFIG_MAP, namespace::NAMESPACE, service_account::SERVICE_ACCOUNT},
    meta,
};
use auth::User;
use futures::StreamExt;
use serde_json::{Value, json};
use store::{Freshness, Record, Revision, Scope, View};
use tracing::warn;

use crate::{client::Client, object, shared::Shared, status::ApiError};

/// A pass although nothing happened: repairs what a failed one left.
const RESYNC: Duration = Duration::from_secs(10);

/// ConfigMap by which pods know the API server's CA.
const ROOT_CA: &str = "kube-root-ca.crt";

/// Works until the server stops.
pub(crate) async fn run(shared: Arc<Shared>, client: Client) {
    let client = client.of(User::new("system:apiserver", &["system:masters"]), "mesh-controller");
    while !shared.closing.is_cancelled() {
        let Ok(view) = shared.storage.read(Freshness::Any).await else {
            tokio::time::sleep(RESYNC).await;
            continue;
        };
        if let Err(error) = pass(&shared, &view, &client).await {
            warn!(%error, "namespaces not in order, next try in {RESYNC:?}");
            tokio::time::sleep(RESYNC).await;
            continue;
        }
        changed(&shared, view.revision()).await;
    }
}

/// Resolves when a namespace or a ServiceAccount has changed since a revision, or the time is up.
async fn changed(shared: &Shared, since: Revision) {
    let watch = |kind| shared.storage.watch(Scope { prefix: object::prefix(kind, ""), index: None }, since);
    let (Ok(mut namespaces), Ok(mut accounts)) = (watch(&NAMESPACE), watch(&SERVICE_ACCOUNT)) else { return };
    tokio::select! {
        _ = namespaces.next() => {}
        _ = accounts.next() => {}
        () = tokio::time::sleep(RESYNC) => {}
        () = shared.closing.cancelled() => {}
    }
}

async fn pass(shared: &Shared, view: &View, client: &Client) -> Result<(), ApiError> {
    for record in view.range(&object::prefix(&NAMESPACE, ""), None) {
        let phase = record.fields.iter().find(|(field, _)| &**field == "status.phase").map(|(_, phase)| &**phase);
        match phase {
            Some("Terminating") => empty(view, client, record).await?,
            _ => furnish(shared, view, client, object::name_of(&record.key)).await?,
        }
    }
    Ok(())
}

/// What every namespace has.
async fn furnish(shared: &Shared, view: &View, client: &Client, namespace: &str) -> Result<(), ApiError> {
    if view.get(&object::key(&SERVICE_ACCOUNT, namespace, "default")).is_none() {
        let account = json!({ "metadata": { "name": "default" } });
        tolerate(client.create(&SERVICE_ACCOUNT, namespace, &account).await)?;
    }
    if view.get(&object::key(&CONFIG_MAP, namespace, ROOT_CA)).is_none() {
        let trust = json!({ "metadata": { "name": ROOT_CA }, "data": { "ca.crt": shared.serving_ca_pem } });
        tolerate(client.create(&CONFIG_MAP, namespace, &trust).await)?;
    }
    Ok(())
}

/// Deletes what is in a namespace; takes its finalizer off once nothing is.
async fn empty(view: &View, client: &Client, record: &Record) -> Result<(), ApiError> {
    let namespace = object::name_of(&record.key);
    let stored =
        KINDS.iter().filter(|kind| kind.namespaced && kind.storage.as_ref().is_some_and(|s| s.other.is_none()));
    let mut left = 0;
    for kind in stored {
        for content in view.range(&object::prefix(kind, namespace), None) {
            left += 1;
            tolerate(client.delete(kind, namespace, object::name_of(&content.key), &Value::Null).await)?;
        }
    }
    let mut object = object::decode(record);
    let finalizers = object["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
    let others: Vec<_> = finalizers.iter().filter(|f| *f != api::kinds::namespace::FINALIZER).cloned().collect();
    if left > 0 || others.len() == finalizers.len() {
        return Ok(());
    }
    object["spec"]["finalizers"] = others.into();
    meta::set_resource_version(&mut object, "");
    tolerate(client.update(&NAMESPACE, "finalize", &object).await)
}

/// Another voter may have been faster.
fn tolerate(done: Result<Value, ApiError>) -> Result<(), ApiError> {
    match done {
        Err(error) if !matches!(error.code(), 404 | 409) => Err(error),
        _ => Ok(()),
    }
}
