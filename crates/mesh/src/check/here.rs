//! Rows about the machine: how fast and how full its disk is, memory, open files.

use super::facts::Facts;
use super::machine::Machine;
use super::{Row, Verdict, bytes, high, low, sync};

/// Percent free of the data directory's file system: the kubelet evicts pods below 10 %.
const DISK_LIMITS: (u64, u64) = (10, 3);

/// Percent of the machine's memory that programs could still take.
const MEMORY_LIMITS: (u64, u64) = (10, 3);

/// Percent of the files that mesh may open.
const FILES_LIMITS: (u64, u64) = (70, 95);

/// In the order of their lines.
pub(super) const ROWS: &[Row<Facts>] = &[
    Row { name: "disk latency", judge: |facts| sync::judge(&facts.syncs) },
    Row { name: "disk space", judge: |facts| space(&facts.machine) },
    Row { name: "memory", judge: memory_and_own },
    Row { name: "open files", judge: |facts| files(&facts.machine) },
];

/// Also of a machine that is to become a node.
pub(super) fn space(machine: &Machine) -> Option<Verdict> {
    let percent = (machine.disk_free * 100).checked_div(machine.disk_total)?;
    let figure = format!("{} free of {}", bytes(machine.disk_free), bytes(machine.disk_total));
    low(
        percent,
        DISK_LIMITS,
        figure,
        "free some: `mesh image remove` forgets images; a full disk stops writes, and pods are evicted before",
    )
}

/// Also of a machine that is to become a node.
pub(super) fn memory(machine: &Machine) -> Option<Verdict> {
    let percent = (machine.memory_free * 100).checked_div(machine.memory_total)?;
    let figure = format!("{} available of {}", bytes(machine.memory_free), bytes(machine.memory_total));
    low(percent, MEMORY_LIMITS, figure, "end or move what takes it: the kernel kills processes when there is none left")
}

fn memory_and_own(facts: &Facts) -> Option<Verdict> {
    let verdict = memory(&facts.machine)?;
    let figure = format!("{}; mesh holds {}", verdict.figure, bytes(facts.machine.held));
    Some(Verdict { figure, ..verdict })
}

fn files(machine: &Machine) -> Option<Verdict> {
    let percent = (machine.files.saturating_mul(100)).checked_div(machine.files_limit)?;
    let figure = format!("{} of {}", machine.files, machine.files_limit);
    high(percent, FILES_LIMITS, figure, "raise LimitNOFILE of mesh.service, or `ulimit -n` before mesh starts")
}
