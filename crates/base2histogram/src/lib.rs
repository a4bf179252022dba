//! Counts values in buckets that widen with the value: [`Histogram`], as openraft uses it for its own figures.
//!
//! It takes the place of the crate of the same name, which computes its tables for sixteen scales when the first
//! histogram is made: 27 MiB in every node, of which openraft uses one scale, 4 KiB. This one has that scale and needs no
//! table: four buckets to each power of two. Left out, because openraft does not call it: slots of time, other scales,
//! interpolation (a percentile is the smallest value of its bucket), bars in charts.

use std::{fmt, marker::PhantomData};

/// Bits of a value that tell its bucket: the highest one that is set, and the two after it.
const WIDTH: u32 = 3;

/// Buckets to each power of two.
const GROUP: u32 = 1 << (WIDTH - 1);

/// Enough for every `u64`.
const BUCKETS: usize = (GROUP * (u64::BITS - WIDTH + 2)) as usize;

/// How often values of each size were seen. 2 KiB from the first value on; nothing before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: Vec<u64>,
    total: u64,
    marker: PhantomData<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self { counts: Vec::new(), total: 0, marker: PhantomData }
    }
}

impl<T> Histogram<T> {
    /// Without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value `count` times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        if self.counts.is_empty() {
            self.counts = vec![0; BUCKETS];
        }
        self.counts[bucket(value)] += count;
        self.total += count;
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The value which `p` (0 to 1) of all values do not exceed, down to the start of its bucket; 0 where there is none.
    pub fn percentile(&self, p: f64) -> u64 {
        let rank = ((self.total as f64 * p).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found.map_or(0, smallest)
    }

    /// The percentiles that are usually shown.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total,
            p0_1: self.percentile(0.001),
            p1: self.percentile(0.01),
            p5: self.percentile(0.05),
            p10: self.percentile(0.1),
            p50: self.percentile(0.5),
            p90: self.percentile(0.9),
            p99: self.percentile(0.99),
            p99_9: self.percentile(0.999),
        }
    }
}

/// The bucket of a value: values below [`GROUP`] have one each.
fn bucket(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(WIDTH);
    let step = u64::from(GROUP * shift);
    (step + (value >> shift)) as usize
}

/// The smallest value of a bucket.
fn smallest(bucket: usize) -> u64 {
    let (bucket, group) = (bucket as u64, u64::from(GROUP));
    let shift = (bucket / group).saturating_sub(1);
    (bucket - group * shift) << shift
}

/// Percentiles of a [`Histogram`], in the unit of its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many values there are.
    pub samples: u64,
    /// What 0.1 % do not exceed.
    pub p0_1: u64,
    /// What 1 % do not exceed.
    pub p1: u64,
    /// What 5 % do not exceed.
    pub p5: u64,
    /// What 10 % do not exceed.
    pub p10: u64,
    /// The median.
    pub p50: u64,
    /// What 90 % do not exceed.
    pub p90: u64,
    /// What 99 % do not exceed.
    pub p99: u64,
    /// What 99.9 % do not exceed.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, p50, p90, p99, p99_9, .. } = self;
        write!(f, "samples={samples} p50={p50} p90={p90} p99={p99} p99.9={p99_9}")
    }
}

/// Histograms under their names, a line each.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart<T = ()>(Vec<(String, Histogram<T>)>);

impl<T> AsciiChart<T> {
    /// Without histograms.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// With one more.
    #[must_use]
    pub fn add(mut self, name: &str, histogram: Histogram<T>) -> Self {
        self.0.push((name.into(), histogram));
        self
    }

    /// What is shown in logs.
    pub fn compact(&self) -> impl fmt::Display + '_ {
        self
    }

    /// What is shown to people: the same.
    pub fn detailed(&self) -> impl fmt::Display + '_ {
        self
    }
}

impl<T> fmt::Display for AsciiChart<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, histogram)| writeln!(f, "{name}: {}", histogram.percentile_stats()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_bucket_that_starts_at_or_below_it() {
        let edges = (0..u64::BITS).map(|bit| 1u64 << bit).flat_map(|edge| [edge - 1, edge, edge + edge / 2]);
        for value in edges.chain([5, 42, 1000, u64::MAX]) {
            let (own, start) = (bucket(value), smallest(bucket(value)));
            assert!(own < BUCKETS && start <= value, "{value} in {own} from {start}");
            assert!(own + 1 == BUCKETS || value < smallest(own + 1), "{value} in {own}");
        }
    }

    #[test]
    fn percentiles_are_right_down_to_the_width_of_a_bucket() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!(histogram.percentile_stats(), PercentileStats::default());
        (1..=1000).for_each(|value| histogram.record(value));
        let stats = histogram.percentile_stats();
        assert_eq!(stats.samples, 1000);
        for (told, true_value) in [(stats.p1, 10), (stats.p50, 500), (stats.p99, 990), (stats.p99_9, 999)] {
            assert!(told <= true_value && told * 5 >= true_value * 4, "{told} for {true_value}");
        }
        let chart = AsciiChart::new().add("batch", histogram).compact().to_string();
        assert!(chart.starts_with("batch: samples=1000 p50=448"), "{chart}");
    }
}
