//! Job: pods that run until enough of them have succeeded, or too many failed.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/job/>.
//!
//! How an end is counted once, whoever dies when (`tracking`): a pod is kept by a finalizer until its UID (or its index)
//! is in the status; once the finalizer is off, and only then, the UID is taken out and the number goes up by one, in one
//! write. Each step follows from what is stored, so that any leader goes on where another was stopped. In the same way
//! a Job is said to be about to end before its pods are let go, and to have ended once they are gone.
//!
//! Its parts: `seen` (what is there), `verdict` (whether it ends), `policy` (of failures), `backoff`, `pods` (made and
//! deleted), `tracking` (counted and let go). Leaves out Jobs that another controller manages.

use api::{
    kinds::{
        job::{JOB, MANAGER, TRACKING, is_finished},
        pod::POD,
        read::{is_true, text},
        workload::selector,
    },
    meta,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Action, Change, Controller, Key, Kinds, Only, Patch, Plan, Target, View, Watch, change,
    view::Object,
    workload::{adopt, controlled, labels, release, sooner},
};

mod backoff;
mod pods;
mod policy;
mod seen;
#[cfg(test)]
mod tests;
mod tracking;
mod verdict;

use seen::Seen;

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: NAME,
    account: NAME,
    watches: &[Watch { kinds: Kinds::One(&JOB), keys: of_jobs }, Watch { kinds: Kinds::One(&POD), keys: of_pods }],
    facts: change::no_facts,
    reconcile,
};

const NAME: &str = "job-controller";

/// Start of the name of a key that stands for a pod which may have lost its Job; no object's name has it.
const ORPHAN: &str = "orphan/";

/// Pods let go, taken in or deleted in one run at most.
const BURST: usize = 500;

/// A Job; and, once it is gone, the pods that wait for it to count them.
fn of_jobs(change: &dyn Change, keys: &mut Vec<Key>) {
    keys.push(Key::new(change.namespace(), change.name()));
    if let Some(old) = change.before().filter(|_| change.removed()) {
        let left = change.neighbours(&POD).into_iter().filter(|pod| is_tracked(pod) && is_of(pod, meta::uid(&old)));
        keys.extend(left.map(|pod| orphan_key(change.namespace(), meta::name(&pod))));
    }
}

/// The Jobs that control a pod or did; and a pod that may be nobody's.
fn of_pods(change: &dyn Change, keys: &mut Vec<Key>) {
    let (old, new) = (change.before(), change.after());
    for pod in [&old, &new].into_iter().flatten() {
        keys.extend(owner(pod).map(|owner| Key::new(change.namespace(), text(owner, "/name"))));
    }
    let Some(pod) = new else { return };
    let same = |old: &Object| labels(old) == labels(&pod) && meta::controller_of(old).is_none();
    let free = meta::controller_of(&pod).is_none() && !old.as_ref().is_some_and(same) && !labels(&pod).is_empty();
    let ends = api::kinds::pod::is_terminal(&pod) || meta::is_being_deleted(&pod) || old.is_none();
    if free || (is_tracked(&pod) && ends) {
        keys.push(orphan_key(change.namespace(), change.name()));
    }
}

fn orphan_key(namespace: &str, name: &str) -> Key {
    Key::new(namespace, format!("{ORPHAN}{name}"))
}

/// The Job that controls a pod.
fn owner(pod: &Value) -> Option<&Value> {
    let is_job = |owner: &&Value| text(owner, "/kind") == JOB.kind && text(owner, "/apiVersion") == JOB.api_version();
    meta::controller_of(pod).filter(is_job)
}

fn is_of(pod: &Value, uid: &str) -> bool {
    owner(pod).is_some_and(|owner| text(owner, "/uid") == uid)
}

/// Whether the end of a pod waits to be counted.
fn is_tracked(pod: &Value) -> bool {
    meta::finalizers(pod).any(|one| one == TRACKING)
}

/// Whether another controller looks after it.
fn is_foreign(job: &Value) -> bool {
    let manager = text(job, "/spec/managedBy");
    !manager.is_empty() && manager != MANAGER
}

fn reconcile(view: &dyn View, key: &Key, now: Timestamp) -> Plan {
    if let Some(pod) = key.name.strip_prefix(ORPHAN) {
        let pod = view.get(&POD, &key.namespace, pod);
        return Plan { actions: pod.and_then(|pod| place(view, &pod)).into_iter().collect(), wake_at: None };
    }
    let job = view.get(&JOB, &key.namespace, &key.name).filter(|job| !is_foreign(job) && !is_finished(job));
    job.map(|job| attend(view, &job, now)).unwrap_or_default()
}

/// A pod whose Job is gone or has ended is let go; one that is nobody's may be somebody's.
fn place(view: &dyn View, pod: &Value) -> Option<Action> {
    let namespace = meta::namespace(pod);
    let Some(controller) = meta::controller_of(pod) else {
        let wants = |job: &Object| wants(job, pod) && !is_finished(job) && !is_foreign(job);
        let taker = view.list(&JOB, namespace).find(wants).filter(|_| !meta::is_being_deleted(pod));
        return taker.map(|job| take_in(pod, &job)).or_else(|| is_tracked(pod).then(|| let_go(pod)));
    };
    let owner = owner(pod).filter(|_| is_tracked(pod))?;
    let job = view.get(&JOB, namespace, text(controller, "/name"));
    match job.filter(|job| meta::uid(job) == text(owner, "/uid")) {
        Some(job) if is_foreign(&job) || !is_finished(&job) => None,
        _ => Some(let_go(pod)),
    }
}

/// Whether a Job selects a pod and may have it.
fn wants(job: &Value, pod: &Value) -> bool {
    !meta::is_being_deleted(job) && selector(job).matches(&labels(pod))
}

/// Adopts a pod, and keeps it until its end is counted.
fn take_in(pod: &Value, job: &Value) -> Action {
    let mut action = adopt(&POD, pod, job);
    if let Action::Patch { patch: Patch::Merge(patch), .. } = &mut action {
        let others = meta::finalizers(pod).filter(|one| *one != TRACKING);
        patch["metadata"]["finalizers"] = others.chain([TRACKING]).collect();
    }
    action
}

/// Takes the finalizer off.
fn let_go(pod: &Value) -> Action {
    let others: Vec<Value> = meta::finalizers(pod).filter(|one| *one != TRACKING).map(Value::from).collect();
    let others = if others.is_empty() { Value::Null } else { others.into() };
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": others } }));
    Action::Patch { target: Target::of(&POD, pod), part: "", patch, only: Only::unchanged(pod) }
}

/// Whose pods are: what has to be done about it comes before all else.
fn claim(view: &dyn View, job: &Value, all: &[Object]) -> Vec<Action> {
    let (going, wanted) = (meta::is_being_deleted(job), selector(job));
    let strangers = all.iter().filter(|pod| !going && !wanted.matches(&labels(pod)));
    let mut actions: Vec<Action> = strangers.map(|pod| release(&POD, pod, job)).collect();
    // A Job that was looked at before has its number of ready pods.
    if !going && job.pointer("/status/ready").is_none() {
        let free = |pod: &Object| meta::controller_of(pod).is_none() && !meta::is_being_deleted(pod);
        let mine = |pod: &Object| free(pod) && wanted.matches(&labels(pod));
        let orphans = view.list(&POD, meta::namespace(job)).filter(mine);
        actions.extend(orphans.map(|pod| take_in(&pod, job)));
    }
    actions.truncate(BURST);
    actions
}

fn attend(view: &dyn View, job: &Value, now: Timestamp) -> Plan {
    let all = controlled(view, &POD, job);
    let claims = claim(view, job, &all);
    if !claims.is_empty() {
        return Plan { actions: claims, wake_at: None };
    }
    let seen = Seen::of(job, &all, now);
    let verdict = verdict::of(&seen);
    let mut actions = Vec::new();
    let mut wake_at = verdict.is_none().then(|| verdict::deadline(job)).flatten();
    match &verdict {
        Some(verdict) if verdict.stored => actions.extend(pods::stop(&seen)),
        None if !meta::is_being_deleted(job) => {
            let managed = pods::manage(view, &seen);
            actions.extend(managed.actions);
            wake_at = sooner(wake_at, managed.wake_at);
        }
        _ => {}
    }
    let suspended = is_true(job, "/spec/suspend");
    actions.extend(tracking::written(&seen, verdict.as_ref(), suspended));
    actions.extend(tracking::released(&seen, verdict.as_ref()));
    Plan { actions, wake_at }
}
