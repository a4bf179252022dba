//! A command that runs in a container: its streams and its end. Main type: [`Exec`].

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::RuntimeError;

/// A running command. Dropping `exit` before it is done kills it.
pub struct Exec {
    /// Its standard input, if asked for; shutting it down or dropping it ends the input.
    pub stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Its standard output; with a terminal, all output.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Its standard error; none with a terminal.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// To change the size of its terminal.
    pub control: Box<dyn ExecControl>,
    /// Its exit code, once it has ended.
    pub exit: BoxFuture<'static, Result<i32, RuntimeError>>,
}

impl std::fmt::Debug for Exec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exec").finish_non_exhaustive()
    }
}

/// What can be done to a running command.
#[async_trait::async_trait]
pub trait ExecControl: Send + Sync {
    /// Changes the size of its terminal; without one, or after its end, nothing.
    ///
    /// # Errors
    /// When the runtime does not answer.
    async fn resize(&self, size: TerminalSize) -> Result<(), RuntimeError>;
}

/// In characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}
