//! Containers: what a kubelet asks of a machine, and who does it.
//!
//! Main type: [`ContainerRuntime`], with two implementations that pass one suite: [`Containerd`] drives containerd's own
//! gRPC API, [`MemoryRuntime`] is the twin for tests of those above. [`log`] holds what containers print. Networks are
//! made elsewhere: a pod's network namespace comes in as a path.

mod archive;
mod cgroup;
mod containerd;
mod error;
mod exec;
mod handler;
mod helper;
mod host;
mod ids;
mod keyed;
mod labels;
pub mod log;
mod memory;
mod oci;
mod pause;
mod pins;
mod pull;
mod registry;
mod spec;
mod state;

pub use archive::ArchiveError;
pub use containerd::{Containerd, ContainerdConfig};
pub use error::RuntimeError;
pub use exec::{Exec, ExecControl, TerminalSize};
pub use handler::{ContainerRuntime, Events, ImageSource, Part};
pub use helper::helper_main;
pub use ids::{ContainerId, SandboxId};
pub use memory::{MemoryRuntime, Program};
pub use pull::{Credentials, PullError, PullSecrets, SecretsError};
pub use spec::{
    ContainerSpec, ExecSpec, Mount, Namespaces, PodRef, Propagation, Resources, Rlimit, SandboxSpec, Seccomp, Security,
    User,
};
pub use state::{Container, ContainerEvent, ContainerState, Exit, Image, ImageConfig, Sandbox, Version};
