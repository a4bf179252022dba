//! The first process of a process namespace that a pod's containers share: it holds the namespace and buries what is orphaned
//! in it. Main items: [`start`], [`end`]; [`hold`] and [`first`] are those processes.
//!
//! `<program> pause <folder>` makes the namespace and its first process, `/pause`, pins the namespace to `<folder>/pid` and
//! ends. `/pause` runs as nobody, without rights, in an empty file system: those who share the namespace see nothing of the
//! host through it. As long as it lives it holds a lock on `<folder>/pause`, which has its number: so it is found again after a
//! restart, and never taken for another process. Spec: pid_namespaces(7), pivot_root(2).

use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        signal::{SigSet, Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Gid, Pid, Uid, chdir, pivot_root, setgroups, setresgid, setresuid},
};

/// The first argument of who makes the namespace.
pub(crate) const WORD: &str = "pause";

/// What the first process is called, by itself and in the lists of the containers.
pub(crate) const NAME: &str = "/pause";

/// Within a sandbox's folder: the pinned namespace, and the file that the first process holds.
pub(crate) const PID: &str = "pid";
pub(crate) const HELD: &str = "pause";

/// Who it runs as: nobody's user and group, as of Kubernetes' own.
const NOBODY: u32 = 65_535;

/// What it says once it has no rights left; anything else is an error, in words.
const READY: &[u8] = b"\n";

/// Longest error that is passed on, in bytes.
const WORDS_MAX: usize = 512;

/// Makes a namespace for the sandbox of this folder. Blocking.
pub(crate) fn start(program: &Path, folder: &Path) -> io::Result<()> {
    let mut command = Command::new(program);
    command.arg(WORD).arg(folder).stdin(Stdio::null()).stdout(Stdio::null());
    let ended = command.stderr(Stdio::piped()).output()?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&ended.stderr).trim().to_owned())),
    }
}

/// Whether the first process lives; `None` where there was to be none.
pub(crate) fn lives(folder: &Path) -> io::Result<Option<bool>> {
    match File::open(folder.join(HELD)) {
        Ok(held) => match held.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(Some(true)),
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(Some(false)),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Ends the first process, and with it all in its namespace. Blocking, until it has ended.
pub(crate) fn end(folder: &Path) -> io::Result<()> {
    if lives(folder)? != Some(true) {
        return Ok(());
    }
    let path = folder.join(HELD);
    let number = fs::read_to_string(&path)?;
    let number =
        number.parse().map_err(|_| io::Error::other("the first process of the pod has yet to tell its number"))?;
    kill(Pid::from_raw(number), Signal::SIGKILL)?;
    File::open(path)?.lock()
}

/// `<program> pause <folder>`.
pub(crate) fn hold(folder: &Path) -> io::Result<()> {
    if !folder.is_absolute() {
        return Err(io::Error::other(format!(
            "{WORD} {folder:?}: give the folder of a sandbox; mesh does that, it is not for people"
        )));
    }
    let held = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(folder.join(HELD))?;
    held.lock()?;
    unshare(CloneFlags::CLONE_NEWPID)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0(NAME).current_dir(folder).stdin(held).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut first = command.spawn()?;
    let mut said = [0; WORDS_MAX];
    let length = first.stdout.take().map_or(Ok(0), |mut out| out.read(&mut said))?;
    if said[..length] != *READY {
        let why = String::from_utf8_lossy(&said[..length]);
        return Err(io::Error::other(format!("the first process of the pod did not start: {why}")));
    }
    let pin = folder.join(PID);
    File::create(&pin)?;
    let namespace = Some("/proc/self/ns/pid_for_children");
    Ok(mount(namespace, &pin, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
}

/// `/pause`: started in the sandbox's folder, holding its file as standard input.
pub(crate) fn first() -> io::Result<()> {
    if std::process::id() != 1 {
        return Err(io::Error::other(format!(
            "{NAME} is the first process of a pod's; mesh starts it, it is not for people"
        )));
    }
    let children = SigSet::from(Signal::SIGCHLD);
    let prepared = children.thread_block().map_err(io::Error::from).and_then(|()| give_up());
    let words = prepared.as_ref().map_or_else(|error| error.to_string().into_bytes(), |()| READY.to_vec());
    io::stdout().write_all(&words)?;
    io::stdout().flush()?;
    prepared?;
    loop {
        children.wait()?;
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status != WaitStatus::StillAlive) {}
    }
}

/// Tells its number, and gives up the host's files and all rights.
fn give_up() -> io::Result<()> {
    let folder = env::current_dir()?;
    // Of the host's, whose `/proc` this still is.
    let number = fs::read_link("/proc/self")?;
    fs::write(folder.join(HELD), number.as_os_str().as_encoded_bytes())?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let (nothing, hidden) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    mount(nothing, "/", nothing, hidden, nothing)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    mount(Some(WORD), &folder, Some("tmpfs"), flags, Some("size=4k,nr_inodes=1"))?;
    chdir(&folder)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    setgroups(&[])?;
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    prctl::set_no_new_privs()?;
    // Nobody may look at its memory or program, or stand in its place.
    Ok(prctl::set_dumpable(false)?)
}
