//! What a pod's claims ask of its node. Main type: [`Wants`], made once for a placement.
//! Spec: <https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins>, VolumeBinding.

use std::collections::BTreeSet;

use api::{
    kinds::{persistent_volume::fit, read::text},
    meta,
    quantity::Quantity,
};
use serde_json::Value;

use super::{Choice, Class, Storage, Volume, bound, once};
use crate::{node::Node, pod::Pod, snapshot::ClusterSnapshot};

/// A bound volume is not to be reached from a node.
const CONFLICT: &str = "node(s) didn't match PersistentVolume's node affinity";

/// A claim finds no volume on a node, and none can be made there.
const NONE_FREE: &str = "node(s) didn't find available persistent volumes to bind";

/// A claim's volume is gone.
const GONE: &str = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";

/// See the file's head.
#[derive(Default)]
pub(crate) struct Wants<'a> {
    /// Volumes of its bound claims; `None` for those that are gone.
    bound: Vec<Option<&'a Volume>>,
    /// Claims that wait for this pod, the smallest first.
    waiting: Vec<Waiting<'a>>,
    /// Another pod uses a claim of which only one may make use.
    pub(crate) taken: bool,
}

/// A claim that waits for its first pod.
struct Waiting<'a> {
    key: String,
    claim: &'a Value,
    class: &'a Class,
    candidates: Vec<&'a Volume>,
    /// Another pod waits for the only one of these: no volume is made besides.
    is_promised: bool,
    /// Where its volume is being made.
    node: Option<&'a str>,
}

impl<'a> Wants<'a> {
    /// What a pod wants.
    ///
    /// # Errors
    /// Why no node will do, in upstream's words.
    pub(crate) fn of(pod: &Pod, snapshot: &'a ClusterSnapshot) -> Result<Self, String> {
        let (storage, mut wants) = (&snapshot.storage, Self::default());
        let mut immediate = false;
        for (name, ephemeral) in &pod.claims {
            let key = format!("{}/{name}", pod.namespace);
            let claim = look_up(storage, &key, pod, *ephemeral)?;
            wants.taken |= once(claim) && snapshot.uses_of_claim(&key) > 0;
            if bound(claim) {
                wants.bound.push(storage.volumes.get(text(claim, "/spec/volumeName")));
            } else if let Some(class) = storage.delayed(claim) {
                wants.waiting.push(Waiting::of(storage, key, claim, class));
            } else {
                immediate = true;
            }
        }
        wants.waiting.sort_by_key(|one| one.claim.pointer("/spec/resources/requests/storage").map(size));
        if immediate { Err("pod has unbound immediate PersistentVolumeClaims".to_owned()) } else { Ok(wants) }
    }

    /// What has to be done about its claims for it to run on a node.
    ///
    /// # Errors
    /// Why it cannot, in upstream's words.
    pub(crate) fn on(&self, node: &Node) -> Result<Vec<Choice>, &'static str> {
        for volume in &self.bound {
            if !volume.ok_or(GONE)?.is_reached_by(node) {
                return Err(CONFLICT);
            }
        }
        let mut taken = BTreeSet::new();
        self.waiting.iter().map(|one| one.on(node, &mut taken).ok_or(NONE_FREE)).collect()
    }
}

impl<'a> Waiting<'a> {
    fn of(storage: &'a Storage, key: String, claim: &'a Value, class: &'a Class) -> Self {
        let promised = storage.promised_to(&key);
        let candidates = promised.map_or_else(|| storage.candidates(claim).collect(), |volume| vec![volume]);
        let node = storage.node_of(&key, claim);
        Self { key, claim, class, candidates, is_promised: promised.is_some(), node }
    }

    fn on(&self, node: &Node, taken: &mut BTreeSet<&'a str>) -> Option<Choice> {
        let provision = || Choice::Provision { claim: self.key.clone() };
        if let Some(chosen) = self.node {
            return (chosen == node.name).then(provision);
        }
        let free = self.candidates.iter().copied().filter(|one| !taken.contains(one.name()) && one.is_reached_by(node));
        match fit::best(self.claim, free).ok()? {
            Some(volume) => {
                taken.insert(volume.name());
                Some(Choice::Bind { claim: self.key.clone(), volume: volume.name().to_owned() })
            }
            None => (!self.is_promised && self.class.provisions_for(node)).then(provision),
        }
    }
}

fn look_up<'a>(storage: &'a Storage, key: &str, pod: &Pod, ephemeral: bool) -> Result<&'a Value, String> {
    let name = key.rsplit('/').next().unwrap_or_default();
    let claim = storage.claim(key).ok_or_else(|| match ephemeral {
        true => format!("waiting for ephemeral volume controller to create the persistentvolumeclaim {name:?}"),
        false => format!("persistentvolumeclaim {name:?} not found"),
    })?;
    if text(claim, "/status/phase") == "Lost" {
        let volume = text(claim, "/spec/volumeName");
        return Err(format!("persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"));
    }
    if meta::is_being_deleted(claim) {
        return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
    }
    let owned = || meta::controller_of(claim).is_some_and(|owner| text(owner, "/uid") == pod.uid);
    if ephemeral && !owned() {
        return Err(format!("PVC {key:?} was not created for pod {:?} (pod is not owner)", pod.key()));
    }
    Ok(claim)
}

fn size(amount: &Value) -> i64 {
    Quantity::from_json(amount).map_or(0, |amount| amount.value())
}
