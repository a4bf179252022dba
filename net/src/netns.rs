//! Network namespaces: held open, entered by threads of their own, kept alive by a mount (network_namespaces(7)).
//!
//! Main type: [`Namespace`]. A thread that has entered another namespace is never handed back to a pool.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    thread,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    sys::statfs::{NSFS_MAGIC, statfs},
};

/// The calling thread's own.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace, held open.
#[derive(Debug)]
pub(crate) struct Namespace(File);

impl Namespace {
    /// The one that the calling thread is in.
    pub(crate) fn current() -> io::Result<Self> {
        File::open(OWN).map(Self)
    }

    /// The one that is mounted here; `None` where nothing is, or something else, as after a reboot.
    pub(crate) fn mounted(path: &Path) -> io::Result<Option<Self>> {
        match statfs(path) {
            Ok(found) if found.filesystem_type() == NSFS_MAGIC => File::open(path).map(|file| Some(Self(file))),
            Ok(_) | Err(nix::errno::Errno::ENOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves the calling thread into this namespace, for good.
    pub(crate) fn enter(&self) -> io::Result<()> {
        Ok(setns(&self.0, CloneFlags::CLONE_NEWNET)?)
    }

    /// For the kernel.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Moves the calling thread into a new namespace and mounts that there; returns it.
pub(crate) fn create(path: &Path) -> io::Result<Namespace> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    mount(Some(OWN), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    Namespace::current()
}

/// Ends the mount and removes its file; none is as good. The namespace ends with the last process in it.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    unmount(path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Runs a job on a thread of its own, which may enter namespaces as it likes.
pub(crate) fn apart<T: Send>(job: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("netns".into()).spawn_scoped(scope, job)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    })
}

/// Makes a directory for such mounts. It is a shared mount of its own, so that a mount namespace which saw them
/// come sees them go as well, and holds none of them alive; as iproute2 does it.
pub(crate) fn prepare_directory(path: &Path) -> io::Result<PathBuf> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let path = path.canonicalize()?;
    if !is_mount_point(&path)? {
        mount(Some(&path), &path, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
        mount(None::<&str>, &path, None::<&str>, MsFlags::MS_SHARED | MsFlags::MS_REC, None::<&str>)?;
    }
    Ok(path)
}

/// Undoes [`prepare_directory`].
pub(crate) fn remove_directory(path: &Path) -> io::Result<()> {
    unmount(path)?;
    fs::remove_dir(path)
}

fn unmount(path: &Path) -> io::Result<()> {
    match umount2(path, MntFlags::MNT_DETACH) {
        // Neither a mount nor there at all.
        Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether something is mounted right there (proc(5), mountinfo: the fifth word, octal for what is no letter).
fn is_mount_point(path: &Path) -> io::Result<bool> {
    let escape = |byte: &u8| match byte {
        b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
        byte => vec![*byte],
    };
    let wanted: Vec<u8> = path.as_os_str().as_encoded_bytes().iter().flat_map(escape).collect();
    let mounts = fs::read("/proc/thread-self/mountinfo")?;
    let mut points = mounts.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    Ok(points.any(|point| point == wanted))
}
