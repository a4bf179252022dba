//! What a run of operations took, in time and in processor time: [`Sample`]. Compiled into `cargo xtask bench` and into the
//! load it starts, which prints one as JSON.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Microseconds in one tick of `/proc/PID/stat`: Linux tells user space 100 ticks a second on every machine.
const TICK_MICROSECONDS: u64 = 10_000;

/// Where `utime` and `stime` stand behind the name in `/proc/PID/stat`.
const OWN: usize = 11;

/// What many operations of one kind took.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Sample {
    /// How many.
    pub(crate) operations: u64,
    /// From the first one's start to the last one's end.
    pub(crate) seconds: f64,
    /// Milliseconds that the middle one took.
    pub(crate) p50: f64,
    /// Milliseconds that one of a hundred took longer than; the slowest of fewer.
    pub(crate) p99: f64,
    /// Processor time of the processes that served, in microseconds for each operation.
    pub(crate) cpu: f64,
}

impl Sample {
    /// Sums up. `cpu` is in microseconds, for all of them.
    pub(crate) fn new(operations: u64, mut latencies: Vec<Duration>, elapsed: Duration, cpu: u64) -> Self {
        latencies.sort_unstable();
        let at = |percent: usize| {
            let place = (latencies.len() * percent).div_ceil(100).saturating_sub(1);
            latencies.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        let cpu = cpu as f64 / operations.max(1) as f64;
        Self { operations, seconds: elapsed.as_secs_f64(), p50: at(50), p99: at(99), cpu }
    }
}

/// Processor time that these processes have taken, user and system, in microseconds.
///
/// # Errors
/// Where one is gone.
pub(crate) fn cpu_microseconds(pids: &[u32]) -> Result<u64> {
    pids.iter().map(|pid| ticks(&pid.to_string(), OWN)).sum()
}

/// Two neighbouring counters of `/proc/PROCESS/stat`, added up, in microseconds.
pub(crate) fn ticks(process: &str, place: usize) -> Result<u64> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}: it has ended"))?;
    // The name before the last parenthesis may hold anything.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(place).take(2).filter_map(|word| word.parse::<u64>().ok());
    Ok(ticks.sum::<u64>() * TICK_MICROSECONDS)
}
