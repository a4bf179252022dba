//! A sandbox's namespaces, held by mounts and not by a process: nothing to start, to feed or to kill. Main type: [`Pins`].
//!
//! `<root>/<sandbox>/` has a file for each namespace, bound to it, and the pod's `/dev/shm`. The network namespace comes
//! from elsewhere and is pinned there. A process namespace shared by a pod is the exception: it needs a process ([`pause`]).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
};

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    unistd::sethostname,
};

use crate::{
    SandboxId, SandboxSpec,
    pause::{self, HELD, PID},
};

/// The size of a pod's `/dev/shm`, as every Kubernetes runtime has it.
const SHM_OPTIONS: &str = "size=65536k,mode=1777";

/// Written last; has the boot's id, for hosts whose `/run` survives one.
const MARKER: &str = "made";

const IPC: &str = "ipc";
const UTS: &str = "uts";
const SHM: &str = "shm";

/// All sandboxes' namespaces.
#[derive(Clone, Debug)]
pub(crate) struct Pins {
    root: PathBuf,
    helper: PathBuf,
}

impl Pins {
    /// `root` should be on a file system that a reboot empties; `helper` calls [`crate::helper_main`] first.
    pub(crate) fn new(root: PathBuf, helper: PathBuf) -> Self {
        Self { root, helper }
    }

    /// The process namespace of all containers, where they share one.
    pub(crate) fn pid(&self, id: &SandboxId) -> PathBuf {
        self.folder(id).join(PID)
    }

    pub(crate) fn ipc(&self, id: &SandboxId) -> PathBuf {
        self.folder(id).join(IPC)
    }

    pub(crate) fn uts(&self, id: &SandboxId) -> PathBuf {
        self.folder(id).join(UTS)
    }

    pub(crate) fn shm(&self, id: &SandboxId) -> PathBuf {
        self.folder(id).join(SHM)
    }

    /// Makes what is missing. Blocking.
    pub(crate) fn make(&self, id: &SandboxId, spec: &SandboxSpec) -> io::Result<()> {
        if self.are_there(id) {
            return Ok(());
        }
        self.remove(id)?;
        let folder = self.folder(id);
        fs::create_dir_all(&folder)?;
        if spec.namespaces.shared_pid {
            pause::start(&self.helper, &folder)?;
        }
        let spec = spec.clone();
        // Namespaces are a thread's own: this one takes the new ones and ends with them.
        let made = thread::Builder::new().name("namespaces".into()).spawn(move || in_thread(&folder, &spec))?;
        made.join().map_err(|_| io::Error::other("the thread that makes namespaces panicked"))??;
        fs::write(self.folder(id).join(MARKER), boot_id()?)
    }

    /// Whether all is there that was made.
    pub(crate) fn are_there(&self, id: &SandboxId) -> bool {
        let folder = self.folder(id);
        let marked = fs::read_to_string(folder.join(MARKER)).ok();
        let is_mounted = |name: &&str| {
            let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
            device(&folder.join(name)).is_none_or(|found| Some(found) != device(&folder))
        };
        let lives = || pause::lives(&folder).is_ok_and(|lives| lives != Some(false));
        marked.is_some() && marked == boot_id().ok() && [IPC, UTS, SHM, PID].iter().all(is_mounted) && lives()
    }

    /// Takes it away. Blocking.
    pub(crate) fn remove(&self, id: &SandboxId) -> io::Result<()> {
        let folder = self.folder(id);
        pause::end(&folder)?;
        for name in [IPC, UTS, SHM, PID] {
            match umount2(&folder.join(name), MntFlags::MNT_DETACH) {
                Ok(()) | Err(Errno::ENOENT | Errno::EINVAL) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for name in [MARKER, IPC, UTS, PID, HELD] {
            gone(fs::remove_file(folder.join(name)))?;
        }
        gone(fs::remove_dir(folder.join(SHM)))?;
        gone(fs::remove_dir(folder))
    }

    fn folder(&self, id: &SandboxId) -> PathBuf {
        self.root.join(id.as_str())
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn in_thread(folder: &Path, spec: &SandboxSpec) -> io::Result<()> {
    if let Some(network) = &spec.namespaces.network {
        setns(File::open(network)?, CloneFlags::CLONE_NEWNET)?;
        unshare(CloneFlags::CLONE_NEWUTS)?;
        sethostname(&spec.hostname)?;
        pin(folder, UTS)?;
    }
    if !spec.namespaces.host_ipc {
        unshare(CloneFlags::CLONE_NEWIPC)?;
        pin(folder, IPC)?;
        let shm = folder.join(SHM);
        fs::create_dir_all(&shm)?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("shm"), &shm, Some("tmpfs"), flags, Some(SHM_OPTIONS))?;
    }
    set_kernel(&spec.sysctls)
}

fn pin(folder: &Path, name: &str) -> io::Result<()> {
    let file = folder.join(name);
    File::create(&file)?;
    let namespace = PathBuf::from("/proc/thread-self/ns").join(name);
    Ok(mount(Some(&namespace), &file, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
}

/// What is set belongs to the namespaces of this thread; [`crate::oci::check_sysctls`] has refused everything else.
fn set_kernel(settings: &BTreeMap<String, String>) -> io::Result<()> {
    for (name, value) in settings {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        fs::write(&path, value).map_err(|error| io::Error::new(error.kind(), format!("sysctl {name}: {error}")))?;
    }
    Ok(())
}

fn boot_id() -> io::Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
}
