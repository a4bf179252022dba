//! `mesh dataplane`: this process is the node's data plane until a signal or the control process ends it.

use actors::Stage;
use actors::dataplane::{Process, Settings};
use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use tracing::debug;

use crate::cli::Here;

/// Threads beside the overlay's own: the data plane waits for the kernel most of the time.
const THREADS: usize = 2;

/// Exit status after `mesh down`, so that systemd leaves it at that (see `packaging/mesh-dataplane.service`).
const REMOVED: i32 = 4;

/// Runs the data plane.
pub(crate) fn run(here: Here, by_node: bool) -> Result<()> {
    // The only provider in the binary; a second install can only mean that it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A session of its own: what ends the terminal, or the process that started this one, is not meant for it.
    if let Err(error) = nix::unistd::setsid() {
        debug!(%error, "it leads its process group already");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .thread_name("dataplane")
        .build()?;
    let runtime = std::sync::Arc::new(runtime);
    let stage = Stage::open(&runtime)?;
    let removed = runtime.block_on(serve(&stage, here, by_node))?;
    if removed {
        std::process::exit(REMOVED);
    }
    Ok(())
}

/// Tells whether the node is to run no data plane any more.
async fn serve(stage: &Stage, here: Here, by_node: bool) -> Result<bool> {
    let mut ends = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // Both may be given relative to where this was started.
    let settings =
        Settings { data_dir: std::path::absolute(here.data_dir)?, state_dir: std::path::absolute(here.state_dir)? };
    let process = Process::start(stage, settings, by_node).await?;
    tokio::select! {
        () = process.asked_to_end() => {}
        _ = ends.0.recv() => {}
        _ = ends.1.recv() => {}
    }
    Ok(process.stop().await)
}
