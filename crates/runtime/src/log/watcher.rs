//! Tells when files in a folder change. One inotify instance for all of a process: hosts allow few. Main type: [`LogWatcher`].

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, AsRawFd, RawFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use parking_lot::Mutex;
use tokio::{io::unix::AsyncFd, sync::watch, task::AbortHandle};

/// Folders watched at once: as many logs followed as one node serves; the kernel's own limit is 8,192 at least.
const FOLDERS_MAX: usize = 4096;

/// A handle; clones share the instance, which goes with the last of them.
#[derive(Clone, Debug)]
pub struct LogWatcher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    source: Arc<AsyncFd<Source>>,
    folders: Arc<Mutex<Folders>>,
    reader: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[derive(Debug)]
struct Source(Inotify);

impl AsRawFd for Source {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

type Folders = HashMap<PathBuf, (WatchDescriptor, watch::Sender<()>)>;

impl LogWatcher {
    /// Starts watching; needs a tokio runtime.
    ///
    /// # Errors
    /// When the host allows no further inotify instance (`fs.inotify.max_user_instances`).
    #[expect(deprecated, reason = "the replacement is unsafe, which is forbidden here; a Source owns its descriptor")]
    pub fn new() -> io::Result<Self> {
        let source = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let source = Arc::new(AsyncFd::new(Source(source))?);
        let folders = Arc::new(Mutex::new(Folders::new()));
        let reader = tokio::spawn(read(source.clone(), folders.clone())).abort_handle();
        Ok(Self { shared: Arc::new(Shared { source, folders, reader }) })
    }

    /// Marked as changed whenever a file in the folder was written to, made, renamed or closed.
    ///
    /// # Errors
    /// When the folder is not there, or too many are watched.
    pub fn watch(&self, folder: &Path) -> io::Result<watch::Receiver<()>> {
        let mut folders = self.shared.folders.lock();
        let inotify = &self.shared.source.get_ref().0;
        folders.retain(|_, (descriptor, sender)| {
            let used = sender.receiver_count() > 0;
            if !used {
                // Fails for a folder that was removed, whose watch went with it.
                let _ = inotify.rm_watch(*descriptor);
            }
            used
        });
        if let Some((_, sender)) = folders.get(folder) {
            return Ok(sender.subscribe());
        }
        if folders.len() >= FOLDERS_MAX {
            return Err(io::Error::other(format!("{FOLDERS_MAX} folders are watched already")));
        }
        let events = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF;
        let descriptor = inotify.add_watch(folder, events)?;
        let (sender, receiver) = watch::channel(());
        folders.insert(folder.to_owned(), (descriptor, sender));
        Ok(receiver)
    }
}

async fn read(source: Arc<AsyncFd<Source>>, folders: Arc<Mutex<Folders>>) {
    while let Ok(mut guard) = source.readable().await {
        let Ok(events) = guard.try_io(|source| source.get_ref().0.read_events().map_err(io::Error::from)) else {
            continue;
        };
        let Ok(events) = events else { return };
        let folders = folders.lock();
        for (descriptor, sender) in folders.values() {
            let is_meant = |event: &nix::sys::inotify::InotifyEvent| {
                event.wd == *descriptor || event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW)
            };
            if events.iter().any(is_meant) {
                sender.send_replace(());
            }
        }
    }
}
