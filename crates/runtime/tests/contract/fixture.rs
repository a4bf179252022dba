//! A containerd of the test's own, with its own root, state and socket. Main type: [`Host`].

use runtime::{ContainerRuntime, Containerd, ContainerdConfig};
use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// containerd takes 35 ms to start on a quiet machine.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How often we look whether it has started; it tells nobody.
pub(crate) const START_POLL: Duration = Duration::from_millis(20);

/// A running containerd; its end removes all that it started.
pub(crate) struct Host {
    folder: tempfile::TempDir,
    containerd: Child,
}

impl Host {
    /// Starts one; `None`, with a word, where that is not possible.
    pub(crate) async fn start() -> Option<Self> {
        let missing: Vec<&str> =
            ["containerd", "runc", "busybox"].into_iter().filter(|name| find(name).is_none()).collect();
        let is_root = nix::unistd::geteuid().is_root();
        if !is_root || !missing.is_empty() {
            eprintln!("not run: root is {is_root}, missing are {missing:?}");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().display();
        let config = format!(
            "version = 2\nroot = \"{path}/root\"\nstate = \"{path}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n\
             [grpc]\naddress = \"{path}/c.sock\"\n[ttrpc]\naddress = \"{path}/c.sock.ttrpc\"\n"
        );
        fs::write(folder.path().join("config.toml"), config).expect("writes");
        let log = fs::File::create(folder.path().join("containerd.log")).expect("a log");
        let containerd = Command::new("containerd")
            .arg("--config")
            .arg(folder.path().join("config.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("containerd starts");
        let host = Self { folder, containerd };
        let socket = host.socket();
        let up = async {
            while UnixStream::connect(&socket).is_err() {
                // awaited: containerd tells nobody when it listens.
                tokio::time::sleep(START_POLL).await;
            }
        };
        tokio::time::timeout(START_TIMEOUT, up).await.expect("containerd listens");
        Some(host)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("c.sock")
    }

    /// A client that knows nothing of others.
    pub(crate) async fn connect(&self) -> Containerd {
        let config = ContainerdConfig {
            socket: self.socket(),
            // The low-level runtime's own state is beside, by namespace.
            namespace: format!("mesh-test-{}", std::process::id()),
            snapshotter: "overlayfs".into(),
            state: self.folder.path().join("pods"),
            helper: env!("CARGO_BIN_EXE_container-helper").into(),
        };
        Containerd::connect(config).await.expect("connects")
    }

    /// Removes all containers and ends.
    pub(crate) async fn stop(self) {
        let client = self.connect().await;
        for sandbox in client.sandboxes().await.expect("lists") {
            client.remove_sandbox(&sandbox.id).await.expect("removes");
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.containerd.kill();
        let _ = self.containerd.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("containerd.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("containerd said, last first:\n{}", tail.join("\n"));
        }
        end_shims(self.folder.path());
        // Left by the low-level runtime; empty unless a test failed.
        let _ = fs::remove_dir(format!("/run/containerd/runc/mesh-test-{}", std::process::id()));
        unmount(self.folder.path());
    }
}

/// A failed test leaves shims, which leave containers.
fn end_shims(folder: &Path) {
    let path = folder.display().to_string();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        if line.contains("containerd-shim") && line.contains(&path) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

fn unmount(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points =
        mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|point| Path::new(point).starts_with(folder));
    for point in points.collect::<Vec<_>>().into_iter().rev() {
        let _ = nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH);
    }
}

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}
