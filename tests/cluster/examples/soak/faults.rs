//! What can go wrong: the table [`FAULTS`]. Each breaks something, waits, and mends it again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use cluster::{Dice, Direction, Sandbox, eventually};

/// How long the nodes may take to agree on a leader.
const LEADER_LIMIT: Duration = Duration::from_secs(60);

/// Told when something was broken: waits for the next acknowledged write.
pub(crate) type NextWrite<'a> = dyn FnMut(Instant) -> Result<()> + 'a;

/// A kind of fault.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// Whether the time to the next write is a time of fail-over.
    pub(crate) is_failover: bool,
    pub(crate) run: fn(&Sandbox, &mut Dice, &mut NextWrite<'_>) -> Result<()>,
}

/// All kinds; the first is the one that fail-over is measured with.
pub(crate) const FAULTS: &[Fault] = &[
    Fault { name: "leader killed", is_failover: true, run: kill_leader },
    Fault {
        name: "leader without power",
        is_failover: false,
        run: |sandbox, dice, next| power(sandbox, &leader(sandbox)?, dice, next),
    },
    Fault {
        name: "node without power",
        is_failover: false,
        run: |sandbox, dice, next| power(sandbox, &any(sandbox, dice), dice, next),
    },
    Fault {
        name: "leader stands still",
        is_failover: false,
        run: |sandbox, dice, next| pause(sandbox, &leader(sandbox)?, dice, next),
    },
    Fault {
        name: "node stands still",
        is_failover: false,
        run: |sandbox, dice, next| pause(sandbox, &any(sandbox, dice), dice, next),
    },
    Fault {
        name: "leader cut off",
        is_failover: false,
        run: |sandbox, dice, next| cut(sandbox, &leader(sandbox)?, Direction::Both, dice, next),
    },
    Fault {
        name: "leader hears nobody",
        is_failover: false,
        run: |sandbox, dice, next| cut(sandbox, &leader(sandbox)?, Direction::In, dice, next),
    },
    Fault {
        name: "leader is not heard",
        is_failover: false,
        run: |sandbox, dice, next| cut(sandbox, &leader(sandbox)?, Direction::Out, dice, next),
    },
    Fault {
        name: "node cut off",
        is_failover: false,
        run: |sandbox, dice, next| cut(sandbox, &any(sandbox, dice), Direction::Both, dice, next),
    },
    Fault { name: "two nodes cut apart", is_failover: false, run: partial },
    Fault { name: "packets lost", is_failover: false, run: loss },
    Fault {
        name: "containerd killed",
        is_failover: false,
        run: |sandbox, dice, next| part(sandbox, "containerd", dice, next),
    },
    Fault {
        name: "data plane killed",
        is_failover: false,
        run: |sandbox, dice, next| part(sandbox, "dataplane", dice, next),
    },
    Fault { name: "clock off", is_failover: false, run: clock_off },
    Fault { name: "everything off and on", is_failover: false, run: all_off },
];

fn any(sandbox: &Sandbox, dice: &mut Dice) -> String {
    dice.one(&sandbox.names()).clone()
}

fn leader(sandbox: &Sandbox) -> Result<String> {
    eventually("a leader", LEADER_LIMIT, || {
        sandbox.names().iter().find_map(|node| sandbox.leader(node).ok()).context("no node knows one")
    })
}

fn others(sandbox: &Sandbox, node: &str) -> Vec<String> {
    sandbox.names().into_iter().filter(|name| name != node).collect()
}

/// Lets a fault last from 5 to 20 s.
fn hold(dice: &mut Dice) {
    // awaited: the length of the fault itself
    std::thread::sleep(Duration::from_secs(5 + dice.below(16)));
}

fn kill_leader(sandbox: &Sandbox, _: &mut Dice, next: &mut NextWrite<'_>) -> Result<()> {
    let node = leader(sandbox)?;
    let since = Instant::now();
    sandbox.control_kill(&node)?;
    next(since)?;
    sandbox.dev(&format!("start {node}")).map(drop)
}

fn power(sandbox: &Sandbox, node: &str, dice: &mut Dice, next: &mut NextWrite<'_>) -> Result<()> {
    sandbox.dev(&format!("kill {node}"))?;
    next(Instant::now())?;
    hold(dice);
    sandbox.dev(&format!("start {node}"))?;
    next(Instant::now())
}

fn pause(sandbox: &Sandbox, node: &str, dice: &mut Dice, next: &mut NextWrite<'_>) -> Result<()> {
    sandbox.pause(node)?;
    let served = next(Instant::now());
    hold(dice);
    sandbox.resume(node)?;
    served.and_then(|()| next(Instant::now()))
}

fn cut(sandbox: &Sandbox, node: &str, direction: Direction, dice: &mut Dice, next: &mut NextWrite<'_>) -> Result<()> {
    sandbox.cut(node, &others(sandbox, node), direction)?;
    let served = next(Instant::now());
    hold(dice);
    sandbox.mend()?;
    served.and_then(|()| next(Instant::now()))
}

/// Two nodes do not reach each other; all others reach both.
fn partial(sandbox: &Sandbox, dice: &mut Dice, next: &mut NextWrite<'_>) -> Result<()> {
    let node = leader(sandbox)?;
    let other = dice.one(&others(sandbox, &node)).clone();
    sandbox.cut(&node, &[other], Direction::Both)?;
    let served = next(Instant::now());
    hold(dice);
    sandbox.mend()?;
    served.and_then(|()| next(Instant::now()))
}

fn loss(sandbox: &Sandbox, dice: &mut Dice, next: &mut NextWrite<'_>) -> Result<()> {
    let names = sandbox.names();
    names.iter().try_for_each(|node| sandbox.lose(node, 5))?;
    hold(dice);
    let served = next(Instant::now());
    sandbox.mend()?;
    served
}

fn part(sandbox: &Sandbox, part: &str, dice: &mut Dice, next: &mut NextWrite<'_>) -> Result<()> {
    let node = any(sandbox, dice);
    sandbox.dev(&format!("kill {node} --only {part}"))?;
    next(Instant::now())?;
    hold(dice);
    sandbox.dev(&format!("start {node}")).map(drop)
}

/// Ten minutes ahead or behind, on any node.
fn clock_off(sandbox: &Sandbox, dice: &mut Dice, next: &mut NextWrite<'_>) -> Result<()> {
    let node = any(sandbox, dice);
    sandbox.chaos(&format!("clock {node} --by {}", dice.one(&["10m", "-10m"])))?;
    hold(dice);
    let served = next(Instant::now());
    sandbox.chaos("heal")?;
    served
}

fn all_off(sandbox: &Sandbox, dice: &mut Dice, next: &mut NextWrite<'_>) -> Result<()> {
    for node in sandbox.names() {
        sandbox.dev(&format!("kill {node}"))?;
    }
    // Another order each time.
    let mut names = sandbox.names();
    for place in (1..names.len()).rev() {
        let other = dice.below(u64::try_from(place + 1)?);
        names.swap(place, usize::try_from(other)?);
    }
    // Together: none is ready before most of them run.
    std::thread::scope(|scope| {
        let start = |node: String| scope.spawn(move || sandbox.dev(&format!("start {node}")));
        let starts: Vec<_> = names.into_iter().map(start).collect();
        starts.into_iter().try_for_each(|start| start.join().map_err(|_| anyhow!("a start panicked"))?.map(drop))
    })?;
    next(Instant::now())
}
