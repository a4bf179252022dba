//! Reads a container's log as `kubectl logs` shows it. Main type: [`LogReader`].

use std::{io, path::Path, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::{sync::watch, task::spawn_blocking, time::timeout};

use super::{
    LogWatcher,
    chain::{Chain, Step},
    line::{self, ENTRY_BYTES_MAX, Entry, Stream},
};

/// A follower looks by itself so often. Repairs the one case without an event: a logger killed between its last write
/// and a reader's look at its lock.
const RESYNC_PERIOD: Duration = Duration::from_secs(10);

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Wait for more until the container's output ends.
    pub follow: bool,
    /// Start with so many of the last lines.
    pub tail: Option<u64>,
    /// Leave out what is older.
    pub since: Option<Timestamp>,
    /// Put its time before each line.
    pub timestamps: bool,
    /// End after so many bytes.
    pub limit_bytes: Option<u64>,
    /// Only this stream.
    pub stream: Option<Stream>,
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// There is none: the container has not started, or its log was removed.
    #[error("there is no log at {0}")]
    Missing(String),
    /// The disk does not give it.
    #[error("the log cannot be read")]
    Io(#[source] io::Error),
}

/// Reads one log, across its files, and follows it if asked to.
///
/// A logger ends when what is left of its container's process is removed, which
/// [`crate::ContainerRuntime::containers`] does when it finds it ended: a follower ends after that.
#[derive(Debug)]
pub struct LogReader {
    position: Option<Position>,
    changed: Option<watch::Receiver<()>>,
}

impl LogReader {
    /// Opens the log at `path`, the file that is written to.
    ///
    /// # Errors
    /// [`LogError::Missing`] where there is none.
    pub async fn open(path: &Path, options: ReadOptions, watcher: &LogWatcher) -> Result<Self, LogError> {
        let name = path.display().to_string();
        let refuse = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => LogError::Missing(name),
            _ => LogError::Io(error),
        };
        // Watched before it is read, so that no change falls in between.
        let watched = options.follow.then(|| watcher.watch(path.parent().unwrap_or(Path::new("/"))));
        let (path, tail) = (path.to_owned(), options.tail);
        let opened = blocking(move || Chain::open(&path, tail)).await;
        let (changed, chain) = match (watched.transpose(), opened) {
            (Ok(changed), Ok(chain)) => (changed, chain),
            (Err(error), _) | (_, Err(error)) => return Err(refuse(error)),
        };
        Ok(Self { position: Some(Position::new(chain, &options)), changed })
    }

    /// The next lines, some 64 KiB at most. `None` when the log ends: all is read, or when following, when the
    /// container's output has ended.
    ///
    /// # Errors
    /// When the disk fails; the reader is of no use then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, LogError> {
        loop {
            if let Some(changed) = &mut self.changed {
                changed.mark_unchanged();
            }
            let Some(mut position) = self.position.take() else { return Ok(None) };
            let (position, read) =
                blocking(move || position.read().map(|read| (position, read))).await.map_err(LogError::Io)?;
            let Read { output, step } = read;
            let ended = position.is_full() || step == Step::Ended || (step == Step::CaughtUp && self.changed.is_none());
            self.position = (!ended).then_some(position);
            if !output.is_empty() {
                return Ok(Some(output.into()));
            }
            if let (false, Step::CaughtUp, Some(changed)) = (ended, step, &mut self.changed) {
                let _ = timeout(RESYNC_PERIOD, changed.changed()).await;
            }
        }
    }
}

/// Where a reader is, and what it leaves out.
#[derive(Debug)]
struct Position {
    chain: Chain,
    /// Read, but not a whole entry yet.
    unparsed: Vec<u8>,
    /// The next entry starts a line.
    at_line_start: bool,
    since: Option<String>,
    timestamps: bool,
    stream: Option<Stream>,
    left: u64,
}

struct Read {
    output: Vec<u8>,
    step: Step,
}

impl Position {
    fn new(chain: Chain, options: &ReadOptions) -> Self {
        Self {
            chain,
            unparsed: Vec::new(),
            at_line_start: true,
            since: options.since.map(line::format_time),
            timestamps: options.timestamps,
            stream: options.stream,
            left: options.limit_bytes.unwrap_or(u64::MAX),
        }
    }

    fn is_full(&self) -> bool {
        self.left == 0
    }

    fn read(&mut self) -> io::Result<Read> {
        let step = self.chain.step(&mut self.unparsed)?;
        let unparsed = std::mem::take(&mut self.unparsed);
        let (mut output, mut rest) = (Vec::new(), unparsed.as_slice());
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            if let Some(entry) = Entry::parse(&rest[..end]) {
                self.show(&entry, &mut output);
            }
            rest = &rest[end + 1..];
        }
        // More than an entry can have without an end is damage.
        self.unparsed = if rest.len() > ENTRY_BYTES_MAX { Vec::new() } else { rest.to_vec() };
        output.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= output.len() as u64;
        Ok(Read { output, step })
    }

    fn show(&mut self, entry: &Entry<'_>, output: &mut Vec<u8>) {
        let is_old = self.since.as_deref().is_some_and(|since| entry.time < since);
        if is_old || self.stream.is_some_and(|stream| stream != entry.stream) {
            return;
        }
        if self.timestamps && self.at_line_start {
            output.extend_from_slice(entry.time.as_bytes());
            output.push(b' ');
        }
        output.extend_from_slice(entry.content);
        if !entry.partial {
            output.push(b'\n');
        }
        self.at_line_start = !entry.partial;
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
