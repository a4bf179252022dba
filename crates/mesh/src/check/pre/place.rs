//! Rows about the place: ports, clock, disk, memory, open files.

use super::{Host, Row};
use crate::check::{Verdict, fail, here, ok, sync, warn};

/// Files a node may need: sockets of 110 pods' probes and logs, watches, the log's segments.
const FILES_WANTED: u64 = 16_384;

/// In the order of their lines.
pub(super) const ROWS: &[Row<Host>] = &[
    Row { name: "ports", judge: ports },
    Row { name: "clock", judge: clock },
    Row { name: "disk latency", judge: |host| sync::judge(&host.syncs) },
    Row { name: "disk space", judge: |host| here::space(&host.machine) },
    Row { name: "memory", judge: |host| here::memory(&host.machine) },
    Row { name: "open files", judge: files },
];

fn ports(host: &Host) -> Option<Verdict> {
    let taken: Vec<_> =
        host.ports.iter().filter_map(|(port, why)| Some(format!("{port}: {}", why.as_ref()?))).collect();
    if taken.is_empty() {
        let ports: Vec<_> = host.ports.iter().map(|(port, _)| port.as_str()).collect();
        return ok(format!("{} are free; they must be open between all nodes", ports.join(", ")));
    }
    fail(
        taken.join("; "),
        "a node may run here already (`mesh status`); `ss -lntup` tells who listens; --listen, --api-listen and --pods-listen name others",
    )
}

fn clock(host: &Host) -> Option<Verdict> {
    let remedy = "tokens and certificates are judged by the clock: apt-get install -y chrony";
    match host.clock_synced {
        Some(true) => ok("kept right by a time service"),
        Some(false) => warn("kept right by nothing", remedy),
        None => warn("neither timedatectl nor chronyc tells whether it is kept right", remedy),
    }
}

fn files(host: &Host) -> Option<Verdict> {
    let limit = host.machine.files_limit;
    match limit >= FILES_WANTED {
        true => ok(format!("{limit} may be open")),
        false => warn(
            format!("{limit} may be open"),
            format!("ulimit -n {FILES_WANTED}, or LimitNOFILE in mesh.service: pods and watches take them"),
        ),
    }
}
