//! Writes down what the data plane knows, so that it can start with nobody to ask. Main type: [`Memory`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use net::dataplane::KeptFile;
use parking_lot::Mutex;

use super::knowledge::Knowledge;
use crate::home::{DISK_KEY, Home};
use crate::host::{Error, Next, Rules, Work};

/// Least time between two writes: a rollout changes slices many times a second.
const PACE: Duration = Duration::from_secs(2);

/// How the host treats [`Memory`].
pub(super) fn rules() -> Rules<()> {
    Rules { name: "memory", deadline: Duration::from_secs(60), resync: None }
}

/// See the file's head.
pub(super) struct Memory {
    knowledge: Arc<Knowledge>,
    data_dir: PathBuf,
    /// When, and which version.
    written: Mutex<Option<(Instant, u64)>>,
}

/// The file, once the node has a key to seal it under.
pub(super) fn file(data_dir: &std::path::Path) -> Result<Option<KeptFile>, Error> {
    if !data_dir.exists() {
        return Ok(None);
    }
    Ok(Home::open(data_dir)?.key(DISK_KEY)?.map(|key| KeptFile::new(data_dir, &key)))
}

impl Memory {
    pub(super) fn new(knowledge: Arc<Knowledge>, data_dir: PathBuf) -> Self {
        Self { knowledge, data_dir, written: Mutex::new(None) }
    }

    async fn write(&self) -> Result<Next, Error> {
        let version = *self.knowledge.version.borrow();
        // What was not told to the end would be taken for all after a restart.
        if version == 0 || !*self.knowledge.whole.borrow() {
            return Ok(Next::Done);
        }
        if let Some((at, written)) = *self.written.lock() {
            if written == version {
                return Ok(Next::Done);
            }
            if let Some(rest) = PACE.checked_sub(at.elapsed()).filter(|rest| !rest.is_zero()) {
                return Ok(Next::After(rest));
            }
        }
        let Some(file) = file(&self.data_dir)? else { return Ok(Next::After(PACE)) };
        let kept = self.knowledge.kept();
        tokio::task::spawn_blocking(move || file.save(kept)).await??;
        *self.written.lock() = Some((Instant::now(), version));
        Ok(Next::Done)
    }
}

impl Work for Memory {
    type Key = ();

    fn run(&self, (): ()) -> BoxFuture<'_, Result<Next, Error>> {
        Box::pin(self.write())
    }
}
