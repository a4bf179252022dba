//! The command line of `mesh chaos`. Main type: [`ChaosCommand`].

use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use clap::{Args, Subcommand, ValueEnum};

use super::{Cut, Kind, Way};
use crate::cli::Output;
use crate::dev::Part;

/// Longest `--for` and longest disk delay, in seconds: a fault of a day is a broken cluster.
const PERIOD_LIMIT: u64 = 86_400;

/// Farthest that a clock may be off, in hours: two years, longer than a certificate lasts.
const CLOCK_LIMIT: u64 = 2 * 8760;

#[derive(Debug, Subcommand)]
pub(crate) enum ChaosCommand {
    #[command(flatten)]
    Fault(FaultCommand),
    /// Undo faults
    Heal {
        /// Of this node only [default: all]
        node: Option<String>,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Show which faults are on
    Status {
        /// How to print
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Break nodes at random, one after the other, and report; fails where the cluster does not get well again
    Run {
        /// How long
        #[arg(long, default_value_t = 5)]
        minutes: u64,
        /// Same seed, same faults [default: a random one, which is printed]
        #[arg(long)]
        seed: Option<u64>,
        /// How to print
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        cluster: Cluster,
    },
}

/// What breaks.
#[derive(Debug, Subcommand)]
pub(crate) enum FaultCommand {
    /// Cut a node's power: no process is left
    Kill {
        /// End this program only
        #[arg(long, value_enum)]
        only: Option<Part>,
        #[command(flatten)]
        at: Where,
    },
    /// Stop a node's control process (SIGSTOP): it answers nobody and closes nothing
    Pause {
        /// Stop this program
        #[arg(long, value_enum, default_value = "mesh", conflicts_with = "all")]
        only: Part,
        /// Stop every process of the node, its pods' too: a machine that hangs
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        at: Where,
    },
    /// Cut a node off from other nodes; whoever runs the cluster still reaches it
    Partition {
        #[command(flatten)]
        cut: CutFlags,
        #[command(flatten)]
        at: Where,
    },
    /// Lose some of the packets between a node and others
    Loss {
        /// How many of a hundred, each way
        #[arg(long, default_value = "5", value_parser = per_mille)]
        percent: u16,
        #[command(flatten)]
        cut: CutFlags,
        #[command(flatten)]
        at: Where,
    },
    /// Make each sync of a node's log take longer
    SlowDisk {
        /// How much: 200ms, 10s
        #[arg(long, default_value = "500ms", value_parser = period)]
        delay: Duration,
        #[command(flatten)]
        at: Where,
    },
    /// Set the clock of a node's control process off, until it is healed or restarts
    Clock {
        /// How far ahead; behind where negative: 10m, -10m, 8760h
        #[arg(long, value_name = "PERIOD", default_value = "10m", value_parser = shift, allow_hyphen_values = true)]
        by: i64,
        #[command(flatten)]
        at: Where,
    },
}

/// Which node, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// As `mesh dev status` shows it; its service's name in a compose project
    pub(crate) node: String,
    /// Undo it after so long, or at Ctrl-C: 30s, 5m [default: leave it on until `mesh chaos heal`]
    #[arg(long = "for", value_name = "PERIOD", value_parser = period)]
    pub(crate) period: Option<Duration>,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

/// Which cluster.
#[derive(Debug, Args)]
pub(crate) struct Cluster {
    /// A cluster of `mesh dev`
    #[arg(long, default_value = "dev")]
    pub(crate) name: String,
    /// A cluster of containers instead: the project of `docker compose`
    #[arg(long, value_name = "PROJECT", conflicts_with = "name")]
    pub(crate) compose: Option<String>,
    /// Break containers that are not labelled for it (mesh.chaos=allowed)
    #[arg(long)]
    pub(crate) yes_break_it: bool,
}

/// Which packets.
#[derive(Debug, Args)]
pub(crate) struct CutFlags {
    /// Only those between it and these nodes [default: all others]
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    from: Vec<String>,
    /// Only those that come in, or those that go out
    #[arg(long, value_enum)]
    one_way: Option<OneWay>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OneWay {
    /// What it would receive
    In,
    /// What it sends
    Out,
}

impl From<CutFlags> for Cut {
    fn from(flags: CutFlags) -> Self {
        let way = match flags.one_way {
            None => Way::Both,
            Some(OneWay::In) => Way::In,
            Some(OneWay::Out) => Way::Out,
        };
        Self { from: flags.from, way }
    }
}

impl FaultCommand {
    /// The fault that it makes, and where.
    pub(crate) fn fault(self) -> (Kind, Where) {
        match self {
            Self::Kill { only, at } => (Kind::Kill { only }, at),
            Self::Pause { only, all, at } => (Kind::Pause { only: (!all).then_some(only) }, at),
            Self::Partition { cut, at } => (Kind::Partition(cut.into()), at),
            Self::Loss { percent, cut, at } => (Kind::Loss { cut: cut.into(), per_mille: percent }, at),
            Self::SlowDisk { delay, at } => {
                let delay_millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                (Kind::SlowDisk { delay_millis }, at)
            }
            Self::Clock { by, at } => (Kind::Clock { ahead_millis: by }, at),
        }
    }
}

/// A part of a hundred, in thousandths.
fn per_mille(text: &str) -> Result<u16> {
    let wrong = || anyhow!("give 0.1 to 100");
    let percent: f64 = text.trim_end_matches('%').parse().map_err(|_| wrong())?;
    ensure!((0.1..=100.0).contains(&percent), wrong());
    // 1 to 1000, as was just checked.
    Ok((percent * 10.0).round() as u16)
}

/// A number with the unit ms, s, m or h.
pub(crate) fn period(text: &str) -> Result<Duration> {
    let known = millis(text).filter(|millis| (1..=PERIOD_LIMIT * 1000).contains(millis)).map(Duration::from_millis);
    known.ok_or_else(|| anyhow!("give a period such as 200ms, 30s or 5m; {PERIOD_LIMIT}s at most"))
}

/// A number with a unit and perhaps a sign, in milliseconds.
fn shift(text: &str) -> Result<i64> {
    let (sign, far) = text.strip_prefix('-').map_or((1, text.strip_prefix('+').unwrap_or(text)), |far| (-1, far));
    let known = millis(far).filter(|millis| (1..=CLOCK_LIMIT * 3_600_000).contains(millis));
    let known = known.and_then(|millis| i64::try_from(millis).ok()).map(|millis| sign * millis);
    known.ok_or_else(|| anyhow!("give how far ahead, such as 10m, or -10m for behind; {CLOCK_LIMIT}h at most"))
}

fn millis(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_and_parts_are_read_and_nonsense_is_refused() {
        let millis = |text| period(text).ok().map(|period| period.as_millis());
        assert_eq!(
            [millis("200ms"), millis("30s"), millis("5m"), millis("24h")].map(Option::unwrap_or_default),
            [200, 30_000, 300_000, 86_400_000]
        );
        for wrong in ["", "5", "s", "0s", "-1s", "1d", "25h", "1.5s", "99999999999999999999h"] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
        let shift = |text| shift(text).ok();
        assert_eq!(
            [shift("10m"), shift("+10m"), shift("-10m"), shift("17520h")].map(Option::unwrap_or_default),
            [600_000, 600_000, -600_000, 63_072_000_000,]
        );
        assert_eq!([shift("0s"), shift("--1s"), shift("-"), shift("17521h")], [None; 4]);
        let part = |text| per_mille(text).ok();
        assert_eq!([part("5"), part("0.5"), part("100"), part("10%")], [50, 5, 1000, 100].map(Some));
        assert_eq!([part("0"), part("101"), part("x"), part("NaN")], [None; 4]);
    }
}
