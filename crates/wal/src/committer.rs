//! Group commit: a thread that syncs the log and tells those who wait.
//!
//! Main type: [`Committer`]. While one sync runs, changes gather; the next sync takes them all. Simulations do
//! without it and call [`Log::sync`].

use std::{collections::VecDeque, io, sync::Arc, thread::JoinHandle, time::Duration};

use parking_lot::{Condvar, Mutex};

use crate::log::{Log, Position, SyncError};

/// How long a full disk is left alone before the next try: soon enough that nobody notices room being made.
const FULL_RETRY: Duration = Duration::from_millis(100);

/// Told once, from the committer's thread or the caller's: keep it short.
pub type Callback = Box<dyn FnOnce(Result<(), SyncError>) + Send>;

/// Owns the thread; dropping it syncs what waits and ends the thread.
#[derive(Debug)]
pub struct Committer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    log: Arc<Log>,
    /// Bounded by the log's `pending_bytes`: each waits for a change that is not durable.
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("log", &self.log).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Queue {
    /// In no order: callers race between change and call.
    waiting: VecDeque<(Position, Callback)>,
    stop: bool,
}

impl Committer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system's, where it gives no thread.
    pub fn start(log: Arc<Log>) -> io::Result<Self> {
        let shared = Arc::new(Shared { log, queue: Mutex::default(), changed: Condvar::new() });
        let runner = shared.clone();
        let thread = std::thread::Builder::new().name("wal-commit".into()).spawn(move || runner.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Calls back once `position` is durable or the log has failed. A full disk delays the call until there is room;
    /// see [`Log::is_full`].
    pub fn when_durable(&self, position: Position, callback: Callback) {
        if position <= self.shared.log.durable() {
            return callback(Ok(()));
        }
        self.shared.queue.lock().waiting.push_back((position, callback));
        self.shared.changed.notify_one();
    }

    /// Waits until `position` is durable.
    ///
    /// # Errors
    /// [`SyncError`]
    pub fn wait(&self, position: Position) -> Result<(), SyncError> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.when_durable(position, Box::new(move |result| drop(sender.send(result))));
        receiver.recv().unwrap_or_else(|_| Err(SyncError::Failed("the commit thread ended".into())))
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared.queue.lock().stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let stop = {
                let mut queue = self.queue.lock();
                while queue.waiting.is_empty() && !queue.stop {
                    self.changed.wait(&mut queue);
                }
                queue.stop
            };
            match self.log.sync() {
                Ok(durable) => self.tell(|position| position <= durable, &Ok(())),
                Err(SyncError::Full) if !stop => self.rest(),
                Err(error) => self.tell(|_| true, &Err(error)),
            }
            if stop {
                return;
            }
        }
    }

    /// Calls those whose position is meant, outside the lock.
    fn tell(&self, meant: impl Fn(Position) -> bool, result: &Result<(), SyncError>) {
        let waiting = std::mem::take(&mut self.queue.lock().waiting);
        let (told, left): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(position, _)| meant(*position));
        self.queue.lock().waiting.extend(left);
        for (_, callback) in told {
            callback(result.clone());
        }
    }

    fn rest(&self) {
        let mut queue = self.queue.lock();
        if !queue.stop {
            self.changed.wait_for(&mut queue, FULL_RETRY);
        }
    }
}
