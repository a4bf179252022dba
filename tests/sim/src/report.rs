//! What a run leaves. Main type: [`Report`].

use std::{collections::BTreeMap, time::Duration};

use store::View;

use crate::{history::Operation, recovery::Before, watcher::Change};

/// What a run leaves to be judged.
#[derive(Debug)]
pub struct Report {
    /// The seed, to be printed with every complaint.
    pub seed: u64,
    /// What clients did and saw.
    pub operations: Vec<Operation>,
    /// What was seen to be wrong while it ran: invariant and complaint.
    pub observed: Vec<(&'static str, String)>,
    /// Hash of all that happened, in its order.
    pub trace: u64,
    /// How often each kind of fault happened.
    pub faults: BTreeMap<&'static str, u64>,
    /// What the watcher of each node was told whose agreement did not end.
    pub watchers: Vec<Vec<Change>>,
    /// What each node holds in the end.
    pub finals: Vec<View>,
    /// What was before the cluster was recovered from one survivor, if it was.
    pub before: Option<Before>,
    /// Virtual time that passed.
    pub simulated: Duration,
    /// Real time that it took.
    pub real: Duration,
}
