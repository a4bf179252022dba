//! Breaks a cluster of five nodes for hours while clients write, read and watch, and judges what they saw:
//! `cargo xtask soak`. Main type: [`Options`]. Same seed, same faults; their effects differ.
//!
//! First the leader is killed again and again, for the figures of fail-over; then machines lose power one after the other, for
//! the figures of withdrawal; then comes about one fault a minute.

mod faults;
mod machines;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cluster::{Api, Dice, Load, Sandbox, Workload, eventually, percentile};
use faults::{FAULTS, Fault};

/// From one fault to the next.
const PERIOD: Duration = Duration::from_secs(60);

/// How long the cluster may take to be whole again after a fault, on a busy machine.
const WHOLE_LIMIT: Duration = Duration::from_secs(120);

/// How long a write may take after a leader was killed before it counts as lost service.
const WRITE_LIMIT: Duration = Duration::from_secs(60);

/// What is asked for.
struct Options {
    nodes: usize,
    hours: f64,
    seed: u64,
    kills: usize,
    machines: usize,
}

/// What came of it, besides what the judge says.
#[derive(Default)]
struct Account {
    faults: Vec<&'static str>,
    failovers: Vec<Duration>,
    withdrawals: Vec<Duration>,
    failed: Vec<String>,
}

fn main() -> ExitCode {
    match options().and_then(|options| soak(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    let mut options = Options { nodes: 5, hours: 1.0, seed: 1, kills: 32, machines: 20 };
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words.next().with_context(|| format!("{name}: give a value"))?;
        let wrong = || format!("{name} {value:?}: give a number");
        match name.as_str() {
            "--nodes" => options.nodes = value.parse().with_context(wrong)?,
            "--hours" => options.hours = value.parse().with_context(wrong)?,
            "--seed" => options.seed = value.parse().with_context(wrong)?,
            "--kills" => options.kills = value.parse().with_context(wrong)?,
            "--machines" => options.machines = value.parse().with_context(wrong)?,
            _ => bail!("{name}: unknown; there are --nodes, --hours, --seed, --kills and --machines"),
        }
    }
    ensure!(options.nodes >= 3, "--nodes {}: give 3 or more, fewer survive nothing", options.nodes);
    Ok(options)
}

fn soak(options: &Options) -> Result<()> {
    let sandbox = Sandbox::start("soak", options.nodes)?;
    let load = Load { pause: Duration::from_millis(40), seed: options.seed, ..Load::default() };
    let workload = sandbox.work(load)?;
    let mut account = Account::default();
    let mut api = workload.api(0);
    whole(&mut api, options.nodes)?;
    let started = Instant::now();
    for _ in 0..options.kills {
        one(&sandbox, &workload, &mut api, &mut Dice::new(0), &FAULTS[0], &mut account);
    }
    account.withdrawals = machines::withdrawals(&sandbox, options.machines)?;
    whole(&mut api, options.nodes)?;
    let mut dice = Dice::new(options.seed);
    let until = Instant::now() + Duration::from_secs_f64(options.hours * 3600.0);
    while Instant::now() < until {
        let next = Instant::now() + PERIOD;
        let fault = *dice.one(FAULTS);
        one(&sandbox, &workload, &mut api, &mut dice, &fault, &mut account);
        // awaited: the next minute
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    println!("{} faults in {:.0?}; judging", account.faults.len(), started.elapsed());
    let report = workload.report()?;
    tell(&account);
    println!("{report}");
    account.failed.extend(report.wrong);
    ensure!(account.failed.is_empty(), "{} breaches:\n- {}", account.failed.len(), account.failed.join("\n- "));
    Ok(())
}

/// One fault, until the cluster is whole again.
fn one(sandbox: &Sandbox, workload: &Workload, api: &mut Api, dice: &mut Dice, fault: &Fault, account: &mut Account) {
    let began = Instant::now();
    let broken = (fault.run)(sandbox, dice, &mut |since| {
        let gap = workload.next_write(since, WRITE_LIMIT)?;
        if fault.is_failover {
            account.failovers.push(gap);
        }
        Ok(())
    });
    let healed = broken.and_then(|()| whole(api, sandbox.names().len()));
    account.faults.push(fault.name);
    let outcome = match &healed {
        Ok(()) => "whole again".to_owned(),
        Err(error) => format!("FAILED: {error:#}"),
    };
    let last =
        account.failovers.last().filter(|_| fault.is_failover).map(|gap| format!(", next write after {gap:.2?}"));
    println!(
        "{:>4} {} {:.1?}: {outcome}{}",
        account.faults.len(),
        fault.name,
        began.elapsed(),
        last.unwrap_or_default()
    );
    account.failed.extend(healed.err().map(|error| format!("after {}: {error:#}", fault.name)));
}

/// Waits until every node is Ready.
fn whole(api: &mut Api, nodes: usize) -> Result<()> {
    eventually("every node is ready", WHOLE_LIMIT, || {
        let answer = api.ask("GET", "/api/v1/nodes", "application/json", "")?;
        let list = answer.json();
        let items = list["items"].as_array().with_context(|| format!("no list: {list}"))?;
        let ready = items.iter().filter(|node| is_ready(node)).count();
        ensure!(ready == nodes, "{ready} of {nodes} nodes are ready");
        Ok(())
    })
}

fn is_ready(node: &serde_json::Value) -> bool {
    let conditions = node["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

fn tell(account: &Account) {
    for fault in FAULTS {
        let count = account.faults.iter().filter(|name| **name == fault.name).count();
        println!("  {count:>4} x {}", fault.name);
    }
    spread("leader killed to next write", &account.failovers);
    spread("machine without power to last failed call", &account.withdrawals);
}

fn spread(what: &str, times: &[Duration]) {
    let [middle, most, nearly, all] = [50, 90, 99, 100].map(|share| percentile(times, share));
    println!("{what}, {} times: p50 {middle:.2?}, p90 {most:.2?}, p99 {nearly:.2?}, longest {all:.2?}", times.len());
}
