//! One suite for all runtimes, and what only real containers can show.
//!
//! The real ones need root, containerd, runc and busybox; `cargo xtask test` installs those. Without them the suite runs
//! over the twin only, and says so.

mod fixture;
mod image;
mod pulls;
mod real;
mod registry;
mod suite;

use runtime::{ContainerRuntime, ImageConfig, MemoryRuntime};
use std::sync::Arc;

#[tokio::test]
async fn the_twin_keeps_the_contract() {
    let twin = MemoryRuntime::default();
    twin.add_image("mesh.test/busybox:1", ImageConfig::default());
    suite::teach(&twin);
    suite::all(Arc::new(twin.clone()), Arc::new(twin)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containerd_keeps_the_contract() {
    let Some(host) = fixture::Host::start().await else { return };
    let first = host.connect().await;
    first.import(&image::write(host.folder())).await.expect("imports");
    // A second client has seen nothing of what the first does.
    suite::all(Arc::new(first), Arc::new(host.connect().await)).await;
    host.stop().await;
}
