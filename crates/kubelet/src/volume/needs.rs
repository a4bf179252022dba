//! Which objects a pod refers to. Main function: [`references`].

use std::collections::BTreeSet;

use crate::model::{Pod, Volume};

/// Names of the objects that a pod's containers and volumes refer to, in its namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// ConfigMaps.
    pub config_maps: BTreeSet<String>,
    /// Secrets, `imagePullSecrets` included.
    pub secrets: BTreeSet<String>,
    /// PersistentVolumeClaims.
    pub claims: BTreeSet<String>,
}

/// Which objects a pod refers to.
#[must_use]
pub fn references(pod: &Pod) -> Needs {
    let mut needs = Needs::default();
    for (_, container) in pod.all_containers() {
        for from in &container.env_from {
            needs.config_maps.extend(from.config_map_ref.iter().map(|one| one.name.clone()));
            needs.secrets.extend(from.secret_ref.iter().map(|one| one.name.clone()));
        }
        for from in container.env.iter().filter_map(|one| one.value_from.as_ref()) {
            needs.config_maps.extend(from.config_map_key_ref.iter().map(|one| one.name.clone()));
            needs.secrets.extend(from.secret_key_ref.iter().map(|one| one.name.clone()));
        }
    }
    for volume in &pod.spec.volumes {
        of_volume(volume, &mut needs);
        needs.claims.extend(volume.claim(&pod.metadata.name).map(|(name, _)| name));
    }
    needs.secrets.extend(pod.spec.image_pull_secrets.iter().map(|one| one.name.clone()));
    needs.secrets.remove("");
    needs
}

fn of_volume(volume: &Volume, needs: &mut Needs) {
    let projections = volume.projected.iter().flat_map(|projected| &projected.sources);
    let maps = projections.clone().filter_map(|one| one.config_map.as_ref()).chain(&volume.config_map);
    needs.config_maps.extend(maps.map(|one| one.name.clone()));
    let secrets = projections.filter_map(|one| one.secret.as_ref()).chain(&volume.secret);
    needs.secrets.extend(secrets.map(|one| one.secret_name.clone()));
}
