//! A deployment and its ReplicaSets as one run sees and changes them. Main types: [`Rollout`] and [`Set`].

use std::collections::BTreeMap;

use api::{
    kinds::{
        pod::POD,
        read::text,
        replica_set::REPLICA_SET,
        workload::{count, percent, selector},
    },
    meta,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    Action, Only, Patch, Plan, Target, View,
    view::Object,
    workload::{News, adopt, controlled, is_paused, labels, release, sooner},
};

use super::NAME;

/// The number of a template in the deployment's history.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";

/// How many pods the deployment wanted when the set was scaled.
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";

/// How many it could have had at most.
pub(super) const MOST: &str = "deployment.kubernetes.io/max-replicas";

/// One ReplicaSet: as it is, and as it is to be.
#[derive(Clone, Debug)]
pub(super) struct Set {
    /// As it is; `None` where it is to be made.
    pub(super) object: Option<Object>,
    pub(super) name: String,
    pub(super) size: i64,
    pub(super) min_ready_seconds: i64,
    pub(super) annotations: BTreeMap<String, String>,
    /// What is new about a set that is to be made.
    pub(super) made_of: Value,
    pub(super) deleted: bool,
    /// What is told once it is as it is to be.
    pub(super) news: Option<News>,
}

impl Set {
    fn of(object: Object) -> Self {
        Self {
            name: meta::name(&object).to_owned(),
            size: count(&object, "/spec/replicas"),
            min_ready_seconds: count(&object, "/spec/minReadySeconds"),
            annotations: annotations(&object),
            made_of: Value::Null,
            deleted: false,
            news: None,
            object: Some(object),
        }
    }

    /// A number of its status; 0 where it is to be made.
    pub(super) fn status(&self, field: &str) -> i64 {
        self.object.as_ref().map_or(0, |object| count(object, &format!("/status/{field}")))
    }

    /// A number that an annotation says.
    pub(super) fn said(&self, annotation: &str) -> Option<i64> {
        self.annotations.get(annotation)?.parse().ok()
    }

    /// When it was made; a set that is to be made comes last.
    pub(super) fn created(&self) -> Option<Timestamp> {
        self.object.as_ref().map_or(Some(Timestamp::MAX), |object| meta::parse_time(meta::creation_timestamp(object)))
    }

    pub(super) fn is_active(&self) -> bool {
        self.size > 0
    }

    fn action(&self, deployment: &Value) -> Option<Action> {
        let Some(object) = &self.object else { return Some(self.create(deployment)) };
        let target = Target::of(&REPLICA_SET, object);
        if self.deleted {
            return Some(Action::Delete { target, only: Only::unchanged(object), propagation: None });
        }
        let mut spec = Map::new();
        for (field, wanted) in [("replicas", self.size), ("minReadySeconds", self.min_ready_seconds)] {
            if count(object, &format!("/spec/{field}")) != wanted {
                spec.insert(field.to_owned(), wanted.into());
            }
        }
        let mut patch = Map::new();
        if !spec.is_empty() {
            patch.insert("spec".into(), spec.into());
        }
        if annotations(object) != self.annotations {
            patch.insert("metadata".into(), json!({ "annotations": self.annotations }));
        }
        let patch = Patch::Merge(patch.into());
        let only = Only::unchanged(object);
        (patch != Patch::Merge(json!({}))).then_some(Action::Patch { target, part: "", patch, only })
    }

    fn create(&self, deployment: &Value) -> Action {
        let mut object = self.made_of.clone();
        object["metadata"]["annotations"] = json!(self.annotations);
        object["spec"]["replicas"] = self.size.into();
        Action::Create { kind: &REPLICA_SET, namespace: meta::namespace(deployment).to_owned(), object }
    }
}

fn annotations(object: &Value) -> BTreeMap<String, String> {
    meta::annotations(object).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// One run over a deployment.
pub(super) struct Rollout<'a> {
    pub(super) view: &'a dyn View,
    pub(super) deployment: &'a Object,
    pub(super) now: Timestamp,
    /// Oldest first.
    pub(super) sets: Vec<Set>,
    /// Which of them has the present template.
    pub(super) newest: Option<usize>,
    /// How many pods are wanted.
    pub(super) wanted: i64,
    pub(super) status: Value,
    /// The newest template's number, as the deployment says it.
    pub(super) revision: Option<String>,
    pub(super) news: Vec<News>,
    actions: Vec<Action>,
    pub(super) wake_at: Option<Timestamp>,
}

impl<'a> Rollout<'a> {
    pub(super) fn new(view: &'a dyn View, deployment: &'a Object, now: Timestamp) -> Self {
        let (selector, going) = (selector(deployment), meta::is_being_deleted(deployment));
        let selected = |set: &Object| going || selector.matches(&labels(set));
        let (mut own, others): (Vec<Object>, Vec<Object>) =
            controlled(view, &REPLICA_SET, deployment).into_iter().partition(selected);
        let mut actions: Vec<Action> = others.iter().map(|set| release(&REPLICA_SET, set, deployment)).collect();
        if !going && count(deployment, "/status/observedGeneration") == 0 {
            let orphan =
                |set: &Object| meta::controller_of(set).is_none() && !meta::is_being_deleted(set) && selected(set);
            let orphans: Vec<Object> = view.list(&REPLICA_SET, meta::namespace(deployment)).filter(orphan).collect();
            actions.extend(orphans.iter().map(|set| adopt(&REPLICA_SET, set, deployment)));
            own.extend(orphans);
        }
        let mut sets: Vec<Set> = own.into_iter().map(Set::of).collect();
        sets.sort_by(|one, other| (one.created(), &one.name).cmp(&(other.created(), &other.name)));
        Self {
            view,
            deployment,
            now,
            sets,
            newest: None,
            wanted: count(deployment, "/spec/replicas"),
            status: deployment.get("status").cloned().unwrap_or_else(|| json!({})),
            revision: meta::annotation(deployment, REVISION).map(str::to_owned),
            news: Vec::new(),
            actions,
            wake_at: None,
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        is_paused(self.deployment)
    }

    pub(super) fn recreates(&self) -> bool {
        text(self.deployment, "/spec/strategy/type") == "Recreate"
    }

    fn rolls(&self) -> bool {
        text(self.deployment, "/spec/strategy/type") == "RollingUpdate"
    }

    /// How many pods there may be above and below what is wanted; never both 0.
    fn fences(&self) -> (i64, i64) {
        let share = |field: &str, up| {
            let value = self.deployment.pointer(&format!("/spec/strategy/rollingUpdate/{field}"));
            value.map_or(0, |value| percent::of(value, self.wanted, up))
        };
        match (share("maxSurge", true), share("maxUnavailable", false)) {
            (0, 0) => (0, 1),
            fences => fences,
        }
    }

    pub(super) fn max_surge(&self) -> i64 {
        if self.rolls() { self.fences().0 } else { 0 }
    }

    pub(super) fn max_unavailable(&self) -> i64 {
        if !self.rolls() || self.wanted == 0 { 0 } else { self.fences().1.min(self.wanted) }
    }

    /// The set of the present template.
    pub(super) fn new_set(&self) -> Option<&Set> {
        self.newest.map(|at| &self.sets[at])
    }

    /// Places of the sets of earlier templates, oldest first.
    pub(super) fn old(&self) -> Vec<usize> {
        (0..self.sets.len()).filter(|at| Some(*at) != self.newest).collect()
    }

    /// The sum of what is wanted of all sets.
    pub(super) fn total(&self) -> i64 {
        self.sets.iter().map(|set| set.size).sum()
    }

    /// The sum of a number of all sets' status.
    pub(super) fn total_status(&self, field: &str) -> i64 {
        self.sets.iter().map(|set| set.status(field)).sum()
    }

    /// Whether pods of earlier templates are still there, be they on their way out.
    pub(super) fn old_pods_run(&self) -> bool {
        let old = self.old();
        if old.iter().any(|at| self.sets[*at].status("replicas") > 0) {
            return true;
        }
        let objects = old.iter().filter_map(|at| self.sets[*at].object.as_ref());
        let mut pods = objects.flat_map(|set| controlled(self.view, &POD, set));
        pods.any(|pod| !api::kinds::pod::is_terminal(&pod))
    }

    pub(super) fn wake(&mut self, at: Timestamp) {
        self.wake_at = sooner(self.wake_at, Some(at));
    }

    /// What is to be done so that all is as this run wants it.
    pub(super) fn plan(mut self) -> Plan {
        for set in &mut self.sets {
            let news = set.news.take().map(|news| news.tell(self.deployment, NAME, self.now));
            let action = set.action(self.deployment);
            self.actions.extend(action.map(|action| match news {
                Some(news) => action.then(news),
                None => action,
            }));
        }
        self.actions.extend(self.write_status());
        let news = std::mem::take(&mut self.news).into_iter();
        self.actions.extend(news.map(|news| news.tell(self.deployment, NAME, self.now)));
        Plan { actions: self.actions, wake_at: self.wake_at }
    }
}
