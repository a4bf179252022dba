//! `mesh down`: ends the control process, then the data plane. What does not run is as good.

use std::path::{Path, PathBuf};
use std::time::Duration;

use actors::dataplane::{build, launch};
use anyhow::{Result, bail};
use net::dataplane::{LinkError, connect};
use tokio::time::{Instant, sleep};

use crate::admin::{Down, Request, client};
use crate::cli::Here;

/// How long the control process may take: requests drain, then leadership is handed over.
const PATIENCE: Duration = Duration::from_secs(45);

/// Between two looks for a process that is ending; it is not our child, so there is no event to wait for.
const LOOK_PERIOD: Duration = Duration::from_millis(20);

/// Ends both.
pub(crate) async fn run(here: Here) -> Result<()> {
    let mut state_dir = here.state_dir;
    match client::running(&here.data_dir).await? {
        true => {
            let down: Down = client::ask(&here.data_dir, &Request::Down).await?;
            ended(down.pid).await?;
            state_dir = down.state_dir;
            println!("node {} is down; it stays a member", down.name);
        }
        false => println!("mesh does not run at {}", here.data_dir.display()),
    }
    end_dataplane(&state_dir).await
}

/// Ends the data plane and takes away what it put into the kernel.
pub(super) async fn end_dataplane(state_dir: &Path) -> Result<()> {
    match connect(state_dir, build()).await {
        Ok(link) => {
            launch::end(link, state_dir, true).await?;
            println!("its data plane is down");
            Ok(())
        }
        Err(LinkError::Absent(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn ended(pid: u32) -> Result<()> {
    let (process, deadline) = (PathBuf::from(format!("/proc/{pid}")), Instant::now() + PATIENCE);
    while process.exists() {
        if Instant::now() >= deadline {
            bail!("mesh (process {pid}) was told to end and still runs after {PATIENCE:?}");
        }
        sleep(LOOK_PERIOD).await;
    }
    Ok(())
}
