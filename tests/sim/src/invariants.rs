//! What must hold, a file each; main item: [`violated`]. Six are judged of the [`Report`] when a run is over. The others
//! (`one_leader_a_term`, `voters_stay`, `survival`, `quorum_reforms`, and of a recovery `recovers` and
//! `disturbs_nobody`) are observed while it runs.

pub(crate) mod disturbs_nobody;
pub mod linearizable;
pub mod nothing_lost;
pub mod nothing_twice;
pub(crate) mod one_leader_a_term;
pub(crate) mod quorum_reforms;
pub mod recovered_a_prefix;
pub(crate) mod recovers;
pub mod replicas_agree;
pub(crate) mod survival;
pub(crate) mod voters_stay;
pub mod watchers_agree;

use crate::Report;

/// One invariant that is judged in the end: its name, and whether a run kept it.
pub type Invariant = (&'static str, fn(&Report) -> Result<(), String>);

const JUDGED: [Invariant; 6] = [
    ("recovered_a_prefix", recovered_a_prefix::judge),
    ("nothing_lost", nothing_lost::judge),
    ("nothing_twice", nothing_twice::judge),
    ("watchers_agree", watchers_agree::judge),
    ("replicas_agree", replicas_agree::judge),
    ("linearizable", linearizable::judge),
];

/// All that was violated: names and complaints.
#[must_use]
pub fn violated(report: &Report) -> Vec<(&'static str, String)> {
    let ended = report.observed.iter().any(|(name, _)| *name == "quorum_reforms");
    // A cluster that did not come to rest has not told its watchers all: only what clients saw can be judged.
    let judged = JUDGED.iter().filter(|(name, _)| !ended || *name == "linearizable");
    let found = judged.filter_map(|(name, judge)| judge(report).err().map(|complaint| (*name, complaint)));
    found.chain(report.observed.iter().cloned()).collect()
}
