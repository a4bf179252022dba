//! Waiting for what another process does: [`eventually`].

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Between two looks at another process's state.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks until `look` succeeds, at most for `limit`.
///
/// # Errors
/// The last look's error, and what was waited for.
pub fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("{what}: not within {limit:?}"));
            }
            // awaited: the state of another process, which tells nobody that it changed
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
