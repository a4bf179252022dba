//! Whose a pod is: owners adopt orphans that they select, and let go what they select no longer. Main type: [`Claim`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#non-template-pod-acquisitions>.
//!
//! An owner looks for orphans when it is new, and an orphan for an owner when it changes: nobody lists all pods each time.

use api::{
    kinds::{
        Kind,
        pod::POD,
        read::text,
        workload::{count, selector},
    },
    meta,
};
use serde_json::Value;

use super::{adopt, controlled, is_active, labels, release};
use crate::{Action, Change, Key, Plan, View, view::Object};

/// Start of the name of a key that stands for a pod without a controller; no object's name has it.
const ORPHAN: &str = "orphan/";

/// How the owners of one kind claim pods.
pub(crate) struct Claim {
    pub(crate) kind: &'static Kind,
    /// Whether an owner can have a pod at all, beside selecting it: `(owner, pod)`.
    fits: fn(&Value, &Value) -> bool,
}

/// The pods of an owner, and what is to be done about whose they are.
pub(crate) struct Claimed {
    pub(crate) pods: Vec<Object>,
    pub(crate) actions: Vec<Action>,
}

impl Claim {
    /// Owners that have every pod that they select.
    pub(crate) const fn any(kind: &'static Kind) -> Self {
        Self { kind, fits: |_, _| true }
    }

    /// Owners that have only some.
    pub(crate) const fn only(kind: &'static Kind, fits: fn(&Value, &Value) -> bool) -> Self {
        Self { kind, fits }
    }

    fn owns(&self, owner: &Value) -> bool {
        text(owner, "/kind") == self.kind.kind && text(owner, "/apiVersion") == self.kind.api_version()
    }

    /// The owner that controls a pod; and a pod that nobody controls, if somebody may want it now.
    pub(crate) fn of_pods(&self, change: &dyn Change, keys: &mut Vec<Key>) {
        self.of_owned(change, keys);
        let (old, new) = (change.before(), change.after());
        let Some(pod) = new.filter(|pod| meta::controller_of(pod).is_none()) else { return };
        let same = |old: &Object| labels(old) == labels(&pod) && meta::controller_of(old).is_none();
        if !old.is_some_and(|old| same(&old)) && !labels(&pod).is_empty() {
            keys.push(Key::new(change.namespace(), format!("{ORPHAN}{}", change.name())));
        }
    }

    /// The owner that controls something else that it has.
    pub(crate) fn of_owned(&self, change: &dyn Change, keys: &mut Vec<Key>) {
        let (old, new) = (change.before(), change.after());
        let owners = [&old, &new].into_iter().flatten().filter_map(|one| meta::controller_of(one));
        let own = owners.filter(|owner| self.owns(owner));
        keys.extend(own.map(|owner| Key::new(change.namespace(), text(owner, "/name"))));
    }

    /// Has an orphan taken in, or an owner attended to.
    pub(crate) fn reconcile(&self, view: &dyn View, key: &Key, attend: impl FnOnce(&Object) -> Plan) -> Plan {
        if let Some(pod) = key.name.strip_prefix(ORPHAN) {
            return Plan { actions: self.take_in(view, &key.namespace, pod), wake_at: None };
        }
        view.get(self.kind, &key.namespace, &key.name).map(|owner| attend(&owner)).unwrap_or_default()
    }

    /// An owner adopts an orphan that it selects.
    fn take_in(&self, view: &dyn View, namespace: &str, pod: &str) -> Vec<Action> {
        let orphan = view.get(&POD, namespace, pod).filter(|pod| is_orphan(pod));
        let Some(pod) = orphan else { return Vec::new() };
        let wants = |owner: &Object| !meta::is_being_deleted(owner) && self.selects(owner, &pod);
        view.list(self.kind, namespace).find(wants).map(|owner| adopt(&POD, &pod, &owner)).into_iter().collect()
    }

    fn selects(&self, owner: &Value, pod: &Value) -> bool {
        selector(owner).matches(&labels(pod)) && (self.fits)(owner, pod)
    }

    /// What an owner has, with orphans that it takes while it is new.
    pub(crate) fn pods(&self, view: &dyn View, owner: &Value) -> Claimed {
        let (selector, going) = (selector(owner), meta::is_being_deleted(owner));
        let selected = |pod: &Object| going || selector.matches(&labels(pod)) && (self.fits)(owner, pod);
        let (mut pods, others): (Vec<Object>, Vec<Object>) =
            controlled(view, &POD, owner).into_iter().partition(selected);
        let mut actions: Vec<Action> = others.iter().map(|pod| release(&POD, pod, owner)).collect();
        if is_new(owner) && !going {
            let orphan = |pod: &Object| is_orphan(pod) && selected(pod);
            let orphans: Vec<Object> = view.list(&POD, meta::namespace(owner)).filter(orphan).collect();
            actions.extend(orphans.iter().map(|pod| adopt(&POD, pod, owner)));
            pods.extend(orphans);
        }
        Claimed { pods, actions }
    }
}

/// Whether its controller has not looked at it yet.
pub(crate) fn is_new(owner: &Value) -> bool {
    count(owner, "/status/observedGeneration") == 0
}

fn is_orphan(pod: &Value) -> bool {
    is_active(pod) && meta::controller_of(pod).is_none()
}
