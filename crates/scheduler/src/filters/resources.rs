//! A node has room for what a pod requests, beside what its other pods request.
//! Spec: <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#how-pods-with-resource-requests-are-scheduled>.

use super::{Filter, Refusal};
use crate::place::{Candidate, Cycle};

/// The row.
pub(super) const FILTER: Filter = Filter { name: "NodeResourcesFit", check, explain };

/// One resource: what is wanted, what there is, what is taken of it.
struct Wanted<'a> {
    name: &'a str,
    amount: i64,
    there: i64,
    taken: i64,
}

impl Wanted<'_> {
    fn lacks(&self) -> bool {
        self.amount > 0 && self.amount > self.there.saturating_sub(self.taken)
    }
}

fn has_no_place(on: &Candidate<'_>) -> bool {
    i64::try_from(on.state.pods.len()).is_ok_and(|pods| pods >= on.node.allocatable.pods)
}

fn wanted<'a>(cycle: &Cycle<'a>, on: &Candidate<'a>) -> impl Iterator<Item = Wanted<'a>> {
    let (pod, there, taken) = (&cycle.pod.requests, &on.node.allocatable, &on.state.requested);
    let of = |name, amount, there, taken| Wanted { name, amount, there, taken };
    let known = [
        of("cpu", pod.milli_cpu, there.milli_cpu, taken.milli_cpu),
        of("memory", pod.memory, there.memory, taken.memory),
        of("ephemeral-storage", pod.ephemeral_storage, there.ephemeral_storage, taken.ephemeral_storage),
    ];
    let amount = |of: &std::collections::BTreeMap<String, i64>, name: &str| of.get(name).copied().unwrap_or_default();
    let others = pod.extended.iter().map(move |(name, wanted)| Wanted {
        name,
        amount: *wanted,
        there: amount(&there.extended, name),
        taken: amount(&taken.extended, name),
    });
    known.into_iter().chain(others)
}

fn check(cycle: &Cycle<'_>, on: &Candidate<'_>) -> bool {
    !has_no_place(on) && !wanted(cycle, on).any(|one| one.lacks())
}

fn explain(cycle: &Cycle<'_>, on: &Candidate<'_>) -> Refusal {
    let lacking: Vec<Wanted<'_>> = wanted(cycle, on).filter(Wanted::lacks).collect();
    let full = has_no_place(on).then(|| "Too many pods".to_owned());
    let reasons = full.into_iter().chain(lacking.iter().map(|one| format!("Insufficient {}", one.name))).collect();
    Refusal { reasons, lasting: lacking.iter().any(|one| one.amount > one.there) }
}
