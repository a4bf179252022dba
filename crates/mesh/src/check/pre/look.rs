//! Reads what a machine says of itself. Nothing is changed, but for ports that are taken for an instant and a file that is written
//! and removed where the data directory is to be. Every program that is asked has [`PATIENCE`].

use std::fs;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use actors::Config;

use super::Host;
use crate::check::machine::{self, Machine};
use crate::check::sync;

/// How long a program may take to say something; it is killed then.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between two looks for its end; a process that ends wakes nobody here.
const LOOK_PERIOD: Duration = Duration::from_millis(5);

/// Most that is read of what a program says, in bytes.
const SAID_LIMIT: u64 = 64 << 10;

/// What the data plane needs of the packet filter; `nft -c` has the kernel check it and take it back.
const TABLE: &str = "table inet mesh-check { map m { type ipv4_addr . inet_service : verdict; }; chain c { type nat hook \
                     prerouting priority -100; numgen random mod 2 0 counter; }; }";

impl Host {
    /// Looks.
    pub(super) fn look(config: &Config) -> Self {
        let number = |path| fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            runs_pods: config.pods,
            root: nix::unistd::geteuid().is_root(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            controllers: ["memory", "cpu", "pids"].map(|name| (name, controller(&mounts, name))).to_vec(),
            filter: said("nft", &["-c", TABLE]).map(drop),
            tun: opens(Path::new("/dev/net/tun")),
            sys_resource: has_sys_resource(&own),
            inotify: number("/proc/sys/fs/inotify/max_user_instances").unwrap_or(0),
            forward_drops: said("nft", &["list", "chain", "ip", "filter", "FORWARD"])
                .is_ok_and(|text| text.contains("policy drop")),
            device: device(&fs::read_to_string("/proc/net/route").unwrap_or_default()),
            programs: ["runc", "containerd", "nft"].map(|name| (name, first_line(name))).to_vec(),
            containerd: UnixStream::connect(&config.containerd.socket)
                .map(drop)
                .map_err(|error| format!("{}: {error}", config.containerd.socket.display())),
            ports: ports(config),
            clock_synced: clock_synced(),
            syncs: sync::measure(machine::nearest(&config.data_dir)),
            machine: Machine::look(&config.data_dir),
        }
    }

    /// What a program says of its version.
    pub(super) fn program(&self, name: &str) -> Option<&str> {
        self.programs.iter().find(|(program, _)| *program == name)?.1.as_deref()
    }
}

fn first_line(program: &str) -> Option<String> {
    said(program, &["--version"]).ok()?.lines().next().map(str::to_owned)
}

/// What a program says, where it ends well and in time; else why not.
fn said(program: &str, words: &[&str]) -> Result<String, String> {
    let spawned =
        Command::new(program).args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| format!("{program}: {error}"))?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(format!("{program} did not end within {PATIENCE:?}"));
            }
            None => sleep(LOOK_PERIOD),
        }
    };
    // What these programs say fits a pipe, so that none of them waits for its reader.
    let read = |from: Option<&mut dyn Read>| {
        let mut text = String::new();
        let _ = from.map(|from| from.take(SAID_LIMIT).read_to_string(&mut text));
        text
    };
    let out = read(child.stdout.as_mut().map(|out| out as &mut dyn Read));
    let err = read(child.stderr.as_mut().map(|err| err as &mut dyn Read));
    let why = || format!("{program}: {}", err.lines().next().unwrap_or("failed without a word"));
    status.success().then_some(out).ok_or_else(why)
}

/// Which version of control groups has this controller, by the mounts.
fn controller(mounts: &str, name: &str) -> Option<u8> {
    mounts.lines().find_map(|mount| {
        let words: Vec<&str> = mount.split(' ').collect();
        let [_, point, kind, options, ..] = words.as_slice() else { return None };
        let offered = || fs::read_to_string(PathBuf::from(point).join("cgroup.controllers")).unwrap_or_default();
        match *kind {
            "cgroup" => options.split(',').any(|option| option == name).then_some(1),
            "cgroup2" => offered().split_whitespace().any(|word| word == name).then_some(2),
            _ => None,
        }
    })
}

fn opens(device: &Path) -> Result<(), String> {
    let opened = fs::OpenOptions::new().read(true).write(true).open(device);
    opened.map(drop).map_err(|error| format!("{}: {error}", device.display()))
}

/// Bit 24 of the effective capabilities, see capabilities(7).
fn has_sys_resource(status: &str) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
    u64::from_str_radix(line.trim(), 16).is_ok_and(|set| set >> 24 & 1 == 1)
}

/// Of the default route in `/proc/net/route`: its second column, the destination, is all zeros.
fn device(routes: &str) -> Option<(String, u32)> {
    let found = routes.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words.next()?)).filter(|(_, destination)| *destination == "00000000")
    });
    let (name, _) = found?;
    let mtu = fs::read_to_string(format!("/sys/class/net/{name}/mtu")).ok()?;
    Some((name.to_owned(), mtu.trim().parse().ok()?))
}

/// Each port with what stands in the way.
fn ports(config: &Config) -> Vec<(String, Option<String>)> {
    let words = |error: std::io::Error| error.to_string();
    let udp = |address| UdpSocket::bind(address).err().map(words);
    let mut ports = vec![
        (format!("TCP {}", config.api_listen.port()), TcpListener::bind(config.api_listen).err().map(words)),
        (format!("UDP {}", config.listen.port()), udp(config.listen)),
    ];
    if config.pods {
        ports.push((format!("UDP {}", config.pods_listen.port()), udp(config.pods_listen)));
    }
    ports
}

/// What the machine's time service says: systemd's word is the kernel's flag, which other services set too.
fn clock_synced() -> Option<bool> {
    let systemd = said("timedatectl", &["show", "--property=NTPSynchronized", "--value"]).ok();
    let chrony = || said("chronyc", &["-n", "tracking"]).ok();
    match systemd.as_deref().map(str::trim) {
        Some("yes") => Some(true),
        Some("no") => Some(false),
        _ => chrony().map(|text| text.lines().any(|line| line.starts_with("Leap status") && line.ends_with("Normal"))),
    }
}

/// The first two numbers in a text: `1.6` of `containerd github.com/... 1.6.20~ds1`.
pub(super) fn version(text: &str) -> Option<(u64, u64)> {
    text.split([' ', 'v']).find_map(|word| {
        let mut numbers = word.split('.').map_while(|part| {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        Some((numbers.next()?, numbers.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_where_programs_put_them() {
        for (text, expect) in [
            ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3", Some((1, 6))),
            ("containerd containerd.io v2.0.1 88aa2f", Some((2, 0))),
            ("6.18.5-generic", Some((6, 18))),
            ("nftables", None),
            ("", None),
        ] {
            assert_eq!(version(text), expect, "{text}");
        }
    }

    #[test]
    fn capabilities_controllers_and_routes_are_read() {
        assert!(has_sys_resource("CapEff:\t000001ffffffffff\n") && !has_sys_resource("CapEff:\t000001fffeffffff\n"));
        assert!(!has_sys_resource(""));
        let mounts = "cgroup /sys/fs/cgroup/memory cgroup rw,nosuid,memory 0 0\nx /y ext4 rw,cpu 0 0\n";
        assert_eq!([controller(mounts, "memory"), controller(mounts, "cpu")], [Some(1), None]);
        let routes = "Iface\tDestination\tGateway\nother\t000011AC\t0\nlo\t00000000\t010200C0\n";
        assert_eq!(device(routes).map(|(name, mtu)| (name, mtu > 0)), Some(("lo".into(), true)));
        assert_eq!(device("Iface\tDestination\nlo\t000011AC\t0\n"), None);
    }

    #[test]
    fn a_program_that_is_not_there_or_fails_or_stays_is_told() {
        assert!(said("no-such-program", &[]).is_err_and(|why| why.contains("no-such-program")));
        assert!(said("sh", &["-c", "echo why >&2; exit 1"]).is_err_and(|why| why == "sh: why"));
        assert!(said("sleep", &["60"]).is_err_and(|why| why.contains("did not end")));
        assert_eq!(said("echo", &["a"]), Ok("a\n".into()));
    }
}
