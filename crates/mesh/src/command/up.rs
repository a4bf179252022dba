//! `mesh up` and `mesh join`: this process is the node until a signal ends it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actors::{Config, Entrance, Node, Origin, Stage};
use anyhow::{Context, Result, anyhow, bail};
use net::Token;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::admin::{self, server::Farewell};
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
    // It looks at every heartbeat: a task does that where the heartbeat is at home, this thread would be woken for it.
    let watched = node.clone();
    let broken = tokio::spawn(async move { watched.broken().await });
    let end = tokio::select! {
        broken = broken => End::Broken(broken.map_or_else(Into::into, Into::into)),
        error = removed(&node) => End::Removed(error),
        _ = ends.0.recv() => End::Asked,
        _ = ends.1.recv() => End::Asked,
        farewell = serving => match farewell.context("the local commands' server ended")? {
            Farewell::Left => End::Left,
            Farewell::Down => End::Asked,
        },
    };
    let _ = std::fs::remove_file(&socket);
    info!("stopping");
    let for_good = matches!(end, End::Removed(_) | End::Left);
    if for_good {
        // Others may run under the names of these pods already.
        node.end_pods().await;
    }
    node.stop().await;
    let config = &node.context().config;
    if for_good
        && config.pods
        && let Err(error) = super::down::end_dataplane(&config.state_dir).await
    {
        warn!(%error, "the data plane did not end");
    }
    match end {
        End::Broken(error) | End::Removed(error) => Err(error),
        End::Asked => Ok(()),
        // Only now: until it stopped, the node wrote down what it saw.
        End::Left => Ok(node.context().home.clear()?),
    }
}

/// Why a node ends.
enum End {
    Broken(anyhow::Error),
    Removed(anyhow::Error),
    Asked,
    Left,
}

/// Returns once a voter said that this node was removed, other than by its own wish: it can only start anew.
async fn removed(node: &Node) -> anyhow::Error {
    let context = node.context();
    let mut dismissed = context.endpoint.dismissed();
    let by = dismissed.wait_for(Option::is_some).await.ok().and_then(|by| *by);
    if by.is_none() || context.leaving.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
    let by = by.map(|id| context.peers.load().get(id).map_or(id.to_string(), |peer| peer.name.clone()));
    anyhow!(
        "node {} ({}) was removed from its cluster for ever, says {}: empty {} and join as a new node",
        context.name,
        context.id(),
        by.unwrap_or_default(),
        context.config.data_dir.display()
    )
}

/// Whether standard output is the journal, which is read by more people than may add machines (systemd.exec(5)).
fn is_journal() -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    std::fs::metadata("/proc/self/fd/1").is_ok_and(|file| stream == format!("{}:{}", file.dev(), file.ino()))
}

/// What the person at the terminal needs next.
fn tell(node: &Node) {
    let context = node.context();
    let home = context.config.data_dir.display();
    match node.origin() {
        Origin::Founded(token) => {
            let address = context.config.addresses().first().map(ToString::to_string).unwrap_or_default();
            println!("Node {} founded a cluster. On each further machine run:\n", context.name);
            if is_journal() {
                println!("  what `mesh token create` prints here\n");
            } else {
                println!("  mesh join {address} --token {token}\n");
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
