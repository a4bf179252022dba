//! Empties this node of its pods before it leaves, as `kubectl drain` does: it is cordoned, and its pods are evicted, so
//! that PodDisruptionBudgets are respected. Main function: [`pass`], to be repeated until nothing is left. All is asked of
//! the API as this node itself, which may evict only what runs here. Who goes is decided by `judge`.
//! Spec: <https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/>.
//!
//! Nothing is remembered between passes: each looks at the pods anew, so one that was cut short is simply repeated.

use api::kinds::{node::NODE, pod::POD, read::items};
use api::meta;
use apiserver::ApiError;
use apiserver::client::PatchType;
use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::node_api::Api;
use judge::{Verdict, judge};

mod judge;

pub use judge::{Options, Reason};

/// Evictions under way at a time: each may wait for its budget's turn.
const AT_ONCE: usize = 8;

/// Why a node cannot be emptied.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// Some pods would be lost, and nobody said that they may be.
    #[error("{}", refusals(.0))]
    Refused(Vec<(Reason, Vec<String>)>),
    /// The API did not answer, or refused.
    #[error("{what}")]
    Api {
        /// What was asked for.
        what: String,
        /// Why not.
        #[source]
        source: ApiError,
    },
}

/// What a pass did; pods are named `namespace/name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pass {
    /// Told to end, now.
    pub evicted: Vec<String>,
    /// May not end yet, and why.
    pub refused: Vec<(String, String)>,
    /// Are to end, and are still here; the refused among them.
    pub left: Vec<String>,
    /// Stay until the node's end, and why.
    pub skipped: Vec<(String, String)>,
}

/// Cordons the node and asks every pod that is to go, and was not asked yet, to go. Before anything is changed it is seen
/// whether all may.
///
/// # Errors
/// [`DrainError`]. A pod that may not go just now is no error but [`Pass::refused`].
pub async fn pass(api: &Api, node: &str, options: Options) -> Result<Pass, DrainError> {
    let pods = pods(api, node).await?;
    let mut told = Pass::default();
    let mut going = Vec::new();
    let mut refused: Vec<(Reason, Vec<String>)> = Vec::new();
    for pod in pods {
        match judge(&pod, options) {
            Verdict::Goes => going.push(pod),
            Verdict::Stays(why) => told.skipped.push((name(&pod), why.to_owned())),
            Verdict::Lost(reason) => match refused.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, names)) => names.push(name(&pod)),
                None => refused.push((reason, vec![name(&pod)])),
            },
        }
    }
    if !refused.is_empty() {
        return Err(DrainError::Refused(refused));
    }
    cordon(api, node).await?;
    told.left = going.iter().map(name).collect();
    let asked = going.into_iter().filter(|pod| !meta::is_being_deleted(pod)).map(|pod| evict(api.clone(), pod));
    let answers: Vec<_> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
    for answer in answers {
        match answer? {
            (pod, Asked::Goes) => told.evicted.push(pod),
            (pod, Asked::NotYet(why)) => told.refused.push((pod, why)),
            (pod, Asked::Gone) => told.left.retain(|left| *left != pod),
        }
    }
    Ok(told)
}

/// What came of asking a pod to go.
enum Asked {
    Goes,
    NotYet(String),
    Gone,
}

async fn pods(api: &Api, node: &str) -> Result<Vec<Value>, DrainError> {
    let selector = format!("spec.nodeName={node}");
    let listed = api.list(&POD, "", &[("fieldSelector", &selector)]).await;
    let listed =
        listed.map_err(|source| DrainError::Api { what: format!("the pods of {node} are not listed"), source })?;
    Ok(items(&listed, "/items").to_vec())
}

/// The scheduler brings no more pods. A node without a Node object has none.
async fn cordon(api: &Api, node: &str) -> Result<(), DrainError> {
    let patch = json!({ "spec": { "unschedulable": true } });
    match api.patch(&NODE, "", node, "", &patch, PatchType::MergePatch).await {
        Err(error) if error.code() != 404 => {
            Err(DrainError::Api { what: format!("node {node} is not cordoned"), source: error })
        }
        _ => Ok(()),
    }
}

async fn evict(api: Api, pod: Value) -> Result<(String, Asked), DrainError> {
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": meta::name(&pod), "namespace": meta::namespace(&pod) },
        // Another pod of this name is not the one that was judged.
        "deleteOptions": { "preconditions": { "uid": meta::uid(&pod) } },
    });
    let asked = match api.create_part(&POD, meta::namespace(&pod), meta::name(&pod), "eviction", &eviction).await {
        Ok(_) => Asked::Goes,
        Err(error) => match error.code() {
            404 => Asked::Gone,
            // A budget, a pod that changed meanwhile, a cluster that is busy: all may be otherwise soon.
            409 | 429 | 500 | 503 | 504 => Asked::NotYet(error.to_string()),
            _ => return Err(DrainError::Api { what: format!("pod {} is not evicted", name(&pod)), source: error }),
        },
    };
    Ok((name(&pod), asked))
}

fn name(pod: &Value) -> String {
    format!("{}/{}", meta::namespace(pod), meta::name(pod))
}

fn refusals(refused: &[(Reason, Vec<String>)]) -> String {
    let words = refused.iter().map(|(reason, pods)| format!("{reason}: {}", pods.join(", ")));
    words.collect::<Vec<_>>().join("; ")
}
