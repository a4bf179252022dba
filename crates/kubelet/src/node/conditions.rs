//! Capacity, what can be allocated, and conditions of the node. Main function: [`plan`].
//! Spec: <https://kubernetes.io/docs/reference/node/node-status/> and `reserve-compute-resources` beside it.

use std::time::Duration;

use api::{
    meta,
    quantity::{Format, Quantity},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::ResourceList;
use crate::text::later;

/// Free memory below which the node is under pressure, and which is kept from pods; upstream's default.
const MEMORY_FREE_MIN: i64 = 100 << 20;

/// Percentages of the disk and its inodes that are to stay free; upstream's defaults.
const DISK_FREE_PERCENT: i64 = 10;
const INODES_FREE_PERCENT: u64 = 5;

/// Percentage of process ids that are to stay free. Upstream has no default; without any nothing can be repaired.
const PIDS_FREE_PERCENT: u64 = 5;

/// Pressure is told for so long at least, so that pods are not sent to and fro; upstream's number.
const PRESSURE_MIN: Duration = Duration::from_secs(300);

/// How long a runtime that answered may be silent, as it is while it is replaced by a newer one; upstream's number.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Billionths in a unit.
const NANO: i128 = 1_000_000_000;

/// What the machine says of itself.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// CPUs, in thousandths.
    pub cpu_milli: i64,
    /// Bytes of memory.
    pub memory_bytes: i64,
    /// Bytes of the disk that pods write to.
    pub disk_bytes: i64,
    /// Most pods.
    pub pods_max: i64,
    /// Kept for the system, by resource.
    pub reserved: ResourceList,
    /// Bytes of memory free for pods.
    pub memory_bytes_free: i64,
    /// Bytes of that disk that are free.
    pub disk_bytes_free: i64,
    /// Its free inodes and all, where it has them.
    pub inodes: Option<(u64, u64)>,
    /// Process ids in use and all, where known.
    pub pids: Option<(u64, u64)>,
    /// That the runtime does not answer, if so.
    pub runtime_silence: Option<Silence>,
    /// Why the pods' network does not work, if so.
    pub network_error: Option<String>,
}

/// A runtime that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// What came of asking it.
    pub why: String,
    /// When it was first asked in vain.
    pub since: Timestamp,
}

/// What the Node object is to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodePlan {
    /// `status.capacity`.
    pub capacity: ResourceList,
    /// `status.allocatable`.
    pub allocatable: ResourceList,
    /// `status.conditions`, all of them: those of the old ones that are not ours are kept.
    pub conditions: Vec<Value>,
    /// Plan again then: pressure may be over.
    pub wake_at: Option<Timestamp>,
}

/// Capacity, what can be allocated, and conditions. `old` is the `status.conditions` of the Node.
#[must_use]
pub fn plan(facts: &Facts, old: &[Value], now: Timestamp) -> NodePlan {
    let (capacity, allocatable) = resources(facts);
    let mut found = NodePlan { capacity, allocatable, ..NodePlan::default() };
    for pressure in pressures(facts) {
        let stored = old.iter().find(|one| one["type"] == pressure.kind);
        let since = stored
            .filter(|one| one["status"] == "True")
            .and_then(|one| meta::parse_time(one["lastTransitionTime"].as_str()?));
        let kept = since.map(|since| later(since, PRESSURE_MIN)).filter(|until| !pressure.holds && *until > now);
        found.wake_at = [found.wake_at, kept].into_iter().flatten().min();
        let holds = pressure.holds || kept.is_some();
        let (reason, message) = if holds { pressure.bad } else { pressure.good };
        found.conditions.push(condition(stored, pressure.kind, holds, (reason, message), now));
    }
    let stored = old.iter().find(|one| one["type"] == "Ready");
    let patience = patience(facts, stored, now);
    found.wake_at = [found.wake_at, patience].into_iter().flatten().min();
    let errors = errors(facts, patience.is_some());
    let told = match errors.as_slice() {
        [] => ("KubeletReady", "kubelet is posting ready status".to_owned()),
        [one] => ("KubeletNotReady", one.clone()),
        many => ("KubeletNotReady", format!("[{}]", many.join(", "))),
    };
    found.conditions.push(condition(stored, "Ready", errors.is_empty(), (told.0, &told.1), now));
    let own = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"];
    found.conditions.extend(old.iter().filter(|one| !own.iter().any(|kind| one["type"] == *kind)).cloned());
    found
}

fn condition(stored: Option<&Value>, kind: &str, holds: bool, told: (&str, &str), now: Timestamp) -> Value {
    let status = if holds { "True" } else { "False" };
    let same = stored.filter(|one| one["status"] == status);
    let since = same.and_then(|one| one["lastTransitionTime"].as_str()).map_or_else(|| meta::time(now), str::to_owned);
    json!({
        "type": kind, "status": status, "reason": told.0, "message": told.1,
        "lastHeartbeatTime": meta::time(now), "lastTransitionTime": since,
    })
}

/// Until when a ready node counts as ready although its runtime does not answer: what runs goes on meanwhile.
fn patience(facts: &Facts, ready: Option<&Value>, now: Timestamp) -> Option<Timestamp> {
    let was_ready = ready.is_some_and(|one| one["status"] == "True");
    let until = facts.runtime_silence.as_ref().map(|silence| later(silence.since, SILENCE_MAX))?;
    (was_ready && until > now).then_some(until)
}

fn errors(facts: &Facts, patient: bool) -> Vec<String> {
    let silence = facts.runtime_silence.as_ref().filter(|_| !patient);
    let runtime = silence.map(|silence| format!("container runtime is down: {}", silence.why));
    let network = facts.network_error.as_ref().map(|why| {
        format!("container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:{why}")
    });
    runtime.into_iter().chain(network).collect()
}

/// A lack of something.
struct Pressure {
    kind: &'static str,
    holds: bool,
    good: (&'static str, &'static str),
    bad: (&'static str, &'static str),
}

fn pressures(facts: &Facts) -> [Pressure; 3] {
    let disk = facts.disk_bytes_free < facts.disk_bytes / 100 * DISK_FREE_PERCENT;
    let inodes = facts.inodes.is_some_and(|(free, all)| free < all / 100 * INODES_FREE_PERCENT);
    let pids = facts.pids.is_some_and(|(used, all)| all.saturating_sub(used) < all / 100 * PIDS_FREE_PERCENT);
    [
        Pressure {
            kind: "MemoryPressure",
            holds: facts.memory_bytes_free < MEMORY_FREE_MIN,
            good: ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            bad: ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
        },
        Pressure {
            kind: "DiskPressure",
            holds: disk || inodes,
            good: ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            bad: ("KubeletHasDiskPressure", "kubelet has disk pressure"),
        },
        Pressure {
            kind: "PIDPressure",
            holds: pids,
            good: ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            bad: ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
        },
    ]
}

/// Capacity, and what of it pods may have: all but what is reserved and what is to stay free.
fn resources(facts: &Facts) -> (ResourceList, ResourceList) {
    let units = |count: i64, format| Quantity::from_nanos(i128::from(count) * NANO, format);
    let kept = |amount| units(amount, Format::BinarySi);
    let cpu = Quantity::from_nanos(i128::from(facts.cpu_milli) * (NANO / 1_000), Format::DecimalSi);
    let rows = [
        ("cpu", cpu, kept(0)),
        ("memory", units(facts.memory_bytes / 1_024 * 1_024, Format::BinarySi), kept(MEMORY_FREE_MIN)),
        (
            "ephemeral-storage",
            units(facts.disk_bytes / 1_024 * 1_024, Format::BinarySi),
            kept(facts.disk_bytes / 100 * DISK_FREE_PERCENT),
        ),
        ("pods", units(facts.pods_max, Format::DecimalSi), kept(0)),
    ];
    let (mut capacity, mut allocatable) = (ResourceList::new(), ResourceList::new());
    for (name, all, kept) in rows {
        let reserved = crate::resources::quantity(&facts.reserved, name);
        let rest = reserved.iter().chain([&kept]).fold(all.clone(), |rest, taken| rest.minus(taken));
        let rest = if rest.nanos() < 0 { units(0, Format::DecimalSi) } else { rest };
        capacity.insert(name.to_owned(), all.to_string().into());
        allocatable.insert(name.to_owned(), rest.to_string().into());
    }
    (capacity, allocatable)
}
