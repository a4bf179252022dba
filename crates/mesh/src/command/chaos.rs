//! `mesh chaos kill|pause|partition|loss|slow-disk|clock|heal|status|run`.

use std::time::Duration;

use actors::context::unix_now;
use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::status::{age, table};
use crate::chaos::flags::{ChaosCommand, Cluster, Where};
use crate::chaos::{Chaos, Fault, Kind, Target, same, storm};
use crate::cli::Output;

/// Carries out a command that breaks or mends.
pub(crate) async fn run(command: ChaosCommand) -> Result<()> {
    match command {
        ChaosCommand::Fault(command) => {
            let (kind, at) = command.fault();
            make(kind, at).await
        }
        ChaosCommand::Heal { node, cluster } => heal(&open(&cluster)?, node.as_deref()),
        ChaosCommand::Status { output, cluster } => status(&open(&cluster)?, output),
        ChaosCommand::Run { minutes, seed, output, cluster } => {
            let period = Duration::from_secs(minutes.saturating_mul(60));
            storm::run(&open(&cluster)?, period, seed.unwrap_or_else(rand::random), output).await
        }
    }
}

fn open(cluster: &Cluster) -> Result<Chaos> {
    Ok(Chaos::of(Target::choose(&cluster.name, cluster.compose.as_deref(), cluster.yes_break_it)?))
}

async fn make(kind: Kind, at: Where) -> Result<()> {
    let chaos = open(&at.cluster)?;
    let since = unix_now();
    let until = at.period.map(|period| since.saturating_add(i64::try_from(period.as_secs()).unwrap_or(i64::MAX)));
    let fault = Fault { node: chaos.target().name_of(&at.node)?, kind: named(kind, &chaos)?, since, until };
    // Listened to first: from here on an interruption heals.
    let ends = at.period.map(|period| Ok::<_, anyhow::Error>((period, interruption()?))).transpose()?;
    let begun = chaos.begin(&fault);
    if begun.is_err() {
        let _ = chaos.heal(|one| same(one, &fault));
        return begun;
    }
    let Some((period, ends)) = ends else {
        println!("{}: {} until `mesh chaos heal`", fault.node, fault.kind);
        return Ok(());
    };
    println!("{}: {} for {period:?}; Ctrl-C heals it now", fault.node, fault.kind);
    tokio::select! {
        () = sleep(period) => {}
        () = ends => {}
    }
    chaos.heal(|one| same(one, &fault))?;
    println!("{}: {} healed", fault.node, fault.kind.name());
    Ok(())
}

/// With the full names of nodes.
fn named(mut kind: Kind, chaos: &Chaos) -> Result<Kind> {
    if let Kind::Partition(cut) | Kind::Loss { cut, .. } = &mut kind {
        cut.from = cut.from.iter().map(|node| chaos.target().name_of(node)).collect::<Result<_>>()?;
    }
    Ok(kind)
}

/// Ends when somebody wants this command to.
pub(crate) fn interruption() -> Result<impl Future<Output = ()>> {
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

fn heal(chaos: &Chaos, node: Option<&str>) -> Result<()> {
    let node = node.map(|node| chaos.target().name_of(node)).transpose()?;
    let healed = chaos.heal(|fault| node.as_ref().is_none_or(|node| *node == fault.node))?;
    for fault in &healed {
        println!("{}: {} healed", fault.node, fault.kind.name());
    }
    if healed.is_empty() {
        println!("nothing is broken");
    }
    Ok(())
}

fn status(chaos: &Chaos, output: Output) -> Result<()> {
    let faults = chaos.faults()?;
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(&faults)?);
        return Ok(());
    }
    if faults.is_empty() {
        println!("nothing is broken");
        return Ok(());
    }
    let now = unix_now();
    let rows = faults.iter().map(|fault| {
        let left = fault.until.map_or("`mesh chaos heal`".into(), |until| age(until - now));
        vec![fault.node.clone(), fault.kind.to_string(), age(now - fault.since), left]
    });
    println!("{}", table(&["NODE", "FAULT", "SINCE", "LASTS"], rows));
    Ok(())
}
