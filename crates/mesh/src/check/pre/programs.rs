//! Rows about the programs that run containers.

use super::look::version;
use super::{Host, Row};
use crate::check::{Verdict, fail, ok};

/// Oldest containerd whose services Mesh uses.
const CONTAINERD_OLDEST: (u64, u64) = (1, 6);

/// In the order of their lines.
pub(super) const ROWS: &[Row<Host>] =
    &[Row { name: "containerd", judge: containerd }, Row { name: "runc", judge: runc }];

fn containerd(host: &Host) -> Option<Verdict> {
    if !host.runs_pods {
        return None;
    }
    let program = host.program("containerd");
    match (program, program.and_then(version), &host.containerd) {
        (Some(text), Some(found), _) if found < CONTAINERD_OLDEST => {
            fail(text, "take containerd 1.6 or newer: apt-get install -y containerd")
        }
        // Its program may be in another place, or in another container.
        (program, _, Ok(())) => ok(program.unwrap_or("its socket answers")),
        (None, _, Err(why)) => {
            fail(format!("not installed; {why}"), "apt-get install -y containerd, or start mesh with --no-pods")
        }
        (Some(_), _, Err(why)) => {
            fail(why.clone(), "systemctl enable --now containerd, or name its socket with --containerd-socket")
        }
    }
}

fn runc(host: &Host) -> Option<Verdict> {
    match host.program("runc") {
        _ if !host.runs_pods => None,
        Some(text) => ok(text),
        None => fail(
            "not installed",
            "apt-get install -y runc (crun refuses machines with both versions of control groups)",
        ),
    }
}
