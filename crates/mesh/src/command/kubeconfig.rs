//! `mesh kubeconfig`.

use anyhow::{Result, ensure};

use crate::admin::{Request, client};
use crate::cli::At;

/// Prints a kubeconfig.
pub(crate) async fn run(server: Option<String>, at: &At) -> Result<()> {
    if let Some(server) = &server {
        ensure!(
            server.starts_with("https://"),
            "--server {server:?}: give https://HOST:PORT, the API speaks nothing else"
        );
    }
    let text: String = client::ask(&at.data_dir, &Request::Kubeconfig { server }).await?;
    print!("{text}");
    Ok(())
}
