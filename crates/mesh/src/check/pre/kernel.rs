//! Rows about the kernel, and what this process may do with it.

use super::look::version;
use super::{Host, Row};
use crate::check::{Verdict, fail, ok, warn};

/// Oldest kernel: what Debian 11 has.
const KERNEL_OLDEST: (u64, u64) = (5, 10);

/// inotify instances a user may have; programs in pods share them.
const INOTIFY_WANTED: u64 = 256;

/// Bytes of a packet between nodes that carries a pod's 1280: what IPv6, UDP and QUIC put around it, rounded up.
const PACKET_WANTED: u32 = 1400;

/// Bytes without IPv6 around it: less, and pods of different nodes cannot talk at all.
const PACKET_LEAST: u32 = 1346;

/// In the order of their lines.
pub(super) const ROWS: &[Row<Host>] = &[
    Row { name: "user", judge: user },
    Row { name: "kernel", judge: kernel },
    Row { name: "control groups", judge: control_groups },
    Row { name: "packet filter", judge: filter },
    Row { name: "tun", judge: tun },
    Row { name: "capabilities", judge: capabilities },
    Row { name: "inotify", judge: inotify },
    Row { name: "forwarding", judge: forwarding },
    Row { name: "mtu", judge: mtu },
];

fn user(host: &Host) -> Option<Verdict> {
    match (host.root, host.runs_pods) {
        (true, _) => ok("root"),
        (false, false) => ok("not root, which serving the API does not need"),
        (false, true) => fail("not root", "sudo mesh ... (packaging/mesh.service runs it as root), or --no-pods"),
    }
}

fn kernel(host: &Host) -> Option<Verdict> {
    match version(&host.kernel) {
        Some(found) if found >= KERNEL_OLDEST => ok(host.kernel.clone()),
        _ => warn(host.kernel.clone(), "Mesh is tested from Linux 5.10 on: apt-get install -y linux-image-amd64"),
    }
}

fn control_groups(host: &Host) -> Option<Verdict> {
    if !host.runs_pods {
        return None;
    }
    let words = host.controllers.iter().map(|(name, version)| match version {
        Some(version) => format!("{name} v{version}"),
        None => format!("no {name}"),
    });
    let figure = words.collect::<Vec<_>>().join(", ");
    match host.controllers.iter().all(|(_, version)| version.is_some()) {
        true => ok(figure),
        false => fail(
            figure,
            "pods' limits need them: mount -t cgroup2 none /sys/fs/cgroup, or boot with cgroup_enable=memory swapaccount=1",
        ),
    }
}

fn filter(host: &Host) -> Option<Verdict> {
    match &host.filter {
        _ if !host.runs_pods => None,
        Ok(()) => ok(host.program("nft").unwrap_or("nft")),
        Err(why) => {
            let remedy = "Services need it: apt-get install -y nftables; modprobe nf_tables nft_chain_nat nft_numgen";
            fail(why.clone(), if host.root { remedy } else { "look again as root" })
        }
    }
}

fn tun(host: &Host) -> Option<Verdict> {
    match &host.tun {
        _ if !host.runs_pods => None,
        Ok(()) => ok("/dev/net/tun opens"),
        Err(why) => fail(
            why.clone(),
            "pods of different nodes need it: modprobe tun; in a container give it --device /dev/net/tun",
        ),
    }
}

fn capabilities(host: &Host) -> Option<Verdict> {
    if !host.runs_pods {
        return None;
    }
    match host.sys_resource {
        true => ok("CAP_SYS_RESOURCE is there"),
        false => warn(
            "CAP_SYS_RESOURCE is missing",
            "limits stay as they are, and pods cannot be spared when memory runs out: in Docker --cap-add SYS_RESOURCE",
        ),
    }
}

fn inotify(host: &Host) -> Option<Verdict> {
    let figure = format!("{} instances a user", host.inotify);
    match host.inotify >= INOTIFY_WANTED {
        _ if !host.runs_pods => None,
        true => ok(figure),
        false => warn(figure, "programs in pods share them: sysctl -w fs.inotify.max_user_instances=8192"),
    }
}

fn forwarding(host: &Host) -> Option<Verdict> {
    match host.forward_drops {
        _ if !host.runs_pods => None,
        false => ok("packets between pods pass"),
        true => warn(
            "packets that are passed on are dropped (policy of FORWARD, as dockerd sets it)",
            "mesh lets its pods' pass through Docker's chain DOCKER-USER; with another firewall: nft insert rule ip filter FORWARD \
             ip saddr 10.42.0.0/16 accept, and the same with daddr",
        ),
    }
}

fn mtu(host: &Host) -> Option<Verdict> {
    let Some((device, mtu)) = host.device.as_ref() else {
        return warn("no default route", "name the address that the other nodes reach with --advertise IP");
    };
    let figure = format!("{device} takes packets of {mtu} bytes");
    let remedy = format!("pods' packets need {PACKET_WANTED} bytes between nodes: ip link set {device} mtu 1500");
    match *mtu {
        PACKET_WANTED.. => ok(figure),
        _ if !host.runs_pods => ok(figure),
        PACKET_LEAST.. => warn(figure, remedy),
        _ => fail(figure, remedy),
    }
}
