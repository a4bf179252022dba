//! One run in a process of its own: its randomness is fixed there (`entropy.c`), and a panic there is a finding here.
//! Main type: [`Findings`].

use std::{
    num::NonZeroUsize,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{Plan, Report, flaw::Flaw, judge};

/// What came of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Hash of all that happened.
    pub trace: String,
    /// Invariants that did not hold: name and complaint, the first found first.
    pub violated: Vec<(String, String)>,
    /// Figures of the run, for people.
    pub summary: String,
}

/// Runs a seed by that `sim` binary.
///
/// # Panics
/// Where the binary cannot be started.
pub fn run(binary: &Path, seed: u64, flaw: Option<Flaw>) -> Findings {
    let mut command = Command::new(binary);
    command.arg(seed.to_string()).args(flaw.map(Flaw::name)).stderr(Stdio::null());
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
pub fn run_all(binary: &Path, seeds: &[u64], flaw: Option<Flaw>) -> Vec<(u64, Findings)> {
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let work = || {
        let mut found = Vec::new();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.push((*seed, run(binary, *seed, flaw)));
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

/// The lines that [`print`] writes, read again.
fn parse(text: &str) -> Findings {
    let mut findings = Findings::default();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("trace", hash)) => findings.trace = hash.into(),
            Some(("summary", figures)) => findings.summary = figures.into(),
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
pub fn print(seed: u64, flaw: Option<Flaw>) -> bool {
    let report = crate::run(seed, &Plan { flaw, ..Plan::of(flaw) });
    let violated = judge::all(&report);
    for (name, complaint) in &violated {
        println!("violated {name} {}", complaint.replace('\n', " "));
    }
    println!("summary {}", summary(&report));
    println!("trace {:016x}", report.trace);
    violated.is_empty()
}

fn summary(report: &Report) -> String {
    let Report { operations, simulated, real, faults, .. } = report;
    let times = simulated.as_secs_f64() / real.as_secs_f64();
    format!("{} operations, {simulated:?} in {real:?}, {times:.0} times real time, {faults:?}", operations.len())
}
