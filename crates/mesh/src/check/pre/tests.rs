//! What each row says of a machine that has everything but one thing.

use super::*;
use crate::check::State;

/// A machine that has everything.
fn well() -> Host {
    Host {
        runs_pods: true,
        root: true,
        kernel: "6.1.0-13-amd64".into(),
        controllers: vec![("memory", Some(2)), ("cpu", Some(2)), ("pids", Some(2))],
        filter: Ok(()),
        tun: Ok(()),
        sys_resource: true,
        inotify: 8192,
        forward_drops: false,
        device: Some(("eth0".into(), 1500)),
        programs: vec![
            ("runc", Some("runc version 1.1.5".into())),
            ("containerd", Some("containerd github.com/containerd/containerd 1.6.20".into())),
            ("nft", Some("nftables v1.0.6".into())),
        ],
        containerd: Ok(()),
        ports: vec![("TCP 6443".into(), None), ("UDP 7443".into(), None), ("UDP 7444".into(), None)],
        clock_synced: Some(true),
        syncs: Ok(vec![1700; 9]),
        machine: Machine {
            disk_free: 50 << 30,
            disk_total: 100 << 30,
            memory_free: 8 << 30,
            memory_total: 16 << 30,
            held: 10 << 20,
            files: 9,
            files_limit: 20_000,
        },
    }
}

/// The rows that are not well after this change, and what their remedies say.
fn check(change: impl FnOnce(&mut Host), expect: &[(&str, State, &str)]) {
    let mut host = well();
    change(&mut host);
    let found: Vec<_> = all(&host).into_iter().filter(|one| one.verdict.state != State::Ok).collect();
    let told: Vec<_> = found.iter().map(|one| (one.name, one.verdict.state)).collect();
    assert_eq!(told, expect.iter().map(|(name, state, _)| (*name, *state)).collect::<Vec<_>>());
    for (finding, (_, _, remedy)) in found.iter().zip(expect) {
        assert!(finding.verdict.remedy.contains(remedy), "{finding:?}");
    }
}

fn without(host: &mut Host, program: &str) {
    host.programs.retain(|(name, _)| *name != program);
}

#[test]
fn each_lack_is_found_by_its_row_and_the_remedy_names_what_helps() {
    use State::{Fail, Warn};
    let refused = || Err("refused".to_owned());
    check(|_| (), &[]);
    check(|host| host.root = false, &[("user", Fail, "sudo")]);
    check(|host| host.kernel = "4.19.0-26-amd64".into(), &[("kernel", Warn, "linux-image")]);
    check(|host| host.controllers[0].1 = None, &[("control groups", Fail, "cgroup_enable=memory")]);
    check(|host| host.filter = refused(), &[("packet filter", Fail, "apt-get install -y nftables")]);
    check(|host| host.tun = refused(), &[("tun", Fail, "modprobe tun")]);
    check(|host| host.sys_resource = false, &[("capabilities", Warn, "SYS_RESOURCE")]);
    check(|host| host.inotify = 128, &[("inotify", Warn, "sysctl -w fs.inotify")]);
    check(|host| host.forward_drops = true, &[("forwarding", Warn, "DOCKER-USER")]);
    check(|host| host.device = Some(("eth1".into(), 1360)), &[("mtu", Warn, "ip link set eth1 mtu 1500")]);
    check(|host| host.device = Some(("eth1".into(), 1280)), &[("mtu", Fail, "ip link set eth1 mtu 1500")]);
    check(|host| host.device = None, &[("mtu", Warn, "--advertise")]);
    check(|host| host.containerd = refused(), &[("containerd", Fail, "systemctl enable --now containerd")]);
    check(|host| without(host, "runc"), &[("runc", Fail, "apt-get install -y runc")]);
    check(|host| host.programs[1].1 = Some("containerd 1.4.13".into()), &[("containerd", Fail, "1.6 or newer")]);
    check(|host| host.ports[1].1 = Some("Address already in use".into()), &[("ports", Fail, "--listen")]);
    check(|host| host.clock_synced = Some(false), &[("clock", Warn, "apt-get install -y chrony")]);
    check(|host| host.clock_synced = None, &[("clock", Warn, "apt-get install -y chrony")]);
    check(|host| host.syncs = Ok(vec![60_000; 9]), &[("disk latency", Warn, "faster")]);
    check(|host| host.syncs = Err("refused".into()), &[("disk latency", Fail, "data directory")]);
    check(|host| host.machine.disk_free = 1 << 30, &[("disk space", Fail, "mesh image remove")]);
    check(|host| host.machine.memory_free = 1 << 30, &[("memory", Warn, "end or move")]);
    check(|host| host.machine.files_limit = 1024, &[("open files", Warn, "ulimit -n")]);
}

#[test]
fn containerd_elsewhere_will_do_and_one_that_is_not_there_is_to_be_installed() {
    check(|host| without(host, "containerd"), &[]);
    let gone = |host: &mut Host| {
        without(host, "containerd");
        host.containerd = Err("no such file".into());
    };
    check(gone, &[("containerd", State::Fail, "apt-get install -y containerd")]);
}

#[test]
fn a_node_without_pods_needs_neither_root_nor_containers() {
    let bare = |host: &mut Host| {
        host.runs_pods = false;
        host.root = false;
        host.programs.clear();
        host.containerd = Err("no such file".into());
        host.filter = Err("no nft".into());
        host.tun = Err("no such file".into());
        host.controllers.clear();
        host.inotify = 1;
    };
    check(bare, &[]);
}

#[test]
fn this_machine_is_looked_at() {
    let found = before(&Config { data_dir: "/none/such".into(), ..Config::default() });
    assert!(found.len() >= 15, "{found:?}");
    for finding in found {
        assert_eq!(finding.verdict.remedy.is_empty(), finding.verdict.state == State::Ok, "{finding:?}");
    }
}
