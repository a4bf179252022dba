//! Faults on purpose: what breaks a node of a test cluster, how it is kept, and how it is undone. Main type: [`Fault`].
//!
//! What is on lies in a file beside the cluster, so that any later command can undo it. Network faults are made anew from
//! all faults that are on, for every node, each time one comes or goes: nothing has to be remembered about them.
//! A cut or a loss is between nodes only: the machine that runs the cluster (kubectl) still reaches a node that is cut off.

mod compose;
pub(crate) mod flags;
mod hooks;
mod kept;
mod rules;
pub(crate) mod storm;
mod target;

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::dev::Part;
pub(crate) use hooks::Hooks;
use kept::Kept;
pub(crate) use target::{Health, Target};

/// Faults that are on at once; more are a mistake of a script.
const FAULTS_LIMIT: usize = 1000;

/// One thing that is broken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fault {
    /// The node that has it.
    pub(crate) node: String,
    /// What it is.
    pub(crate) kind: Kind,
    /// Since when, in Unix seconds.
    pub(crate) since: i64,
    /// When the command that made it undoes it, in Unix seconds; absent where `mesh chaos heal` must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<i64>,
}

/// Kinds of faults. Each has a row in [`ROWS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    /// The machine, or one program of it, ends at once.
    Kill {
        /// This program only.
        only: Option<Part>,
    },
    /// Programs do not run, and do not end either.
    Pause {
        /// This program only; absent for every process of the node.
        only: Option<Part>,
    },
    /// Packets between nodes are lost.
    Partition(Cut),
    /// Some packets between nodes are lost.
    Loss {
        /// Which packets.
        cut: Cut,
        /// How many of a thousand, each way.
        per_mille: u16,
    },
    /// The log's disk takes its time.
    SlowDisk {
        /// How much longer each sync takes, in milliseconds.
        delay_millis: u64,
    },
    /// The control process's clock is off.
    Clock {
        /// How far ahead of the machine's, in milliseconds; behind where negative.
        ahead_millis: i64,
    },
}

/// Packets between a node and others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cut {
    /// The other nodes; empty for all.
    pub(crate) from: Vec<String>,
    /// Which way.
    pub(crate) way: Way,
}

/// Directions, as the node sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Way {
    /// Both.
    Both,
    /// What it would receive.
    In,
    /// What it sends.
    Out,
}

/// What is known of a kind of fault.
struct Row {
    /// The word that names it.
    name: &'static str,
    /// Whether this is it.
    is: fn(&Kind) -> bool,
    /// Makes it, beyond what [`Chaos::settle`] does from all faults.
    begin: fn(&Target, &Fault) -> Result<()>,
    /// Undoes that.
    end: fn(&Target, &Fault) -> Result<()>,
}

/// The fault table.
const ROWS: &[Row] = &[
    // Power is cut: no process is left and nothing that a reboot ends. Healed by starting what does not run.
    Row { name: "kill", is: |kind| matches!(kind, Kind::Kill { .. }), begin: power_off, end: power_on },
    // SIGSTOP; healed by SIGCONT. Sockets stay open and nobody answers.
    Row { name: "pause", is: |kind| matches!(kind, Kind::Pause { .. }), begin: stop, end: go_on },
    // Packet filter rules in the nodes' network namespaces; healed by making the rules of what is still on.
    Row { name: "partition", is: |kind| matches!(kind, Kind::Partition(_)), begin: settled, end: settled },
    Row { name: "loss", is: |kind| matches!(kind, Kind::Loss { .. }), begin: settled, end: settled },
    // A file that the node reads before each sync; healed by its removal.
    Row { name: "slow-disk", is: |kind| matches!(kind, Kind::SlowDisk { .. }), begin: settled, end: settled },
    // The same file, which the node looks at every half second. Of a process that starts meanwhile the clock is right.
    Row { name: "clock", is: |kind| matches!(kind, Kind::Clock { .. }), begin: settled, end: settled },
];

fn settled(_: &Target, _: &Fault) -> Result<()> {
    Ok(())
}

fn power_off(target: &Target, fault: &Fault) -> Result<()> {
    let Kind::Kill { only } = fault.kind else { return Ok(()) };
    target.power_off(&fault.node, only)
}

fn power_on(target: &Target, fault: &Fault) -> Result<()> {
    target.power_on(&fault.node)
}

fn stop(target: &Target, fault: &Fault) -> Result<()> {
    let Kind::Pause { only } = fault.kind else { return Ok(()) };
    let reached = target.signal(&fault.node, only, Signal::SIGSTOP)?;
    ensure!(reached > 0, "{} runs nothing to pause", fault.node);
    Ok(())
}

fn go_on(target: &Target, fault: &Fault) -> Result<()> {
    // All of them: one that was never stopped does not mind.
    target.signal(&fault.node, None, Signal::SIGCONT).map(drop)
}

impl Kind {
    fn row(&self) -> Result<&'static Row> {
        ROWS.iter().find(|row| (row.is)(self)).with_context(|| format!("{self:?} is in no row"))
    }

    /// The word that names it.
    pub(crate) fn name(&self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// Other nodes that it names.
    fn others(&self) -> &[String] {
        match self {
            Self::Partition(cut) | Self::Loss { cut, .. } => &cut.from,
            _ => &[],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let part =
            |only: &Option<Part>| only.map_or(" of the whole node".into(), |part| format!(" of {}", part.name()));
        match self {
            Self::Kill { only } | Self::Pause { only } => f.write_str(&part(only)),
            Self::Partition(cut) => write!(f, "{cut}"),
            Self::Loss { cut, per_mille } => write!(f, " of {} %{cut}", f64::from(*per_mille) / 10.0),
            Self::SlowDisk { delay_millis } => write!(f, " by {delay_millis} ms a sync"),
            Self::Clock { ahead_millis } => {
                let way = if *ahead_millis < 0 { "behind" } else { "ahead" };
                write!(f, " {} s {way}", ahead_millis.unsigned_abs() as f64 / 1000.0)
            }
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = if self.from.is_empty() { "all others".to_owned() } else { self.from.join(", ") };
        match self.way {
            Way::Both => write!(f, " from {others}"),
            Way::In => write!(f, " of what comes from {others}"),
            Way::Out => write!(f, " of what goes to {others}"),
        }
    }
}

/// The faults of one cluster.
pub(crate) struct Chaos {
    target: Target,
}

impl Chaos {
    /// The faults of this cluster.
    pub(crate) fn of(target: Target) -> Self {
        Self { target }
    }

    /// The cluster.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// What is on.
    ///
    /// # Errors
    /// Where the file that tells it cannot be read.
    pub(crate) fn faults(&self) -> Result<Vec<Fault>> {
        Ok(Kept::open(&self.target.folder())?.faults)
    }

    /// Breaks something. The same kind on the same node takes the place of what was on.
    ///
    /// # Errors
    /// Where a node is not there, or the machine refuses.
    pub(crate) fn begin(&self, fault: &Fault) -> Result<()> {
        let names: BTreeSet<String> = self.target.places()?.into_iter().map(|place| place.name).collect();
        for node in std::iter::once(&fault.node).chain(fault.kind.others()) {
            ensure!(names.contains(node), "{} has no node {node:?}, only {}", self.target, join(&names));
        }
        ensure!(!fault.kind.others().contains(&fault.node), "{} is not cut off from itself", fault.node);
        let mut kept = Kept::open(&self.target.folder())?;
        ensure!(kept.faults.len() < FAULTS_LIMIT, "{FAULTS_LIMIT} faults are on: `mesh chaos heal` first");
        // Written down first: whatever happens next, `heal` knows of it.
        kept.faults.retain(|one| !same(one, fault));
        kept.faults.push(fault.clone());
        kept.save()?;
        self.settle(&kept.faults)?;
        (fault.kind.row()?.begin)(&self.target, fault)
    }

    /// Undoes what is chosen; returns it.
    ///
    /// # Errors
    /// Where the machine refuses; what could not be undone is still on.
    pub(crate) fn heal(&self, chosen: impl Fn(&Fault) -> bool) -> Result<Vec<Fault>> {
        let mut kept = Kept::open(&self.target.folder())?;
        let (healed, left): (Vec<_>, Vec<_>) = kept.faults.iter().cloned().partition(chosen);
        for fault in &healed {
            (fault.kind.row()?.end)(&self.target, fault)?;
        }
        // Also where nothing was kept: whatever a crash left is swept away.
        self.settle(&left)?;
        kept.faults = left;
        kept.save()?;
        Ok(healed)
    }

    /// Makes every node's packet filter and hooks what these faults say.
    fn settle(&self, faults: &[Fault]) -> Result<()> {
        let places = self.target.places()?;
        for place in places.iter().filter(|place| place.namespace.exists()) {
            rules::install(place, &rules::of(place, &places, faults))?;
            Hooks::of(&place.name, faults).write(&place.hooks)?;
        }
        Ok(())
    }
}

/// Whether one takes the other's place.
pub(crate) fn same(one: &Fault, other: &Fault) -> bool {
    one.node == other.node && one.kind.name() == other.kind.name()
}

fn join(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
