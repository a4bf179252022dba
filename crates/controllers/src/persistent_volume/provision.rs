//! Who makes the volume of a claim for which there is none, and the classes that tell.
//! Spec: <https://kubernetes.io/docs/concepts/storage/dynamic-provisioning/>.

use api::{
    kinds::{
        persistent_volume_claim::{PERSISTENT_VOLUME_CLAIM, STORAGE_PROVISIONER, STORAGE_PROVISIONER_BETA},
        read::text,
        storage_class::LOCAL,
    },
    meta,
};
use serde_json::Value;

use super::{Run, bind, claims::pending, local, normal, plan, warning};
use crate::Plan;

/// Start of the names of provisioners that were part of Kubernetes: none is here.
const BUILT_IN: &str = "kubernetes.io/";

/// Whether a class's volumes are chosen or made only once a pod needs them.
pub(super) fn delays(class: &Value) -> bool {
    text(class, "/volumeBindingMode") == "WaitForFirstConsumer"
}

impl Run<'_> {
    /// Has a claim's volume made by the provisioner of its class, here or elsewhere.
    pub(super) fn provision(&self, claim: &Value, class: Option<&Value>, name: &str) -> Plan {
        let failed = |why: String| plan(pending(claim, warning(claim, "ProvisioningFailed", why)));
        let Some(class) = class else { return failed(format!("storageclass.storage.k8s.io \"{name}\" not found")) };
        let provisioner = text(class, "/provisioner");
        if provisioner.starts_with(BUILT_IN) {
            return failed(format!("no volume plugin matched name: {provisioner}"));
        }
        if meta::is_being_deleted(claim) {
            return Plan::default();
        }
        let mut new = claim.clone();
        for key in [STORAGE_PROVISIONER, STORAGE_PROVISIONER_BETA] {
            bind::annotate(&mut new, key, Some(provisioner));
        }
        match bind::changed(&PERSISTENT_VOLUME_CLAIM, claim, new) {
            Some(update) => plan(vec![update]),
            None if provisioner == LOCAL => local::provision(self.view, claim, class, self.now),
            None => plan(pending(claim, normal(claim, "ExternalProvisioning", elsewhere(provisioner)))),
        }
    }
}

fn elsewhere(provisioner: &str) -> String {
    format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system \
         administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
    )
}
