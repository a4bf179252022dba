//! The pods a Job wants: made, and deleted where they are too many. Main functions: [`manage`], [`stop`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/job/#parallel-jobs>,
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-replacement-policy>.

use std::collections::{BTreeMap, BTreeSet};

use api::{
    kinds::{
        job::{INDEX, INDEX_FAILURES, INDEX_IGNORED},
        pod::POD,
        read::{child, is_true},
        workload::count,
    },
    meta,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    BURST, NAME, TRACKING, backoff, is_tracked, let_go,
    seen::{Seen, index_of},
};
use crate::{
    Action, Only, Plan, Target, View,
    replica_set::rank,
    view::Object,
    workload::{News, fresh_name_from, pod_of, without_made_name},
};

/// Variable that tells a container its index.
const VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// Bytes of the start of a pod's name, before the letters that are its own.
const STEM_BYTES: usize = 58;

/// What brings the pods that are there nearer to those wanted.
pub(super) fn manage(view: &dyn View, seen: &Seen<'_>) -> Plan {
    if is_true(seen.job, "/spec/suspend") {
        let all = seen.active.iter().take(BURST);
        return Plan { actions: all.flat_map(|pod| take_back(seen, pod)).collect(), wake_at: None };
    }
    let wanted = wanted(seen);
    let surplus = surplus(seen, wanted);
    if !surplus.is_empty() {
        let some = surplus.iter().take(BURST);
        return Plan { actions: some.flat_map(|pod| take_back(seen, pod)).collect(), wake_at: None };
    }
    let going = if seen.only_failed { seen.terminating().count() } else { 0 };
    match wanted.saturating_sub(going + seen.active.len()) {
        0 => Plan::default(),
        missing => create(view, seen, missing),
    }
}

/// How many pods should run now.
fn wanted(seen: &Seen<'_>) -> usize {
    let parallelism = usize::try_from(count(seen.job, "/spec/parallelism")).unwrap_or_default();
    match seen.completions {
        None if seen.succeeded > 0 => seen.active.len(),
        None => parallelism,
        Some(completions) => usize::try_from(completions - seen.succeeded).unwrap_or_default().min(parallelism),
    }
}

/// Pods that are too many: without a place, of the same index as another, or beyond the number.
fn surplus<'a>(seen: &Seen<'a>, wanted: usize) -> Vec<&'a Object> {
    let ranked = rank::ranked(&seen.active, &[], seen.now);
    let mut places = BTreeSet::new();
    // Those that go first stand first: of the same index the last one stays.
    let stays = |pod: &&Object| seen.has_place(pod) && (!seen.indexed || places.insert(index_of(pod)));
    let (stay, mut go): (Vec<&Object>, Vec<&Object>) = ranked.into_iter().rev().partition(stays);
    let more = seen.active.len().saturating_sub(wanted + go.len());
    go.extend(stay.into_iter().rev().take(more));
    go
}

/// Deletes a pod whose end is not to count: first it is let go.
fn take_back(seen: &Seen<'_>, pod: &Object) -> Vec<Action> {
    let news = News::normal("SuccessfulDelete", format!("Deleted pod: {}", meta::name(pod)));
    let news = news.tell(seen.job, NAME, seen.now);
    if is_tracked(pod) {
        return vec![let_go(pod).then(delete(pod)), news];
    }
    vec![delete(pod).then(news)]
}

fn delete(pod: &Value) -> Action {
    Action::Delete { target: Target::of(&POD, pod), only: Only::uid(pod), propagation: None }
}

/// Deletes what still runs of a Job that ends.
pub(super) fn stop(seen: &Seen<'_>) -> Vec<Action> {
    let one = |pod: &&Object| {
        let news = News::normal("SuccessfulDelete", format!("Deleted pod: {}", meta::name(pod)));
        delete(pod).then(news.tell(seen.job, NAME, seen.now))
    };
    seen.active.iter().take(BURST).map(one).collect()
}

fn create(view: &dyn View, seen: &Seen<'_>, missing: usize) -> Plan {
    let refused = view.failure().map(|why| without_made_name(why, seen.job));
    let mut actions = Vec::new();
    if let Some(why) = &refused {
        let news = News::warning("FailedCreate", format!("Error creating: {why}"));
        actions.push(news.tell(seen.job, NAME, seen.now));
    }
    let batch = batch(seen, missing, refused.is_some());
    let wake_at = (batch < missing).then_some(seen.now);
    if seen.lost.is_some() {
        return indexes_apart(view, seen, batch, actions);
    }
    if let Some(until) = backoff::until(seen).filter(|until| *until > seen.now) {
        return Plan { actions, wake_at: Some(until) };
    }
    if seen.indexed {
        let open = open_indexes(seen).into_iter().take(batch).enumerate();
        actions.extend(open.map(|(at, index)| pod(view, seen, at, Some((index, None)))));
    } else {
        actions.extend((0..batch).map(|at| pod(view, seen, at, None)));
    }
    Plan { actions, wake_at }
}

/// Where each index fails by itself, each waits by itself too.
fn indexes_apart(view: &dyn View, seen: &Seen<'_>, batch: usize, mut actions: Vec<Action>) -> Plan {
    let replaced = replaced(seen);
    let until = |index: &i64| replaced.get(index).map_or(Timestamp::MIN, |pod| backoff::until_for(pod));
    let open: Vec<i64> = open_indexes(seen).into_iter().take(BURST).collect();
    let (ready, waiting): (Vec<i64>, Vec<i64>) = open.into_iter().partition(|index| until(index) <= seen.now);
    let some = ready.iter().take(batch).enumerate();
    actions.extend(some.map(|(at, index)| pod(view, seen, at, Some((*index, replaced.get(index).copied())))));
    let more = (ready.len() > batch).then_some(seen.now);
    Plan { actions, wake_at: more.or_else(|| waiting.iter().map(until).min()) }
}

/// How many pods to make now: twice as many as the time before, and one where that failed.
fn batch(seen: &Seen<'_>, missing: usize, failed: bool) -> usize {
    let there = seen.active.len() + usize::try_from(seen.succeeded).unwrap_or_default();
    missing.min(if failed { 1 } else { there + 1 }).min(BURST)
}

/// Indexes without a pod that are neither done nor lost.
fn open_indexes(seen: &Seen<'_>) -> Vec<i64> {
    let running = seen.active.iter().copied().filter_map(|pod| index_of(pod));
    let going = seen.terminating().filter(|_| seen.only_failed).filter_map(|pod| index_of(pod));
    let taken = seen.done.with(running.chain(going));
    let taken = seen.lost.as_ref().map_or_else(|| taken.clone(), |lost| taken.and(lost));
    taken.missing(seen.completions.unwrap_or_default()).take(BURST).collect()
}

/// By index, the failed pod whose place is to be taken: it is kept until another has its number of failures.
pub(super) fn replaced<'a>(seen: &Seen<'a>) -> BTreeMap<i64, &'a Object> {
    let mut last: BTreeMap<i64, &Object> = BTreeMap::new();
    let Some(lost) = &seen.lost else { return last };
    let running: BTreeSet<Option<i64>> = seen.active.iter().map(|pod| index_of(pod)).collect();
    let failed = seen.pods.iter().copied().filter(|pod| is_tracked(pod) && seen.has_place(pod) && seen.is_failed(pod));
    for pod in failed {
        let Some(index) = index_of(pod) else { continue };
        if seen.done.has(index) || lost.has(index) || running.contains(&Some(index)) {
            continue;
        }
        let order = |pod: &Object| {
            let (counted, ignored) = backoff::failures(pod);
            (counted + ignored, backoff::finished(pod))
        };
        if last.get(&index).is_none_or(|before| order(before) <= order(pod)) {
            last.insert(index, pod);
        }
    }
    last
}

/// One pod; of an index, in the place of another perhaps.
fn pod(view: &dyn View, seen: &Seen<'_>, at: usize, index: Option<(i64, Option<&Object>)>) -> Action {
    let mut template = seen.job.pointer("/spec/template").cloned().unwrap_or_default();
    if let Some((index, before)) = index {
        number(seen, &mut template, index, before);
    }
    let job = meta::name(seen.job);
    let end = index.map_or_else(|| "-".to_owned(), |(index, _)| format!("-{index}-"));
    let start: String = job.chars().take(STEM_BYTES - end.len()).collect();
    let stem = format!("{start}{end}");
    let name = fresh_name_from(view, &POD, seen.job, &stem, at);
    let news = News::normal("SuccessfulCreate", format!("Created pod: {name}"));
    let mut action = pod_of(seen.job, &template, name);
    if let Action::Create { object, .. } = &mut action {
        meta::set_generate_name(object, stem);
        let others: Vec<&str> = meta::finalizers(&template).filter(|one| *one != TRACKING).collect();
        object["metadata"]["finalizers"] = others.into_iter().chain([TRACKING]).collect();
    }
    action.then(news.tell(seen.job, NAME, seen.now))
}

/// Tells a pod its index, in every way there is.
fn number(seen: &Seen<'_>, template: &mut Value, index: i64, before: Option<&Object>) {
    for list in ["/spec/initContainers", "/spec/containers"] {
        let containers = template.pointer_mut(list).and_then(Value::as_array_mut);
        containers.into_iter().flatten().for_each(tell);
    }
    template["spec"]["hostname"] = format!("{}-{index}", meta::name(seen.job)).into();
    if child(template, "metadata").is_none() {
        return;
    }
    let metadata = &mut template["metadata"];
    if let Some(labels) = child(metadata, "labels") {
        labels.insert(INDEX.to_owned(), index.to_string().into());
    }
    let Some(annotations) = child(metadata, "annotations") else { return };
    annotations.insert(INDEX.to_owned(), index.to_string().into());
    if seen.lost.is_none() {
        return;
    }
    let (mut counted, mut ignored) = before.map_or((0, 0), |pod| backoff::failures(pod));
    if let Some(pod) = before {
        let counts = i64::from(seen.counts(pod));
        counted += counts;
        ignored += 1 - counts;
    }
    annotations.insert(INDEX_FAILURES.to_owned(), counted.to_string().into());
    if ignored > 0 {
        annotations.insert(INDEX_IGNORED.to_owned(), ignored.to_string().into());
    }
}

/// A container that has the variable keeps its own.
fn tell(container: &mut Value) {
    let Some(container) = container.as_object_mut() else { return };
    let Some(list) = container.entry("env").or_insert_with(|| json!([])).as_array_mut() else { return };
    if list.iter().all(|one| one["name"] != VARIABLE) {
        let path = format!("metadata.labels['{INDEX}']");
        list.push(json!({ "name": VARIABLE, "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": path } } }));
    }
}
