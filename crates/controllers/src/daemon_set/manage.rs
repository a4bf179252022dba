//! What each node lacks, and what it has too much of. Main function: [`Daemons::plan`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/>.

use api::{
    kinds::{pod::POD, read::text},
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    HASH_LABEL, NAME,
    nodes::{Daemons, Wish},
    pods,
};
use crate::{
    Action, Plan,
    view::Object,
    workload::{News, batch, end_pod, fresh_name, ready_since, sooner, without_made_name},
};

/// Pods made, and pods ended, in one run at most, as upstream.
const BURST: usize = 250;

/// Wait before the second pod in a row that failed is replaced; it doubles each time.
const BACK_OFF: SignedDuration = SignedDuration::from_secs(1);

/// The longest wait, as upstream. A pod that lived for twice as long is the first again.
const BACK_OFF_MAX: SignedDuration = SignedDuration::from_mins(15);

/// Pods to make and to end.
#[derive(Default)]
pub(super) struct Wanted<'a> {
    /// Nodes that get a pod, and how many failed there one after the other.
    pub(super) made: Vec<(&'a str, u32)>,
    pub(super) ended: Vec<&'a Object>,
    news: Vec<News>,
    wake_at: Option<Timestamp>,
}

impl Wanted<'_> {
    fn is_nothing(&self) -> bool {
        self.made.is_empty() && self.ended.is_empty()
    }
}

impl<'a> Daemons<'a> {
    /// What to do, and when to look again.
    pub(super) fn plan(&self) -> Plan {
        let mut wanted = Wanted::default();
        for (node, wish) in &self.nodes {
            self.look_at(node, *wish, &mut wanted);
        }
        wanted.ended.extend(self.stranded());
        if wanted.is_nothing() && self.is_rolling() {
            self.roll(&mut wanted);
        }
        let soon = self.pods.values().flatten().filter_map(|pod| self.available_at(pod)).filter(|at| *at > self.now);
        let wake_at = sooner(wanted.wake_at, soon.min());
        self.carry_out(&wanted, wake_at)
    }

    /// Pods that wait for a node that is not there.
    fn stranded(&self) -> impl Iterator<Item = &Object> {
        let gone = self.pods.iter().filter(|(node, _)| !self.nodes.contains_key(*node)).flat_map(|(_, pods)| pods);
        gone.filter(|pod| text(pod, "/spec/nodeName").is_empty() && !meta::is_being_deleted(pod))
    }

    fn look_at<'s>(&'s self, node: &'s str, wish: Wish, wanted: &mut Wanted<'s>) {
        let pods = self.on(node);
        match wish {
            Wish { runs: true, .. } if pods.is_empty() => wanted.made.push((node, 0)),
            Wish { stays: true, .. } => self.look_after(node, wish, wanted),
            Wish { stays: false, .. } => wanted.ended.extend(pods.iter().filter(|pod| !meta::is_being_deleted(pod))),
        }
    }

    /// One pod that has not ended stays; with surge, two of different templates may.
    fn look_after<'s>(&'s self, node: &'s str, wish: Wish, wanted: &mut Wanted<'s>) {
        let mut living = Vec::new();
        let mut replaced = None;
        for pod in self.on(node).iter().filter(|pod| !meta::is_being_deleted(pod)) {
            match text(pod, "/status/phase") {
                "Failed" => replaced = self.failed(node, pod, wanted).or(replaced),
                "Succeeded" => {
                    let message = format!(
                        "Found succeeded daemon pod {}/{} on node {node}, will try to delete it",
                        meta::namespace(pod),
                        meta::name(pod)
                    );
                    wanted.news.push(News::normal("SucceededDaemonPod", message));
                    wanted.ended.push(pod);
                }
                _ => living.push(pod),
            }
        }
        let present = self.on(node).iter().filter(|pod| !meta::is_being_deleted(pod)).count();
        match living.as_slice() {
            [] if wish.runs && replaced.is_some() => wanted.made.extend(replaced.map(|failures| (node, failures))),
            [] if wish.runs && self.surges() && present == 0 => wanted.made.push((node, 0)),
            [] | [_] => {}
            [_, more @ ..] if !self.surges() => wanted.ended.extend(more),
            several => self.prune(several, wanted),
        }
    }

    /// Ends a pod that failed, once it has been left for long enough. Its successor is told how many failed before it.
    fn failed<'s>(&'s self, node: &str, pod: &'s Object, wanted: &mut Wanted<'s>) -> Option<u32> {
        let born = meta::parse_time(meta::creation_timestamp(pod)).unwrap_or(self.now);
        let is_first = self.now.duration_since(born) > BACK_OFF_MAX.saturating_mul(2);
        let failures = if is_first { 0 } else { pods::failures(pod) };
        let due = born.saturating_add(wait(failures)).unwrap_or(self.now);
        if due > self.now {
            wanted.wake_at = sooner(wanted.wake_at, Some(due));
            return None;
        }
        let (namespace, name) = (meta::namespace(pod), meta::name(pod));
        let message = format!("Found failed daemon pod {namespace}/{name} on node {node}, will try to kill it");
        wanted.news.push(News::warning("FailedDaemonPod", message));
        wanted.ended.push(pod);
        Some(failures.saturating_add(1))
    }

    /// Of several pods the oldest of the present template stays, and the oldest other one while that serves and the new one
    /// does not yet.
    fn prune<'s>(&'s self, several: &[&'s Object], wanted: &mut Wanted<'s>) {
        let is_new = |pod: &&&Object| meta::label(pod, HASH_LABEL) == Some(self.hash);
        let (mut new, mut old) = (None, None);
        for pod in several {
            let kept = if is_new(&pod) { &mut new } else { &mut old };
            match kept {
                None => *kept = Some(*pod),
                Some(_) => wanted.ended.push(pod),
            }
        }
        if let (Some(new), Some(old)) = (new, old)
            && (ready_since(old).is_none() || self.is_available(new))
        {
            wanted.ended.push(old);
        }
    }

    fn carry_out(&self, wanted: &Wanted<'_>, wake_at: Option<Timestamp>) -> Plan {
        let refused = self.view.failure().map(|why| without_made_name(why, self.set));
        let there = self.nodes.keys().filter(|node| !self.on(node).is_empty()).count();
        let making = batch(there, wanted.made.len(), refused.is_some()).min(BURST);
        let made = wanted.made.iter().take(making).enumerate();
        let mut actions: Vec<Action> = made.map(|(at, (node, failures))| self.make(at, node, *failures)).collect();
        actions.extend(wanted.ended.iter().take(BURST).map(|pod| self.end(pod)));
        let news = wanted.news.iter().map(|news| news.clone().tell(self.set, NAME, self.now));
        actions.extend(news.take(BURST));
        if let Some(why) = refused.filter(|_| making > 0) {
            let news = News::warning("FailedCreate", format!("Error creating: {why}"));
            actions.push(news.tell(self.set, NAME, self.now));
        }
        let more = wanted.made.len() > making || wanted.ended.len() > BURST;
        Plan { actions, wake_at: if more { Some(self.now) } else { wake_at } }
    }

    fn make(&self, at: usize, node: &str, failures: u32) -> Action {
        let name = fresh_name(self.view, &POD, self.set, at);
        let news = News::normal("SuccessfulCreate", format!("Created pod: {name}"));
        pods::make(self, name, node, failures).then(news.tell(self.set, NAME, self.now))
    }

    fn end(&self, pod: &Value) -> Action {
        let news = News::normal("SuccessfulDelete", format!("Deleted pod: {}", meta::name(pod)));
        end_pod(pod, news.tell(self.set, NAME, self.now))
    }
}

/// How long a pod is left that failed after so many others.
fn wait(failures: u32) -> SignedDuration {
    match failures {
        0 => SignedDuration::ZERO,
        more => BACK_OFF.saturating_mul(1 << (more - 1).min(16)).min(BACK_OFF_MAX),
    }
}
