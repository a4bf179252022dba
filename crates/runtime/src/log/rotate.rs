//! A log file that is put aside when it is full. Main type: [`RotatingFile`].
//!
//! `0.log` is written to; `0.log.1`, `0.log.2` and so on were full, the highest number last. Numbers only rise, so that a
//! reader never meets another file under a name it has seen. Who writes holds a lock on `0.log`: a reader that finds it
//! free knows that nothing more will come.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// How often and how long a writer tries: an earlier one that has lost its container ends within milliseconds.
const LOCK_PERIOD: Duration = Duration::from_millis(20);
const LOCK_TRIES: usize = 100;

/// What containers print is for this host's administrators.
const FILE_MODE: u32 = 0o640;

/// Writes entries and puts full files aside.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    /// A file is put aside before it grows past this.
    bytes_max: u64,
    /// Files kept, with the one being written.
    files_max: usize,
    file: File,
    size: u64,
    /// The last write stopped within an entry, as a full disk does it.
    torn: bool,
}

impl RotatingFile {
    /// Opens the file, with its folders, and locks it. Another process that writes to it has a moment to end.
    pub(super) fn open(path: PathBuf, bytes_max: u64, files_max: usize) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).read(true).mode(FILE_MODE).open(&path)?;
        lock(&file)?;
        let size = file.metadata()?.len();
        Ok(Self { path, bytes_max, files_max, file, size, torn: false })
    }

    /// Appends whole entries. After an error they may be lost in part; the next write starts on a line of its own.
    pub(super) fn write(&mut self, entries: &[u8]) -> io::Result<()> {
        if self.size > 0 && self.size + entries.len() as u64 > self.bytes_max {
            self.rotate()?;
        }
        if self.torn {
            self.file.write_all(b"\n")?;
        }
        let written = self.file.write_all(entries);
        self.torn = written.is_err();
        self.size = self.file.metadata()?.len();
        written
    }

    /// Makes the next file before it gives up the full one, so that at every moment one of them is locked.
    fn rotate(&mut self) -> io::Result<()> {
        let next = suffixed(&self.path, "next");
        let file = OpenOptions::new().create(true).truncate(true).write(true).read(true).mode(FILE_MODE).open(&next)?;
        file.lock()?;
        let rotated = rotated(&self.path)?;
        let sequence = rotated.last().map_or(1, |last| last + 1);
        let surplus = (rotated.len() + 2).saturating_sub(self.files_max);
        for old in rotated.iter().take(surplus) {
            fs::remove_file(numbered(&self.path, *old))?;
        }
        fs::rename(&self.path, numbered(&self.path, sequence))?;
        fs::rename(&next, &self.path)?;
        (self.file, self.size, self.torn) = (file, 0, false);
        Ok(())
    }
}

impl Drop for RotatingFile {
    fn drop(&mut self) {
        // A close is announced before it frees the lock; readers that it wakes must find the lock free already.
        let _ = self.file.unlock();
    }
}

/// The numbers of the files put aside, rising.
pub(super) fn rotated(path: &Path) -> io::Result<Vec<u64>> {
    let Some((folder, name)) = path.parent().zip(path.file_name().and_then(|name| name.to_str())) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?.file_name();
        let number: Option<u64> =
            entry.to_str().and_then(|entry| entry.strip_prefix(name)?.strip_prefix('.')?.parse().ok());
        found.extend(number);
    }
    found.sort_unstable();
    Ok(found)
}

/// The name of a file put aside.
pub(super) fn numbered(path: &Path, number: u64) -> PathBuf {
    suffixed(path, &number.to_string())
}

fn lock(file: &File) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PERIOD),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("another container writes to this log; give each attempt its own"))
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_are_put_aside_and_the_oldest_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pod/0.log");
        let mut file = RotatingFile::open(path.clone(), 10, 3).expect("opens");
        for text in ["aaaaaaaa\n", "bbbb\n", "cccc\n", "dddd\n", "eeeeeeee\n"] {
            file.write(text.as_bytes()).expect("writes");
        }
        assert_eq!(rotated(&path).expect("lists"), [2, 3].as_slice()[..].to_vec());
        let text = |path: &Path| fs::read_to_string(path).expect("reads");
        assert_eq!(text(&numbered(&path, 2)), "bbbb\ncccc\n");
        assert_eq!(text(&path), "eeeeeeee\n");
    }

    #[test]
    fn the_file_is_locked_while_it_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("0.log");
        let mut file = RotatingFile::open(path.clone(), 4, 5).expect("opens");
        let locked = || File::open(&path).expect("opens").try_lock_shared().is_err();
        assert!(locked());
        file.write(b"aaa\n").expect("writes");
        file.write(b"bbb\n").expect("writes");
        assert!(locked(), "also after a rotation");
        drop(file);
        assert!(!locked());
    }
}
