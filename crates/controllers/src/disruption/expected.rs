//! How many pods there should be, and how many of them healthy. Main type: [`Expected`].
//! Spec: <https://kubernetes.io/docs/tasks/run-application/configure-pdb/#think-about-how-your-application-reacts-to-disruptions>.

use std::collections::BTreeMap;

use api::{
    kinds::{
        self,
        deployment::DEPLOYMENT,
        read::text,
        replica_set::REPLICA_SET,
        workload::{count, percent},
    },
    meta,
};
use serde_json::Value;

use crate::{View, view::Object};

/// What a budget asks of the pods that it selects.
pub(super) struct Expected {
    /// Pods there should be.
    pub(super) pods: i64,
    /// Pods that have to be healthy.
    pub(super) healthy: i64,
    /// Whether sizes had to be looked up for pods without a controller, which count for nothing.
    pub(super) unmanaged: bool,
}

impl Expected {
    /// What a budget asks for; `Err` says why that cannot be told.
    pub(super) fn of(view: &dyn View, budget: &Value, pods: &[Object]) -> Result<Self, String> {
        let bound = |field: &str| budget.pointer(&format!("/spec/{field}")).filter(|bound| !bound.is_null());
        match (bound("maxUnavailable"), bound("minAvailable")) {
            (Some(most), _) => {
                let (all, unmanaged) = sizes(view, pods)?;
                Ok(Self { pods: all, healthy: (all - percent::of(most, all, true)).max(0), unmanaged })
            }
            (None, Some(least @ Value::String(_))) => {
                let (all, unmanaged) = sizes(view, pods)?;
                Ok(Self { pods: all, healthy: percent::of(least, all, true), unmanaged })
            }
            (None, Some(least)) => {
                let all = i64::try_from(pods.len()).unwrap_or(i64::MAX);
                Ok(Self { pods: all, healthy: least.as_i64().unwrap_or_default(), unmanaged: false })
            }
            (None, None) => Ok(Self { pods: 0, healthy: 0, unmanaged: false }),
        }
    }
}

/// The sizes of the pods' controllers together, and whether there are pods that have none.
fn sizes(view: &dyn View, pods: &[Object]) -> Result<(i64, bool), String> {
    let (mut sizes, mut unmanaged) = (BTreeMap::new(), false);
    for pod in pods {
        match meta::controller_of(pod) {
            None => unmanaged = true,
            Some(owner) => {
                let (uid, size) = size(view, pod, owner)?;
                sizes.insert(uid, size);
            }
        }
    }
    Ok((sizes.values().sum(), unmanaged))
}

/// UID and size of what has a pod's size to say: its controller, or the deployment behind that.
fn size(view: &dyn View, pod: &Value, owner: &Value) -> Result<(String, i64), String> {
    let missing = || format!("found no controllers for pod {:?}", meta::name(pod));
    let set = controller(view, meta::namespace(pod), owner)?.ok_or_else(missing)?;
    let of = |one: &Value| (meta::uid(one).to_owned(), count(one, "/spec/replicas"));
    let above = meta::controller_of(&set).filter(|_| meta::kind(&set) == REPLICA_SET.kind);
    match above.filter(|above| text(above, "/kind") == DEPLOYMENT.kind) {
        Some(above) => {
            controller(view, meta::namespace(pod), above)?.map(|deployment| of(&deployment)).ok_or_else(missing)
        }
        None => Ok(of(&set)),
    }
}

/// The object that a reference means, if it is there and has a size.
fn controller(view: &dyn View, namespace: &str, owner: &Value) -> Result<Option<Object>, String> {
    let (group, version) = text(owner, "/apiVersion").split_once('/').unwrap_or(("", text(owner, "/apiVersion")));
    let Some(kind) = kinds::by_kind(group, version, text(owner, "/kind")) else { return Ok(None) };
    if kind.subresource("scale").is_none() {
        return Err(format!("{} does not implement the scale subresource", kind.group_resource()));
    }
    let found = view.get(kind.stored(), namespace, text(owner, "/name"));
    Ok(found.filter(|found| meta::uid(found) == text(owner, "/uid")))
}
