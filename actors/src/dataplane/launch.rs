//! Sees to it that a data plane of this build runs beside the control process, and connects to it.
//!
//! It is this program again, in a session of its own, with a log of its own: what ends the control process does not end
//! it. One of another build is asked to end by the one that follows it (`takeover.rs`); what it put into the kernel stays.
//! Where somebody else starts the data plane (`packaging/mesh-dataplane.service`), it is his to start again, unless he does not.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use net::dataplane::{Link, LinkError, Order, connect};
use tokio::process::Command;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::{Settings, build};

/// Name of its log in the data directory.
pub const LOG: &str = "dataplane.log";

/// In the state directory: says that somebody else starts the data plane.
pub const SUPERVISED: &str = "dataplane.supervised";

/// Given to a data plane that the control process starts.
const BY_NODE: &str = "--by-node";

/// A log of this size is put aside at the next start, in bytes: it says little, but for ever.
const LOG_LIMIT: u64 = 16 << 20;

/// How long it may take to answer, or to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take to answer where it follows one of another build: until names are answered, and until that one has ended.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(30);

/// Between two looks for the socket of one that is starting or ending; there is no event to wait for.
pub(super) const LOOK_PERIOD: Duration = Duration::from_millis(20);

/// What follows the name of a program whose file was replaced (proc(5), `/proc/pid/exe`).
const REPLACED: &str = " (deleted)";

/// Why there is no data plane to talk to.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The one that is there cannot be talked to.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// It could not be started.
    #[error("the data plane could not be started")]
    Start(#[source] io::Error),
    /// It ended at once.
    #[error("the data plane ended at once, {status}: see {}", log.display())]
    Ended {
        /// How.
        status: std::process::ExitStatus,
        /// Its log.
        log: PathBuf,
    },
    /// It does not end.
    #[error("the data plane of build {0} does not end; kill it")]
    Stuck(String),
}

/// Connects to the data plane; starts it where none runs, replaces one of another build.
///
/// # Errors
/// [`LaunchError`].
pub async fn connected(settings: &Settings) -> Result<Link, LaunchError> {
    match connect(&settings.state_dir, build()).await {
        Ok(link) if link.build == build() => return Ok(link),
        // The new one ends it, once names are answered by both; where somebody else starts the new one, it has to end first.
        Ok(link) => {
            info!(theirs = link.build, ours = build(), "the data plane is of another build and is replaced");
            if supervised(settings) {
                end(link, &settings.state_dir, false).await?;
            }
        }
        Err(LinkError::Absent(_)) => {}
        Err(error) => return Err(error.into()),
    }
    match started_again(settings).await {
        Some(link) => Ok(link),
        None => start(settings).await,
    }
}

fn supervised(settings: &Settings) -> bool {
    settings.state_dir.join(SUPERVISED).exists()
}

/// The data plane that somebody else starts, if there is such a one and he starts it in time.
async fn started_again(settings: &Settings) -> Option<Link> {
    let supervised = supervised(settings);
    let deadline = Instant::now() + PATIENCE;
    while supervised && Instant::now() < deadline {
        match connect(&settings.state_dir, build()).await {
            Ok(link) if link.build == build() => return Some(link),
            _ => sleep(LOOK_PERIOD).await,
        }
    }
    None
}

/// Asks a data plane to end and waits until it has.
///
/// # Errors
/// [`LaunchError`].
pub async fn end(mut link: Link, state_dir: &Path, remove: bool) -> Result<(), LaunchError> {
    let theirs = link.build.clone();
    link.send(Order::Stop { remove }).await?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if matches!(connect(state_dir, build()).await, Err(LinkError::Absent(_))) {
            return Ok(());
        }
        sleep(LOOK_PERIOD).await;
    }
    Err(LaunchError::Stuck(theirs))
}

async fn start(settings: &Settings) -> Result<Link, LaunchError> {
    let program = program().map_err(LaunchError::Start)?;
    let path = settings.data_dir.join(LOG);
    let log = log(&path).map_err(LaunchError::Start)?;
    let mut command = Command::new(program);
    command.arg("dataplane").arg("--data-dir").arg(&settings.data_dir).arg("--state-dir").arg(&settings.state_dir);
    command.arg(BY_NODE);
    command.stdin(Stdio::null()).stdout(log.try_clone().map_err(LaunchError::Start)?).stderr(log);
    let mut child = command.spawn().map_err(LaunchError::Start)?;
    info!(pid = child.id(), log = %path.display(), "the data plane was started");
    let deadline = Instant::now() + TAKEOVER_LIMIT;
    let link = loop {
        let late = Instant::now() > deadline;
        match connect(&settings.state_dir, build()).await {
            Ok(link) if link.build == build() => break link,
            Ok(old) if late => return Err(LaunchError::Stuck(old.build)),
            Err(LinkError::Absent(_)) if !late => {}
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        if let Some(status) = child.try_wait().map_err(LaunchError::Start)? {
            return Err(LaunchError::Ended { status, log: path });
        }
        sleep(LOOK_PERIOD).await;
    };
    // Somebody has to take note of its end, or it would stay behind as a zombie.
    tokio::spawn(async move {
        match child.wait().await {
            Ok(status) => warn!(%status, "the data plane ended"),
            Err(error) => warn!(%error, "the data plane is lost from sight"),
        }
    });
    Ok(link)
}

/// This program; where its file was replaced by a newer one, that.
fn program() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let name = path.as_os_str().to_string_lossy();
    Ok(name.strip_suffix(REPLACED).map_or(path.clone(), |name| OsString::from(name).into()))
}

fn log(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > LOG_LIMIT) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}
