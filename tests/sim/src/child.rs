//! One run in a process of its own: its randomness is fixed there (`entropy.c`), and a panic there is a finding here.
//! Main type: [`Findings`].

use std::{
    num::NonZeroUsize,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use crate::{Plan, Report, invariants, plan::Scenario, recovery::Before};

/// What came of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Hash of all that happened.
    pub trace: String,
    /// Invariants that did not hold: name and complaint, the first found first.
    pub violated: Vec<(String, String)>,
    /// Figures of the run, for people.
    pub summary: String,
    /// Virtual time that passed, in milliseconds.
    pub simulated: u64,
}

/// Parts of a second that the kernel counts the time of processes in, whatever its own tick.
const USER_HZ: f64 = 100.0;

/// Runs a seed of a scenario by that `sim` binary.
///
/// # Panics
/// Where the binary cannot be started.
pub fn run(binary: &Path, seed: u64, scenario: Scenario) -> Findings {
    let mut command = Command::new(binary);
    command.arg(seed.to_string()).arg(scenario.name()).stderr(Stdio::null());
    let output = command.output().expect("the binary sim starts");
    let mut findings = parse(&String::from_utf8_lossy(&output.stdout));
    if findings.trace.is_empty() {
        findings.violated.push(("survival".into(), format!("the run ended with {}", output.status)));
    }
    findings
}

/// Runs these seeds, one process a core at a time; findings in the order of the seeds.
///
/// # Panics
/// Where the binary cannot be started.
pub fn run_all(binary: &Path, seeds: &[u64], scenario: Scenario) -> Vec<(u64, Findings)> {
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let work = || {
        let mut found = Vec::new();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.push((*seed, run(binary, *seed, scenario)));
        }
        found
    };
    let mut all: Vec<(u64, Findings)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic but the binary's absence")).collect()
    });
    all.sort_unstable_by_key(|(seed, _)| *seed);
    all
}

/// One line: how long clusters lived in these runs, and what that cost. Asked by a process whose only children they were.
#[must_use]
pub fn account(runs: &[(u64, Findings)]) -> String {
    let lived = Duration::from_millis(runs.iter().map(|(_, findings)| findings.simulated).sum()).as_secs_f64();
    let (hours, took) = (lived / 3600.0, children_time());
    format!(
        "{} runs, {hours:.2} cluster-hours in {took:.0} s of a core: {:.0} times real time",
        runs.len(),
        lived / took
    )
}

/// Seconds of a core that ended children of this process took: `cutime` and `cstime` of proc_pid_stat(5). NaN where the
/// kernel does not tell.
fn children_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let times: Vec<f64> = fields.skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    if times.len() == 2 { times.iter().sum::<f64>() / USER_HZ } else { f64::NAN }
}

/// The lines that [`print`] writes, read again.
fn parse(text: &str) -> Findings {
    let mut findings = Findings::default();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("trace", hash)) => findings.trace = hash.into(),
            Some(("summary", figures)) => findings.summary = figures.into(),
            Some(("simulated", time)) => findings.simulated = time.parse().unwrap_or(0),
            Some(("violated", rest)) => {
                let (name, complaint) = rest.split_once(' ').unwrap_or((rest, ""));
                findings.violated.push((name.into(), complaint.into()));
            }
            _ => {}
        }
    }
    findings
}

/// Runs here, and prints what came of it; returns whether all invariants held. What the binary `sim` does.
#[must_use]
pub fn print(seed: u64, scenario: Scenario) -> bool {
    let report = crate::run(seed, &Plan::of(scenario));
    let violated = invariants::violated(&report);
    for (name, complaint) in &violated {
        println!("violated {name} {}", complaint.replace('\n', " "));
    }
    println!("summary {}", summary(&report));
    println!("simulated {}", report.simulated.as_millis());
    println!("trace {:016x}", report.trace);
    violated.is_empty()
}

fn summary(report: &Report) -> String {
    let Report { operations, simulated, real, faults, before, .. } = report;
    let lost = before.as_ref().map_or(0, Before::lost);
    let times = simulated.as_secs_f64() / real.as_secs_f64();
    format!(
        "{} operations, {simulated:?} in {real:?}, {times:.0} times real time, {lost} lost, {faults:?}",
        operations.len()
    )
}
