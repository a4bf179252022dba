//! Random faults, one after the other, and what the cluster did meanwhile. Main type: [`Report`].
//!
//! One fault at a time, so a cluster of three voters or more must go on through each of them, and must be well again after it.

use std::time::{Duration, Instant};

use actors::context::unix_now;
use anyhow::{Result, bail, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::{Chaos, Cut, Fault, Health, Kind, Way, same};
use crate::cli::Output;
use crate::command::chaos::interruption;
use crate::dev::Part;

/// How long a fault lasts, in seconds: from a blip to long past every limit after which a node counts as dead.
const FAULT_SECONDS: std::ops::RangeInclusive<u64> = 3..=40;

/// How far clocks are set off, in milliseconds: past every leeway, and within what certificates are dated back.
const CLOCK_SHIFT_MILLIS: i64 = 600_000;

/// Between two looks at the nodes.
const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// How long a healed cluster may take until every node is well, on a busy machine.
const WELL_LIMIT: Duration = Duration::from_secs(120);

/// What was done, and what became of the cluster.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Same seed, same faults.
    seed: u64,
    /// Each fault in turn.
    faults: Vec<Episode>,
    /// Whether every node was well after each.
    survived: bool,
}

/// One fault.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Episode {
    /// Seconds since the run began.
    at: f32,
    /// Which node.
    node: String,
    /// What it had.
    fault: String,
    /// For so long, in seconds.
    lasted: f32,
    /// Most of the other nodes that did not work at one look, with the last reason.
    others_ill: usize,
    /// Why, of the last one seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Looks at the others, and those at which all of them worked.
    looks: u32,
    /// See above.
    well_looks: u32,
    /// Seconds from healing until every node was well; absent where that never was.
    well_after: Option<f32>,
}

/// Breaks and mends until the time is over or somebody interrupts; everything is healed in the end.
pub(crate) async fn run(chaos: &Chaos, period: Duration, seed: u64, output: Output) -> Result<()> {
    let names: Vec<String> = chaos.target().places()?.into_iter().map(|place| place.name).collect();
    ensure!(names.len() > 1, "{} has one node: a run needs others to see what a fault does", chaos.target());
    ensure!(
        well(chaos, &names, WELL_LIMIT).await.is_some(),
        "{} is not well to begin with: `mesh status` tells why",
        chaos.target()
    );
    let mut report = Report { seed, faults: Vec::new(), survived: true };
    if output == Output::Table {
        println!("{} nodes, seed {seed}, {} min", names.len(), period.as_secs() / 60);
    }
    let done = tokio::select! {
        done = storm(chaos, &names, period, &mut report, output) => done,
        () = interruption()? => Ok(()),
    };
    chaos.heal(|_| true)?;
    done?;
    tell(&report, output)
}

async fn storm(chaos: &Chaos, names: &[String], period: Duration, report: &mut Report, output: Output) -> Result<()> {
    let mut dice = StdRng::seed_from_u64(report.seed);
    let started = Instant::now();
    while report.survived && started.elapsed() < period {
        let (node, kind, seconds) = draw(&mut dice, names);
        let fault = Fault { node, kind, since: unix_now(), until: None };
        let episode = suffer(chaos, names, fault, Duration::from_secs(seconds), started).await?;
        report.survived = episode.well_after.is_some();
        if output == Output::Table {
            println!("{}", line(&episode));
        }
        report.faults.push(episode);
    }
    Ok(())
}

/// A fault by the dice: as many draws each time, so that a seed is a sequence of faults.
fn draw(dice: &mut StdRng, names: &[String]) -> (String, Kind, u64) {
    let node = names.choose(dice).cloned().unwrap_or_default();
    let other = names.iter().filter(|name| **name != node).collect::<Vec<_>>().choose(dice).map(|name| (*name).clone());
    let seconds = dice.random_range(FAULT_SECONDS);
    let way = *[Way::Both, Way::In, Way::Out].choose(dice).unwrap_or(&Way::Both);
    let from = Vec::from_iter(other.filter(|_| dice.random_bool(0.3)));
    let only = Part::ALL.choose(dice).copied();
    let whole = dice.random_bool(0.5);
    let kind = match dice.random_range(0..6) {
        0 => Kind::Kill { only: only.filter(|_| !whole) },
        1 => Kind::Pause { only: (!whole).then_some(Part::Mesh) },
        2 => Kind::Partition(Cut { from, way }),
        3 => Kind::Loss { cut: Cut { from, way }, per_mille: 50 },
        4 => Kind::SlowDisk { delay_millis: 500 },
        _ => Kind::Clock { ahead_millis: if whole { CLOCK_SHIFT_MILLIS } else { -CLOCK_SHIFT_MILLIS } },
    };
    (node, kind, seconds)
}

async fn suffer(chaos: &Chaos, names: &[String], fault: Fault, lasts: Duration, run: Instant) -> Result<Episode> {
    let at = run.elapsed().as_secs_f32();
    let others: Vec<String> = names.iter().filter(|name| **name != fault.node).cloned().collect();
    let began = Instant::now();
    chaos.begin(&fault)?;
    let (mut looks, mut well_looks, mut others_ill, mut why) = (0, 0, 0, None);
    while began.elapsed() < lasts {
        let ill = ill(chaos, &others).await;
        (looks, well_looks) = (looks + 1, well_looks + u32::from(ill.is_empty()));
        others_ill = others_ill.max(ill.len());
        why = ill.into_iter().last().or(why);
        sleep(LOOK_PERIOD).await;
    }
    chaos.heal(|one| same(one, &fault))?;
    let (lasted, fault_words) = (began.elapsed().as_secs_f32(), fault.kind.to_string());
    let well_after = well(chaos, names, WELL_LIMIT).await.map(|took| took.as_secs_f32());
    Ok(Episode { at, node: fault.node, fault: fault_words, lasted, others_ill, why, looks, well_looks, well_after })
}

/// The nodes that do not work, each with its reason.
async fn ill(chaos: &Chaos, names: &[String]) -> Vec<String> {
    let mut ill = Vec::new();
    for name in names {
        if let Health::Ill(why) = chaos.target().health(name).await {
            ill.push(format!("{name}: {why}"));
        }
    }
    ill
}

/// How long it took until every node was well.
async fn well(chaos: &Chaos, names: &[String], limit: Duration) -> Option<Duration> {
    let began = Instant::now();
    let all_well = async {
        loop {
            let mut all = true;
            for name in names {
                all &= chaos.target().health(name).await == Health::Well;
            }
            if all {
                return;
            }
            sleep(LOOK_PERIOD).await;
        }
    };
    timeout(limit, all_well).await.ok().map(|()| began.elapsed())
}

fn line(episode: &Episode) -> String {
    let Episode { at, node, fault, lasted, looks, well_looks, why, .. } = episode;
    let after = episode.well_after.map_or("NEVER WELL AGAIN".into(), |seconds| format!("well after {seconds:.1} s"));
    let others = match why {
        None => "the others worked throughout".into(),
        Some(why) => format!("all others worked at {well_looks} of {looks} looks ({why})"),
    };
    format!("{at:7.1} s  {node}: {fault} for {lasted:.1} s; {others}; {after}")
}

fn tell(report: &Report, output: Output) -> Result<()> {
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(report)?);
    }
    if !report.survived {
        bail!("the cluster was not well within {WELL_LIMIT:?} of the last fault; again with --seed {}", report.seed);
    }
    if output == Output::Table {
        println!("survived {} faults with seed {}: every node was well after each", report.faults.len(), report.seed);
    }
    Ok(())
}
