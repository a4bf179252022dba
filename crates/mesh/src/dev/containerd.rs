//! A node's containerd: its settings, and what it leaves outside of its folders.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes its configuration. CRI is not ours: we drive containerd directly.
pub(super) fn configure(file: &Path, root: &Path, state: &Path, socket: &Path) -> Result<()> {
    let text = format!(
        "version = 2\n\
         root = {root:?}\n\
         state = {state:?}\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
         [grpc]\n  address = {socket:?}\n\
         [ttrpc]\n  address = \"{}.ttrpc\"\n",
        socket.display()
    );
    fs::write(file, text).with_context(|| file.display().to_string())
}

/// Removes the sockets of shims that were killed; they lie in a folder that all containerds of a machine share.
pub(super) fn remove_shim_sockets(state: &Path) {
    let tasks = state.join("io.containerd.runtime.v2.task");
    let bundles = folders(&tasks).into_iter().flat_map(|namespace| folders(&namespace));
    for bundle in bundles {
        let address = fs::read_to_string(bundle.join("address")).unwrap_or_default();
        if let Some(socket) = address.trim().strip_prefix("unix://") {
            // It may be gone already, which is all that is wanted.
            let _ = fs::remove_file(socket);
        }
    }
}

fn folders(path: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(path).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}
