//! What a run came to, in figures and breaches: [`Report`].

use std::fmt;
use std::time::Duration;

use super::history::{Ending, Operation};
use super::judge::{Record, judge};

/// A judged run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the judge found.
    pub wrong: Vec<String>,
    /// Writes acknowledged.
    pub written: usize,
    /// Reads answered.
    pub read: usize,
    /// Requests refused, conflicts left out.
    pub refused: usize,
    /// Requests whose outcome stayed unknown.
    pub open: usize,
    /// Changes told to one watcher.
    pub told: usize,
    /// Streams that the watchers needed.
    pub streams: usize,
    /// Nodes that were compared at the end.
    pub nodes: usize,
    /// The longest times without an acknowledged write, longest first.
    pub gaps: Vec<Duration>,
    /// From the first request to the last.
    pub lasted: Duration,
}

/// Gaps that are kept.
const GAPS: usize = 64;

impl Report {
    pub(super) fn new(record: Record) -> Self {
        let operations = &record.operations;
        let count = |which: &dyn Fn(&Operation) -> bool| operations.iter().filter(|one| which(one)).count();
        let denied = |one: &Operation| matches!(one.ending, Ending::Denied(code) if code != 409);
        Self {
            wrong: judge(&record),
            written: count(&|one| one.writes() && one.answered().is_some()),
            read: count(&|one| !one.writes() && one.answered().is_some()),
            refused: count(&denied),
            open: count(&|one| one.ending == Ending::Open),
            told: record.watchers.iter().map(|told| told.events.len()).max().unwrap_or(0),
            streams: record.watchers.iter().map(|told| told.streams).sum(),
            nodes: record.finals.len(),
            gaps: gaps(operations),
            lasted: Duration::from_nanos(operations.last().map_or(0, |last| last.called)),
        }
    }

    /// Share of the time in which writes were acknowledged no more than a second apart.
    pub fn availability(&self) -> f64 {
        let second = Duration::from_secs(1);
        let without: Duration = self.gaps.iter().map(|gap| gap.saturating_sub(second)).sum();
        1.0 - without.as_secs_f64() / self.lasted.as_secs_f64().max(1.0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { written, read, refused, open, told, streams, nodes, .. } = self;
        write!(
            f,
            "{written} writes and {read} reads in {:.0?}, {refused} refused, {open} unknown; {told} changes told over \
             {streams} streams; {nodes} nodes compared; longest gap {:.2?}; available {:.2} %; {} wrong",
            self.lasted,
            self.gaps.first().copied().unwrap_or_default(),
            100.0 * self.availability(),
            self.wrong.len()
        )
    }
}

fn gaps(operations: &[Operation]) -> Vec<Duration> {
    let mut moments: Vec<u64> = operations.iter().filter(|one| one.writes()).filter_map(Operation::answered).collect();
    moments.sort_unstable();
    let mut gaps: Vec<_> = moments.windows(2).map(|pair| Duration::from_nanos(pair[1] - pair[0])).collect();
    gaps.sort_unstable_by(|one, other| other.cmp(one));
    gaps.truncate(GAPS);
    gaps
}

/// The value below which this many percent lie: `percentile(&times, 99)`. Zero of none.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}
