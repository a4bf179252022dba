//! Rows about a machine that is to become a node. Main type: [`Host`], what [`look`] reads of it; [`kernel`], [`programs`] and
//! [`place`] judge, one file a group. They say what real machines lack, and which package or command helps.

mod kernel;
mod look;
mod place;
mod programs;

use super::machine::Machine;
use super::{Finding, Row, judge};
use actors::Config;

/// What the machine says of itself.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// Whether the node is to run pods; without, it needs less.
    runs_pods: bool,
    /// Whether this is root.
    root: bool,
    /// The kernel's release.
    kernel: String,
    /// Controllers of control groups, each with the version that has it.
    controllers: Vec<(&'static str, Option<u8>)>,
    /// What the packet filter said of a table as the data plane makes it.
    filter: Result<(), String>,
    /// Whether TUN devices can be made.
    tun: Result<(), String>,
    /// Whether `CAP_SYS_RESOURCE` is held.
    sys_resource: bool,
    /// inotify instances a user may have.
    inotify: u64,
    /// Whether packets that are passed on are dropped unless a rule says otherwise.
    forward_drops: bool,
    /// The network device of the default route and its largest packet, in bytes.
    device: Option<(String, u32)>,
    /// Programs, each with the first line of what it says of its version.
    programs: Vec<(&'static str, Option<String>)>,
    /// Whether containerd's socket answers.
    containerd: Result<(), String>,
    /// Ports, each with what stands in the way.
    ports: Vec<(String, Option<String>)>,
    /// Whether something keeps the clock right; `None` where nothing tells.
    clock_synced: Option<bool>,
    /// Microseconds that syncs took where the data directory is to be.
    syncs: Result<Vec<u64>, String>,
    /// Disk, memory, limits.
    machine: Machine,
}

/// All groups, in the order of their lines.
const GROUPS: &[&[Row<Host>]] = &[kernel::ROWS, programs::ROWS, place::ROWS];

/// Every row's line about this machine.
pub(crate) fn before(config: &Config) -> Vec<Finding> {
    all(&Host::look(config))
}

fn all(host: &Host) -> Vec<Finding> {
    GROUPS.iter().flat_map(|rows| judge(rows, host)).collect()
}

#[cfg(test)]
mod tests;
