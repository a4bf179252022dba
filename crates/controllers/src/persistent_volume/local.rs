//! The provisioner of Mesh: volumes that are folders of one node. Main function: [`provision`].
//!
//! The folder itself is made by the node when a pod first uses it. Which node that is says the scheduler, as it chooses for
//! the first pod; for a class that does not wait it is any that is ready. What a volume may hold is not enforced.

use api::{
    kinds::{
        node::NODE,
        persistent_volume::{self, PERSISTENT_VOLUME, PROVISIONED_BY, REMOVE_DATA},
        persistent_volume_claim::{PERSISTENT_VOLUME_CLAIM, SELECTED_NODE},
        read::{is_true, items, text},
        storage_class::LOCAL,
    },
    meta,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{PAUSE, bind, claims::pending, normal, plan, warning};
use crate::{Action, Plan, View, view::Object, workload::Hash};

/// Label by which a volume names its node.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// Makes the volume of a claim.
pub(super) fn provision(view: &dyn View, claim: &Value, class: &Value, now: Timestamp) -> Plan {
    if let Some(why) = unfit(claim) {
        return plan(pending(claim, failed(claim, class, why)));
    }
    let selected = meta::annotation(claim, SELECTED_NODE).unwrap_or_default();
    match selected {
        "" => match any_node(view, claim, class) {
            Some(node) => plan(vec![create(claim, class, &node)]),
            None => {
                let actions = pending(claim, failed(claim, class, "no node is ready for it"));
                Plan { actions, wake_at: now.checked_add(PAUSE).ok() }
            }
        },
        name => match view.get(&NODE, "", name).filter(|node| allows(class, node)) {
            Some(node) => plan(vec![create(claim, class, &node)]),
            None => plan(elsewhere(claim, class, name)),
        },
    }
}

/// The node that has a volume's data.
pub(super) fn node_of(volume: &Value) -> Option<&str> {
    let terms = items(volume, "/spec/nodeAffinity/required/nodeSelectorTerms").iter();
    let mut names = terms.flat_map(|term| items(term, "/matchExpressions")).filter(|one| text(one, "/key") == HOSTNAME);
    names.next()?.pointer("/values/0")?.as_str()
}

/// What no folder can be.
fn unfit(claim: &Value) -> Option<&'static str> {
    let given = |field: &str| claim.pointer(field).is_some_and(Value::is_object);
    let rows = [
        (text(claim, "/spec/volumeMode") == "Block", "a folder is no block device: volumeMode has to be Filesystem"),
        (given("/spec/selector"), "claim Selector is not supported"),
        (given("/spec/dataSource") || given("/spec/dataSourceRef"), "volumes begin empty: dataSource is not supported"),
    ];
    rows.into_iter().find(|(is_so, _)| *is_so).map(|(_, why)| why)
}

/// A ready node, the same each time for a claim while the nodes are the same.
fn any_node(view: &dyn View, claim: &Value, class: &Value) -> Option<Object> {
    let mut nodes: Vec<Object> = view.list(&NODE, "").filter(|node| is_open(node) && allows(class, node)).collect();
    let at = Hash::new().add(meta::uid(claim)).below(nodes.len())?;
    Some(nodes.swap_remove(at))
}

fn is_open(node: &Value) -> bool {
    let is = |condition: &Value| text(condition, "/type") == "Ready" && text(condition, "/status") == "True";
    let is_ready = items(node, "/status/conditions").iter().any(is);
    let keeps_off = |taint: &&Value| text(taint, "/effect") != "PreferNoSchedule";
    is_ready && !is_true(node, "/spec/unschedulable") && !items(node, "/spec/taints").iter().any(|one| keeps_off(&one))
}

/// Whether a class lets its volumes be on a node: one of its topologies has all of the node's labels that it names.
fn allows(class: &Value, node: &Value) -> bool {
    let topologies = items(class, "/allowedTopologies");
    let has = |wish: &Value| {
        let label = meta::label(node, text(wish, "/key"));
        items(wish, "/values").iter().any(|value| label.is_some() && value.as_str() == label)
    };
    let all = |topology: &Value| items(topology, "/matchLabelExpressions").iter().all(has);
    !meta::is_being_deleted(node) && (topologies.is_empty() || topologies.iter().any(all))
}

/// Gives the choice of a node back to the scheduler.
fn elsewhere(claim: &Value, class: &Value, node: &str) -> Vec<Action> {
    let mut new = claim.clone();
    bind::annotate(&mut new, SELECTED_NODE, None);
    let why = format!("node \"{node}\" is gone or not of the class's topologies");
    let update = bind::changed(&PERSISTENT_VOLUME_CLAIM, claim, new);
    update.map(|update| update.then(failed(claim, class, &why))).into_iter().collect()
}

fn failed(claim: &Value, class: &Value, why: &str) -> Action {
    let why = format!("failed to provision volume with StorageClass \"{}\": {why}", meta::name(class));
    warning(claim, "ProvisioningFailed", why)
}

fn create(claim: &Value, class: &Value, node: &Value) -> Action {
    let object = volume(claim, class, node);
    let news = format!("Successfully provisioned volume {}", meta::name(&object));
    let made = Action::Create { kind: &PERSISTENT_VOLUME, namespace: String::new(), object };
    made.then(normal(claim, "ProvisioningSucceeded", news))
}

/// The volume of a claim on a node. Its name is the claim's alone, so that it is never made twice.
fn volume(claim: &Value, class: &Value, node: &Value) -> Value {
    let name = format!("pvc-{}", meta::uid(claim));
    let host = meta::label(node, HOSTNAME).unwrap_or_else(|| meta::name(node));
    let here = json!({ "matchExpressions": [{ "key": HOSTNAME, "operator": "In", "values": [host] }] });
    let policy = Some(text(class, "/reclaimPolicy")).filter(|policy| !policy.is_empty()).unwrap_or("Delete");
    json!({
        "metadata": {
            "name": name, "annotations": { PROVISIONED_BY: LOCAL },
            "finalizers": [persistent_volume::PROTECTION, REMOVE_DATA],
        },
        "spec": {
            "capacity": { "storage": claim.pointer("/spec/resources/requests/storage") },
            "accessModes": claim.pointer("/spec/accessModes"),
            "claimRef": bind::reference(claim),
            "csi": { "driver": LOCAL, "volumeHandle": name },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [here] } },
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": meta::name(class),
            "volumeMode": "Filesystem",
        },
    })
}
