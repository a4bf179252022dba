//! Who listens while a container prints: what `kubectl attach` shows. Main type: [`Audience`].
//!
//! A listener connects to a socket of the logger, is greeted once it is heard of, and gets, for each part of the output: a byte, 1 for standard output or 2
//! for standard error; its length, four bytes, the highest first; and the part. Since the logger outlives us, a listener
//! can come back after a restart.

use std::{
    fs, io,
    io::Write,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use super::line::Stream;

/// Listeners at once; a further one is refused.
const LISTENERS_MAX: usize = 32;

/// A container waits so long for a listener that takes nothing; then it goes on without that one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes before each part.
pub(crate) const HEAD_BYTES: usize = 5;

/// An empty part of no stream: whoever has it misses nothing that is printed from now on.
const GREETING: [u8; HEAD_BYTES] = [0; HEAD_BYTES];

/// Listeners to one container's output. The socket goes with it.
#[derive(Debug)]
pub(super) struct Audience {
    path: Option<PathBuf>,
    listeners: Arc<Mutex<Vec<UnixStream>>>,
}

impl Audience {
    /// Nobody will ever listen.
    pub(super) fn none() -> Self {
        Self { path: None, listeners: Arc::default() }
    }

    /// Lets people in at `path`, also in the place of an earlier logger.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let _ = fs::remove_file(path);
        let door = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let listeners: Arc<Mutex<Vec<UnixStream>>> = Arc::default();
        let inside = listeners.clone();
        // Ends with the process.
        thread::Builder::new().name("audience".into()).spawn(move || {
            for mut listener in door.incoming().flatten() {
                let mut inside = inside.lock();
                let fits = inside.len() < LISTENERS_MAX && listener.set_write_timeout(Some(PATIENCE)).is_ok();
                if fits && listener.write_all(&GREETING).is_ok() {
                    inside.push(listener);
                }
            }
        })?;
        Ok(Self { path: Some(path.to_owned()), listeners })
    }

    /// Tells all; who does not take it is let go.
    pub(super) fn tell(&self, stream: Stream, part: &[u8]) {
        let mut listeners = self.listeners.lock();
        if listeners.is_empty() || part.is_empty() {
            return;
        }
        let number = match stream {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        };
        let mut told = Vec::with_capacity(HEAD_BYTES + part.len());
        told.push(number);
        told.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        told.extend_from_slice(part);
        listeners.retain_mut(|listener| listener.write_all(&told).is_ok());
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn listeners_hear_all_that_is_told_after_they_were_greeted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/door");
        let audience = Audience::open(&path).expect("opens");
        audience.tell(Stream::Stdout, b"missed");
        let mut listener = UnixStream::connect(&path).expect("connects");
        let mut greeting = [1; HEAD_BYTES];
        listener.read_exact(&mut greeting).expect("is greeted");
        assert_eq!(greeting, GREETING);
        audience.tell(Stream::Stderr, b"heard");
        drop(audience);
        let mut heard = [0; HEAD_BYTES + 5];
        listener.read_exact(&mut heard).expect("hears");
        assert_eq!(&heard, b"\x02\0\0\0\x05heard");
        assert!(!path.exists());
    }
}
