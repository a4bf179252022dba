//! `mesh up` and `mesh join`: this process is the node until a signal ends it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use actors::{Config, Entrance, Node, Origin, Stage};
use anyhow::{Context, Result, bail};
use net::Token;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::admin;
use crate::cli::NodeArgs;
use crate::config;

/// `mesh up`.
pub(crate) fn up(args: &NodeArgs) -> Result<()> {
    serve(config::load(args)?, Entrance::Up)
}

/// `mesh join`.
pub(crate) fn join(addresses: &[String], token: &str, replace: bool, args: &NodeArgs) -> Result<()> {
    let config = config::load(args)?;
    let token: Token = token.trim().parse()?;
    let addresses = resolve(addresses)?;
    serve(config, Entrance::Join { addresses, token, replace })
}

fn resolve(addresses: &[String]) -> Result<Vec<SocketAddr>> {
    let mut resolved = Vec::new();
    for address in addresses {
        let found = address.to_socket_addrs();
        resolved.extend(found.with_context(|| format!("{address:?} is not the ADDRESS:PORT of a member"))?);
    }
    Ok(resolved)
}

fn serve(config: Config, entrance: Entrance) -> Result<()> {
    // The only provider in the binary; a second install can only mean that it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = super::long()?;
    let stage = Stage::open(&runtime)?;
    runtime.block_on(run(&stage, config, entrance))
}

async fn run(stage: &Stage, config: Config, entrance: Entrance) -> Result<()> {
    let mut ends = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let socket = config.data_dir.join(admin::SOCKET);
    let node = tokio::select! {
        node = Node::start(stage, config, entrance) => Arc::new(node?),
        _ = ends.0.recv() => bail!("interrupted before the node was up"),
        _ = ends.1.recv() => bail!("terminated before the node was up"),
    };
    tell(&node);
    let admin = admin::server::Server::open(&socket)?;
    let serving = tokio::spawn(admin.run(node.clone()));
    let broken = tokio::select! {
        broken = node.broken() => Some(broken),
        _ = ends.0.recv() => None,
        _ = ends.1.recv() => None,
        left = serving => { left.context("the local commands' server ended")?; None }
    };
    let _ = std::fs::remove_file(&socket);
    info!("stopping");
    node.stop().await;
    match broken {
        Some(broken) => Err(broken.into()),
        None => Ok(()),
    }
}

/// What the person at the terminal needs next.
fn tell(node: &Node) {
    let context = node.context();
    let home = context.config.data_dir.display();
    match node.origin() {
        Origin::Founded(token) => {
            let address = context.config.addresses().first().map(ToString::to_string).unwrap_or_default();
            println!("Node {} founded a cluster. On each further machine run:\n", context.name);
            match std::env::var_os("JOURNAL_STREAM") {
                // The journal is read by more people than may add machines.
                Some(_) => println!("  what `mesh token create` prints here\n"),
                None => println!("  mesh join {address} --token {token}\n"),
            }
            println!(
                "For kubectl:\n\n  mesh kubeconfig --data-dir {home} > kubeconfig && export KUBECONFIG=$PWD/kubeconfig"
            );
        }
        Origin::Joined => println!("Node {} joined the cluster.", context.name),
        Origin::AlreadyMember => {
            println!("Node {} is a member of this cluster already; nothing changed.", context.name)
        }
        Origin::Resumed => println!("Node {} goes on in its cluster.", context.name),
    }
}
