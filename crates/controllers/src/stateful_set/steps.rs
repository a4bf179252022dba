//! What to do next about the pods of a StatefulSet. Main type: [`Set`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#deployment-and-scaling-guarantees>.
//!
//! In order: missing pods from the lowest number on, then those that are too many from the highest on, then old ones from the
//! highest on. `OrderedReady` takes one step at a time and goes no further than the first pod that is not available.

use api::{
    kinds::{
        pod::{POD, is_terminal},
        read::text,
        workload::{count, percent},
    },
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    NAME,
    claims::{self, Lack},
    identity::{self, name_of, ordinal_of, revision_of},
    start,
};
use crate::{
    Action, Event, Plan, View,
    view::Object,
    workload::{News, available_at, batch, end_pod, ready_since, sooner},
};

/// Pods made or deleted in one run at most, as upstream.
const BURST: usize = 500;

/// Numbers that are looked at: more than a cluster runs pods, and not as many as a slip of the hand may ask for.
const SLOTS_MAX: i64 = 100_000;

/// Time after which a name that somebody else has is tried again: nothing tells when it is free.
const TAKEN_PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// A set and its pods as one run sees them.
pub(super) struct Set<'a> {
    pub(super) view: &'a dyn View,
    pub(super) set: &'a Value,
    pub(super) now: Timestamp,
    /// The revision that pods below the partition have.
    pub(super) current: &'a Value,
    /// The revision that all others are to have.
    pub(super) update: &'a Value,
    pub(super) pods: &'a [Object],
}

/// One number of those wanted, and its pod if there is one.
struct Slot {
    ordinal: i64,
    pod: Option<Object>,
}

/// What to do, and whether anything else may be done now.
struct Step {
    actions: Vec<Action>,
    blocks: bool,
}

impl Step {
    fn of(actions: impl IntoIterator<Item = Action>, blocks: bool) -> Self {
        Self { actions: actions.into_iter().collect(), blocks }
    }
}

impl Set<'_> {
    /// Pods wanted.
    pub(super) fn wanted(&self) -> i64 {
        count(self.set, "/spec/replicas")
    }

    /// Whether a pod runs and is ready.
    pub(super) fn is_ready(&self, pod: &Value) -> bool {
        text(pod, "/status/phase") == "Running" && ready_since(pod).is_some()
    }

    /// Whether it has been ready for long enough.
    pub(super) fn is_available(&self, pod: &Value) -> bool {
        let at = available_at(pod, count(self.set, "/spec/minReadySeconds"));
        text(pod, "/status/phase") == "Running" && at.is_some_and(|at| at <= self.now)
    }

    fn is_well(&self, pod: &Value) -> bool {
        self.is_available(pod) && !meta::is_being_deleted(pod)
    }

    fn in_order(&self) -> bool {
        text(self.set, "/spec/podManagementPolicy") != "Parallel"
    }

    /// What to do, and when a pod will have been ready for long enough.
    pub(super) fn plan(&self) -> Plan {
        if meta::is_being_deleted(self.set) {
            return Plan::default();
        }
        let slots = self.slots();
        let least = count(self.set, "/spec/minReadySeconds");
        let later = self.pods.iter().filter_map(|pod| available_at(pod, least)).filter(|at| *at > self.now).min();
        let missing = slots.iter().find(|slot| slot.pod.is_none());
        let taken = missing.filter(|slot| self.is_taken(slot.ordinal)).map(|_| self.now.saturating_add(TAKEN_PAUSE));
        let actions = self.actions(&slots);
        let again = actions.iter().any(claims::concerns).then_some(self.now);
        Plan { actions, wake_at: sooner(again, sooner(later, taken.and_then(Result::ok))) }
    }

    fn actions(&self, slots: &[Slot]) -> Vec<Action> {
        let condemned = self.condemned();
        let (mut actions, blocked) = self.fill(slots);
        if blocked {
            return actions;
        }
        let (ends, blocked) = self.shrink(slots, &condemned);
        actions.extend(ends);
        if !blocked && text(self.set, "/spec/updateStrategy/type") != "OnDelete" {
            actions.extend(self.renew(slots));
        }
        actions
    }

    /// The numbers wanted, from the lowest on.
    fn slots(&self) -> Vec<Slot> {
        let first = start(self.set);
        let numbers = first..first + self.wanted().min(SLOTS_MAX);
        let mut slots: Vec<Slot> = numbers.map(|ordinal| Slot { ordinal, pod: None }).collect();
        for pod in self.pods {
            let index = ordinal_of(self.set, pod).map(|ordinal| usize::try_from(ordinal - first));
            if let Some(slot) = index.and_then(Result::ok).and_then(|index| slots.get_mut(index)) {
                slot.pod = Some(pod.clone());
            }
        }
        slots
    }

    /// Pods with other numbers, from the highest on.
    fn condemned(&self) -> Vec<&Object> {
        let wanted = start(self.set)..start(self.set) + self.wanted();
        let numbered = self.pods.iter().filter_map(|pod| Some((ordinal_of(self.set, pod)?, pod)));
        let mut others: Vec<(i64, &Object)> = numbered.filter(|(ordinal, _)| !wanted.contains(ordinal)).collect();
        others.sort_by_key(|(ordinal, _)| std::cmp::Reverse(*ordinal));
        others.into_iter().map(|(_, pod)| pod).collect()
    }

    /// Makes pods that are missing, anew those that ended. Tells whether that is all that can be done now.
    fn fill(&self, slots: &[Slot]) -> (Vec<Action>, bool) {
        let missing = slots.iter().filter(|slot| slot.pod.is_none()).count();
        let mut may_make = batch(slots.len() - missing, missing, self.view.failure().is_some()).min(BURST);
        let mut actions = Vec::new();
        for slot in slots {
            let step = match &slot.pod {
                Some(pod) => self.look_after(pod),
                None if may_make == 0 => Step::of(None, true),
                None => {
                    may_make -= 1;
                    self.step_in(slot.ordinal)
                }
            };
            actions.extend(step.actions);
            if step.blocks && self.in_order() {
                return (actions, true);
            }
        }
        (actions, false)
    }

    /// Makes a missing pod, where its name is free and its claims are there, and tells why one could not be made before.
    fn step_in(&self, ordinal: i64) -> Step {
        if self.is_taken(ordinal) {
            return Step::of(None, true);
        }
        match self.lack(ordinal) {
            Some(Lack::Missing(make)) => Step::of(make, true),
            Some(Lack::Going(why)) => Step::of([self.unable(ordinal, &why)], true),
            Some(Lack::Stale) => Step::of(None, true),
            None => {
                let refused = self.view.failure().map(|why| self.refused(ordinal, why));
                Step::of(refused.into_iter().chain([self.make(ordinal)]), true)
            }
        }
    }

    /// Whether there is a pod of the name that is not this set's.
    fn is_taken(&self, ordinal: i64) -> bool {
        self.view.get(&POD, meta::namespace(self.set), &name_of(self.set, ordinal)).is_some()
    }

    fn look_after(&self, pod: &Object) -> Step {
        if is_terminal(pod) {
            return Step::of((!meta::is_being_deleted(pod)).then(|| self.end(pod)), true);
        }
        let mut actions = self.own_claims(pod);
        if text(pod, "/status/phase") == "Pending" && !meta::is_being_deleted(pod) {
            actions.extend(ordinal_of(self.set, pod).map(|ordinal| self.missing(ordinal)).unwrap_or_default());
        }
        if !self.is_well(pod) && self.in_order() {
            return Step { actions, blocks: true };
        }
        actions.extend(identity::repair(pod));
        Step { actions, blocks: false }
    }

    /// Ends pods that are too many: in order the highest, and that only while all others are well, or it is the first that
    /// is not. Tells whether that is all that can be done now.
    fn shrink(&self, slots: &[Slot], condemned: &[&Object]) -> (Vec<Action>, bool) {
        // What becomes of their claims is settled while they are there.
        let owned: Vec<Action> = condemned.iter().flat_map(|pod| self.own_claims(pod)).collect();
        if !owned.is_empty() {
            return (owned, true);
        }
        if !self.in_order() {
            let ends = condemned.iter().filter(|pod| !meta::is_being_deleted(pod)).take(BURST).map(|pod| self.end(pod));
            return (ends.collect(), false);
        }
        let Some(pod) = condemned.first() else { return (Vec::new(), false) };
        let wanted = slots.iter().filter_map(|slot| slot.pod.as_ref());
        let ill = wanted.chain(condemned.iter().rev().copied()).find(|pod| !self.is_well(pod));
        let is_first_ill = ill.is_some_and(|ill| meta::uid(ill) == meta::uid(pod));
        let goes = !meta::is_being_deleted(pod) && (self.is_available(pod) || is_first_ill);
        (goes.then(|| self.end(pod)).into_iter().collect(), true)
    }

    /// Ends pods of old revisions, so that they are made anew.
    fn renew(&self, slots: &[Slot]) -> Vec<Action> {
        let partition = usize::try_from(count(self.set, "/spec/updateStrategy/rollingUpdate/partition"));
        let Some(slots) = slots.get(partition.unwrap_or_default()..) else { return Vec::new() };
        match self.set.pointer("/spec/updateStrategy/rollingUpdate/maxUnavailable") {
            Some(most) if !most.is_null() => self.renew_several(slots, percent::of(most, self.wanted(), false).max(1)),
            _ => self.renew_one(slots).into_iter().collect(),
        }
    }

    /// The highest old one, unless one above it is not well.
    fn renew_one(&self, slots: &[Slot]) -> Option<Action> {
        for slot in slots.iter().rev() {
            let pod = slot.pod.as_ref()?;
            if self.is_old(pod) && !meta::is_being_deleted(pod) {
                return Some(self.end(pod));
            }
            if !self.is_well(pod) {
                return None;
            }
        }
        None
    }

    /// Old ones from the highest on, while no more than some are missing. Old ones that are not well count only as they are
    /// replaced, so that a broken revision can be left.
    fn renew_several(&self, slots: &[Slot], most: i64) -> Vec<Action> {
        let is_old = |pod: &Object| self.is_old(pod) && !meta::is_being_deleted(pod);
        let is_missing = |slot: &&Slot| slot.pod.as_ref().is_none_or(|pod| !is_old(pod) && !self.is_well(pod));
        let missing = slots.iter().filter(is_missing).count();
        let allowed = usize::try_from(most).unwrap_or_default().saturating_sub(missing).min(BURST);
        let old = slots.iter().rev().filter_map(|slot| slot.pod.as_ref()).filter(|pod| is_old(pod));
        old.take(allowed).map(|pod| self.end(pod)).collect()
    }

    fn is_old(&self, pod: &Value) -> bool {
        revision_of(pod) != meta::name(self.update)
    }

    /// The revision that a new pod of this number has.
    fn revision(&self, ordinal: i64) -> &Value {
        let rolling = self.set.pointer("/spec/updateStrategy/rollingUpdate").filter(|rolling| rolling.is_object());
        let is_rolling = text(self.set, "/spec/updateStrategy/type") == "RollingUpdate";
        let below = match rolling {
            Some(rolling) => count(rolling, "/partition"),
            None if is_rolling => self.of_revision(self.current),
            None => 0,
        };
        if ordinal < start(self.set) + below { self.current } else { self.update }
    }

    fn make(&self, ordinal: i64) -> Action {
        let made = identity::make(self.set, self.revision(ordinal), ordinal);
        let (name, set) = (name_of(self.set, ordinal), meta::name(self.set));
        let news = News::normal("SuccessfulCreate", format!("create Pod {name} in StatefulSet {set} successful"));
        made.then(news.tell(self.set, NAME, self.now))
    }

    fn not_made(&self, ordinal: i64, why: &str) -> String {
        let (name, set) = (name_of(self.set, ordinal), meta::name(self.set));
        format!("create Pod {name} in StatefulSet {set} failed error: {why}")
    }

    fn refused(&self, ordinal: i64, why: &str) -> Action {
        News::warning("FailedCreate", self.not_made(ordinal, why)).tell(self.set, NAME, self.now)
    }

    /// As [`Set::refused`], where there was nothing to try.
    fn unable(&self, ordinal: i64, why: &str) -> Action {
        let (about, message) = (self.set.clone(), self.not_made(ordinal, why));
        Action::Event(Event { about, severity: "Warning", reason: "FailedCreate", message })
    }

    fn end(&self, pod: &Value) -> Action {
        let message = format!("delete Pod {} in StatefulSet {} successful", meta::name(pod), meta::name(self.set));
        end_pod(pod, News::normal("SuccessfulDelete", message).tell(self.set, NAME, self.now))
    }
}
