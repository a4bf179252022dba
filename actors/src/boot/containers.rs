//! Who runs this node's containers, as the settings say.

use std::error::Error;
use std::sync::Arc;

use runtime::{ContainerRuntime, Containerd, ContainerdConfig};

use super::StartError;
use crate::config::Config;

/// Folder of the containers' part in the state directory.
const STATE: &str = "containers";

/// The runtime of a node that runs pods. It is not asked for anything yet: where containerd does not answer, the node
/// starts all the same, and serves the API.
pub(crate) fn open(config: &Config) -> Result<Option<Arc<dyn ContainerRuntime>>, StartError> {
    if !config.pods {
        return Ok(None);
    }
    let refuse = |error: &dyn Error| StartError::Runtime(chain(error));
    // The binary is also what runs beside containers: `mesh logger`, `mesh pause`.
    let helper = std::env::current_exe().map_err(|error| refuse(&error))?;
    let containerd = ContainerdConfig {
        socket: config.containerd.socket.clone(),
        namespace: config.containerd.namespace.clone(),
        snapshotter: config.containerd.snapshotter.clone(),
        state: config.state_dir.join(STATE),
        helper,
    };
    let containerd = Containerd::open(containerd).map_err(|error| refuse(&error))?;
    Ok(Some(Arc::new(containerd)))
}

/// An error and its causes.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}
