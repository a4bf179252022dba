//! Follows a data plane of another build without a gap in which nobody answers names. Main function: [`lock`].
//!
//! Both answer at the same addresses for a moment (`SO_REUSEPORT`, socket(7)): the kernel shares questions out among them, and
//! gives all to the new one once the old one has ended. Packets between nodes wait meanwhile: the device has one owner.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use net::dataplane::{Link, connect};
use nix::fcntl::{Flock, FlockArg};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::dns::Dns;
use super::launch::{self, LOOK_PERIOD, PATIENCE};
use super::process::{ProcessError, Settings};
use super::{build, words};

/// Name of the lock in the state directory: one data plane a node.
const LOCK: &str = "dataplane.lock";

/// Takes the node's lock. A data plane of another build that has it is asked to end, once `dns` answers beside it.
///
/// # Errors
/// [`ProcessError::Running`] where one of this build has it.
pub(super) async fn lock(settings: &Settings, dns: &Dns) -> Result<Flock<File>, ProcessError> {
    if let Some(lock) = try_lock(settings)? {
        return Ok(lock);
    }
    let running = || ProcessError::Running(settings.state_dir.join(LOCK));
    let old = other(settings).await.ok_or_else(running)?;
    info!(theirs = old.build, ours = build(), "a data plane of another build runs and is followed");
    match timeout(PATIENCE, dns.keep()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => warn!(error = words(error.as_ref()), "names are not answered for a moment"),
        Err(_) => warn!("names are not answered for a moment: it takes too long"),
    }
    launch::end(old, &settings.state_dir, false).await?;
    let deadline = Instant::now() + PATIENCE;
    // It has closed its socket, and has yet to end.
    while Instant::now() < deadline {
        if let Some(lock) = try_lock(settings)? {
            return Ok(lock);
        }
        sleep(LOOK_PERIOD).await;
    }
    Err(running())
}

/// The data plane that runs, if it is of another build.
async fn other(settings: &Settings) -> Option<Link> {
    connect(&settings.state_dir, build()).await.ok().filter(|link| link.build != build())
}

/// `None` where somebody has it.
fn try_lock(settings: &Settings) -> Result<Option<Flock<File>>, ProcessError> {
    let path: PathBuf = settings.state_dir.join(LOCK);
    let io = |source| ProcessError::Io { path: path.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&settings.state_dir).map_err(io)?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(io)?;
    Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock).ok())
}
