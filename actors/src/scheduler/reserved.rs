//! Pods that have a node and wait for the volumes of their claims. Main type: [`Reserved`].
//!
//! Such a pod counts on its node already, so that nobody takes its room. Whether its claims are bound is seen by whoever
//! hears of them.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use scheduler::Choice;

use super::pending::Waiting;

/// How long a pod keeps a node while its volumes are made, as upstream.
const LONGEST: Duration = Duration::from_secs(600);

/// A pod that waits for its volumes.
#[derive(Clone, Debug)]
pub(super) struct Reservation {
    /// The pod.
    pub(super) waiting: Waiting,
    /// Its node.
    pub(super) node: String,
    /// What was chosen for its claims.
    pub(super) choices: Vec<Choice>,
    /// Until when it waits.
    until: Duration,
}

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    pods: HashMap<String, Reservation>,
    /// By claim, those that wait for it.
    by_claim: HashMap<String, BTreeSet<String>>,
    timed: BTreeSet<(Duration, String)>,
}

impl Reserved {
    /// A pod has a node, but for its claims.
    pub(super) fn add(&mut self, key: &str, waiting: Waiting, node: String, choices: Vec<Choice>, now: Duration) {
        let until = now + LONGEST;
        for choice in &choices {
            self.by_claim.entry(choice.claim().to_owned()).or_default().insert(key.to_owned());
        }
        self.timed.insert((until, key.to_owned()));
        self.pods.insert(key.to_owned(), Reservation { waiting, node, choices, until });
    }

    /// A pod that waits.
    pub(super) fn get(&self, key: &str) -> Option<&Reservation> {
        self.pods.get(key)
    }

    /// A pod waits no longer.
    pub(super) fn remove(&mut self, key: &str) -> Option<Reservation> {
        let gone = self.pods.remove(key)?;
        self.timed.remove(&(gone.until, key.to_owned()));
        for choice in &gone.choices {
            let Some(pods) = self.by_claim.get_mut(choice.claim()) else { continue };
            pods.remove(key);
            if pods.is_empty() {
                self.by_claim.remove(choice.claim());
            }
        }
        Some(gone)
    }

    /// The pods that wait for a claim.
    pub(super) fn waiting_for(&self, claim: &str) -> Vec<String> {
        self.by_claim.get(claim).into_iter().flatten().cloned().collect()
    }

    /// The pods that have waited too long.
    pub(super) fn overdue(&self, now: Duration) -> Vec<String> {
        self.timed.iter().take_while(|(until, _)| *until <= now).map(|(_, key)| key.clone()).collect()
    }

    /// When the next one has.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.timed.first().map(|(until, _)| *until)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use scheduler::Pod;
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_pod_is_found_by_its_claims_until_it_is_removed_or_overdue() {
        let mut reserved = Reserved::default();
        let waiting = Waiting { pod: Arc::new(Pod::default()), object: Arc::new(Value::Null) };
        let choices = ["n/c", "n/d"].map(|claim| Choice::Provision { claim: claim.into() });
        reserved.add("n/p", waiting, "a".into(), choices.into(), Duration::from_secs(1));
        assert_eq!(reserved.waiting_for("n/d"), ["n/p"]);
        assert_eq!(reserved.next_due(), Some(Duration::from_secs(601)));
        assert!(reserved.overdue(Duration::from_secs(600)).is_empty());
        assert_eq!(reserved.overdue(Duration::from_secs(601)), ["n/p"]);
        assert_eq!(reserved.remove("n/p").map(|one| one.node), Some("a".to_owned()));
        assert!(reserved.waiting_for("n/c").is_empty() && reserved.next_due().is_none());
    }
}
