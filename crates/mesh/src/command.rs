//! One file per command.

pub(crate) mod backup;
pub(crate) mod chaos;
mod check;
mod dataplane;
mod dev;
mod down;
mod image;
mod kubeconfig;
mod leave;
mod ping;
mod recover;
mod remove;
mod restore;
pub(crate) mod status;
pub(crate) mod token;
mod up;

use std::sync::Arc;

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};

use crate::cli::{Cli, Command};

/// Carries out a command line.
pub(crate) fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Up(node) => up::up(&node),
        Command::Join { addresses, token, replace, node } => up::join(&addresses, &token, replace, &node),
        Command::Token(token) => short()?.block_on(token::run(token)),
        Command::Status { wait, output, at } => short()?.block_on(status::run(wait, output, &at)),
        Command::Kubeconfig { server, at } => short()?.block_on(kubeconfig::run(server, &at)),
        Command::Image(image) => short()?.block_on(image::run(image)),
        Command::Dev(dev) => short()?.block_on(dev::run(dev)),
        Command::Ping { node, count, interval, at } => short()?.block_on(ping::run(&node, count, interval, &at)),
        Command::Check { pre, output, node } => short()?.block_on(check::run(pre, output, &node)),
        Command::Chaos(chaos) => short()?.block_on(chaos::run(chaos)),
        Command::Down(here) => short()?.block_on(down::run(here)),
        Command::Dataplane { here, by_node } => dataplane::run(here, by_node),
        Command::Remove { node, force, at } => short()?.block_on(remove::run(node, force, &at)),
        Command::Recover { yes_lose_data, at } => recover::run(yes_lose_data, &at),
        Command::Backup { output, force, at } => short()?.block_on(backup::run(output, force, &at)),
        Command::Restore { file, node } => restore::run(&file, &node),
        Command::Leave { drain, at } => short()?.block_on(leave::run(&drain, &at)),
    }
}

/// For a command that asks the running node and ends.
fn short() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// For a node.
fn long() -> Result<Arc<Runtime>> {
    Ok(Arc::new(Builder::new_multi_thread().enable_all().thread_name("mesh").build()?))
}
