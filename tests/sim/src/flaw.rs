//! Bugs that the simulation must find. Main type: [`Flaw`].

use consensus::SeededBug;

/// A bug put in on purpose: three in the agreement, the others where this simulation stands in for a part of a node or
/// for whoever uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Entries count as durable before they are synced.
    AcknowledgeBeforeSync,
    /// Votes count as durable before they are synced.
    ForgetVotes,
    /// A restarted leader goes on leading in its old term, although its log may have lost its end. Was found here in
    /// earnest: openraft's default.
    ResumeLeadership,
    /// Reads that should be linearizable answer with whatever the node has.
    StaleReads,
    /// A write with an unclear outcome is sent again under a new request id.
    RetryUnderNewId,
    /// A write with an unclear outcome is acknowledged.
    AcknowledgeUnclear,
    /// A write with an unclear outcome is said not to have happened.
    DenyUnclear,
    /// A watch resumed misses the next change.
    WatchSkips,
    /// A watch resumed repeats the last change.
    WatchRepeats,
    /// Voters that do not answer are taken out instead of counted.
    ShrinkVoters,
    /// A peer that could not be reached once is never called again.
    ForgetPeers,
}

impl Flaw {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::AcknowledgeBeforeSync,
        Self::ForgetVotes,
        Self::ResumeLeadership,
        Self::StaleReads,
        Self::RetryUnderNewId,
        Self::AcknowledgeUnclear,
        Self::DenyUnclear,
        Self::WatchSkips,
        Self::WatchRepeats,
        Self::ShrinkVoters,
        Self::ForgetPeers,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeSync => "acknowledge-before-sync",
            Self::ForgetVotes => "forget-votes",
            Self::ResumeLeadership => "resume-leadership",
            Self::StaleReads => "stale-reads",
            Self::RetryUnderNewId => "retry-under-new-id",
            Self::AcknowledgeUnclear => "acknowledge-unclear",
            Self::DenyUnclear => "deny-unclear",
            Self::WatchSkips => "watch-skips",
            Self::WatchRepeats => "watch-repeats",
            Self::ShrinkVoters => "shrink-voters",
            Self::ForgetPeers => "forget-peers",
        }
    }

    /// Those that the agreement itself has a switch for.
    pub(crate) fn within(self) -> Option<SeededBug> {
        match self {
            Self::AcknowledgeBeforeSync => Some(SeededBug::AcknowledgeBeforeSync),
            Self::ForgetVotes => Some(SeededBug::ForgetVotes),
            _ => None,
        }
    }
}
