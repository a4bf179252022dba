//! A [`Disk`] that is a directory of the machine's file system.
//!
//! Main type: [`FileDisk`]. The directory is 0700, files are 0600, names are plain file names beneath it. An
//! advisory lock keeps a second process out. Files stay open between calls. Leaves out preallocation.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::{collections::HashMap, io, sync::Arc};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use parking_lot::Mutex;

use crate::disk::{Disk, DiskError};
use crate::names;

/// Files kept open: the segments that replication reads at once are fewer.
const OPEN_FILES: usize = 64;

/// A locked directory; unlocked when dropped, or when the process ends however it ends.
#[derive(Debug)]
pub struct FileDisk {
    root: PathBuf,
    directory: File,
    files: Mutex<HashMap<String, Arc<File>>>,
    _lock: Flock<File>,
}

impl FileDisk {
    /// Opens and locks the directory, making it (and its parents) where it is not there.
    ///
    /// # Errors
    /// [`DiskError::Locked`] where another process has it, and the system's.
    pub fn open(root: &Path) -> Result<Self, DiskError> {
        let name = root.display().to_string();
        let failed = |operation| move |error| failure(operation, &root.display().to_string(), error);
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(failed("create directory"))?;
        let directory = File::open(root).map_err(failed("open directory"))?;
        let path = root.join(names::LOCK);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(nix::libc::O_NOFOLLOW);
        let file = options.open(&path).map_err(|error| failure("open", &path.display().to_string(), error))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => DiskError::Locked { directory: root.to_owned() },
            other => failure("lock", &name, other.into()),
        })?;
        Ok(Self { root: root.to_owned(), directory, files: Mutex::default(), _lock: lock })
    }

    fn path(&self, name: &str) -> Result<PathBuf, DiskError> {
        let mut parts = Path::new(name).components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(part)), None) if part == name => Ok(self.root.join(name)),
            _ => Err(DiskError::BadName { name: name.to_owned() }),
        }
    }

    fn file(&self, name: &str) -> Result<Arc<File>, DiskError> {
        let path = self.path(name)?;
        let mut files = self.files.lock();
        if let Some(file) = files.get(name) {
            return Ok(file.clone());
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(nix::libc::O_NOFOLLOW);
        let file = Arc::new(options.open(path).map_err(|error| failure("open", name, error))?);
        keep(&mut files, name, &file);
        Ok(file)
    }
}

impl Disk for FileDisk {
    fn create(&self, name: &str) -> Result<(), DiskError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(self.path(name)?).map_err(|error| failure("create", name, error))?;
        keep(&mut self.files.lock(), name, &Arc::new(file));
        Ok(())
    }

    fn length(&self, name: &str) -> Result<u64, DiskError> {
        self.file(name)?.metadata().map(|data| data.len()).map_err(|error| failure("stat", name, error))
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.file(name)?.write_all_at(bytes, offset).map_err(|error| failure("write", name, error))
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let file = self.file(name)?;
        let mut read = 0;
        while read < buffer.len() {
            match file.read_at(&mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failure("read", name, error)),
            }
        }
        Ok(read)
    }

    fn sync(&self, name: &str) -> Result<(), DiskError> {
        self.file(name)?.sync_data().map_err(|error| failure("sync", name, error))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let mut files = self.files.lock();
        std::fs::rename(self.path(from)?, self.path(to)?).map_err(|error| failure("rename", from, error))?;
        files.remove(to);
        if let Some(file) = files.remove(from) {
            files.insert(to.to_owned(), file);
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        let mut files = self.files.lock();
        files.remove(name);
        std::fs::remove_file(self.path(name)?).map_err(|error| failure("remove", name, error))
    }

    fn list(&self) -> Result<Vec<String>, DiskError> {
        let root = self.root.display().to_string();
        let entries = std::fs::read_dir(&self.root).map_err(|error| failure("list", &root, error))?;
        entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>()
            .map_err(|error| failure("list", &root, error))
    }

    fn sync_directory(&self) -> Result<(), DiskError> {
        self.directory.sync_all().map_err(|error| failure("sync", &self.root.display().to_string(), error))
    }
}

fn keep(files: &mut HashMap<String, Arc<File>>, name: &str, file: &Arc<File>) {
    if files.len() >= OPEN_FILES {
        files.clear();
    }
    files.insert(name.to_owned(), file.clone());
}

fn failure(operation: &'static str, name: &str, source: io::Error) -> DiskError {
    let name = name.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskError::Full { name },
        io::ErrorKind::NotFound => DiskError::NotFound { name },
        io::ErrorKind::AlreadyExists => DiskError::Exists { name },
        _ => DiskError::Io { operation, name, source },
    }
}
