//! `mesh dev up|status|kubeconfig|kill|start|down`.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use super::status::table;
use crate::admin::status::Status;
use crate::admin::{Request, client};
use crate::cli::{DevCommand, Output};
use crate::dev::{Node, Part, Sandbox};

/// How long a node may take to be ready on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// How long a node may take to tell its state: one that is paused never does.
const TELL_LIMIT: Duration = Duration::from_secs(5);

/// Lines of a log that are shown when a node does not come up.
const SHOWN_LINES: usize = 12;

/// Carries out a command about sandboxes.
pub(crate) async fn run(command: DevCommand) -> Result<()> {
    match command {
        DevCommand::Up { nodes, name } => up(&Sandbox::make(&name.name, nodes)?).await,
        DevCommand::Status { output, name } => status(&Sandbox::open(&name.name)?, output).await,
        DevCommand::Kubeconfig { node, name } => {
            print!("{}", kubeconfig(&Sandbox::open(&name.name)?, node.as_deref()).await?);
            Ok(())
        }
        DevCommand::Kill { node, only, name } => kill(Sandbox::open(&name.name)?.node(&node)?, only),
        DevCommand::Start { node, name } => {
            let sandbox = Sandbox::open(&name.name)?;
            start(&sandbox, sandbox.node(&node)?).await
        }
        DevCommand::Down { all, name } => down(&if all { Sandbox::all()? } else { vec![name.name] }),
    }
}

async fn up(sandbox: &Sandbox) -> Result<()> {
    let started = Instant::now();
    sandbox.wire()?;
    let mut nodes = sandbox.nodes();
    let first = nodes.next().context("a sandbox has a node")?;
    first.start(None)?;
    // A founder is ready by itself; one that restarts may need the others first.
    if !nodes.clone().any(|node| node.is_member()) {
        ready(first).await?;
        tick("node-1 founded the cluster", started);
    }
    let line = join_line(sandbox, first).await;
    for node in nodes.clone() {
        match (node.is_member(), &line) {
            (true, _) => node.start(None)?,
            (false, Ok(line)) => node.start(Some(line))?,
            (false, Err(error)) => return Err(anyhow!("{error:#}")),
        }
    }
    for node in sandbox.nodes() {
        ready(node).await?;
        tick(&format!("{} is ready at {}", node.name(), node.address()), started);
    }
    fs::write(sandbox.kubeconfig(), kubeconfig(sandbox, None).await?)?;
    println!("\n  export KUBECONFIG={}", sandbox.kubeconfig().display());
    Ok(())
}

/// The line that joins another node; only needed where one is no member yet.
async fn join_line(sandbox: &Sandbox, first: Node<'_>) -> Result<String> {
    if sandbox.nodes().all(|node| node.is_member()) {
        return Ok(String::new());
    }
    ready(first).await?;
    let request = Request::CreateToken { ttl_seconds: READY_LIMIT.as_secs().try_into()?, once: false };
    let mut last = anyhow!("{} has no members", sandbox.name);
    // Any voter makes it, and the first need not be one.
    for node in sandbox.nodes().filter(Node::is_member) {
        match client::ask(&node.data_dir(), &request).await {
            Ok(line) => return Ok(line),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn ready(node: Node<'_>) -> Result<Status> {
    let request = Request::Status { wait_seconds: Some(READY_LIMIT.as_secs()) };
    let status: Result<Status> = client::ask_within(&node.data_dir(), &request, READY_LIMIT).await;
    let told = match status {
        Ok(Status { why_not_ready: Some(why), .. }) => Err(anyhow!(why)),
        other => other,
    };
    told.with_context(|| format!("{} is not ready; its log ends with:\n{}", node.name(), log_end(node)))
}

fn log_end(node: Node<'_>) -> String {
    let text = fs::read_to_string(node.log("mesh")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

fn tick(what: &str, started: Instant) {
    println!("  [x] {what} ({:.1} s)", started.elapsed().as_secs_f32());
}

async fn status(sandbox: &Sandbox, output: Output) -> Result<()> {
    let mut rows = Vec::new();
    for node in sandbox.nodes() {
        rows.push((node.name(), node.address(), parts(node)?, told(node).await));
    }
    if output == Output::Json {
        let rows: Vec<Value> = rows
            .into_iter()
            .map(|(name, address, parts, told)| json!({ "name": name, "address": address, "pids": parts, "state": told }))
            .collect();
        println!("{}", serde_json::to_string_pretty(&json!({ "name": sandbox.name, "nodes": rows }))?);
        return Ok(());
    }
    let rows = rows.into_iter().map(|(name, address, parts, told)| {
        let pids = Part::ALL.iter().map(|part| parts[part.name()].as_i64().map_or("-".into(), |pid| pid.to_string()));
        [name, address.to_string()].into_iter().chain(pids).chain([told]).collect()
    });
    println!("{}", table(&["NAME", "ADDRESS", "MESH", "DATAPLANE", "CONTAINERD", "STATE"], rows));
    println!("\n  export KUBECONFIG={}", sandbox.kubeconfig().display());
    Ok(())
}

fn parts(node: Node<'_>) -> Result<Value> {
    let mut parts = serde_json::Map::new();
    for part in Part::ALL {
        parts.insert(part.name().into(), node.process(part)?.into());
    }
    Ok(Value::Object(parts))
}

async fn told(node: Node<'_>) -> String {
    let request = Request::Status { wait_seconds: None };
    match client::ask_for::<Status>(&node.data_dir(), &request, TELL_LIMIT).await {
        Ok(Status { why_not_ready: Some(why), .. }) => format!("not ready: {why}"),
        Ok(_) => "ready".into(),
        Err(_) if node.process(Part::Mesh).is_ok_and(|pid| pid.is_some()) => "does not answer".into(),
        Err(_) => "down".into(),
    }
}

/// From the node that was asked for, else from the first that answers.
async fn kubeconfig(sandbox: &Sandbox, node: Option<&str>) -> Result<String> {
    let nodes: Vec<Node<'_>> = match node {
        Some(name) => vec![sandbox.node(name)?],
        None => sandbox.nodes().collect(),
    };
    let mut last = anyhow!("{} has no nodes", sandbox.name);
    for node in &nodes {
        // Any voter knows how to make it; the server it names is the node that was asked for.
        for teller in std::iter::once(*node).chain(sandbox.nodes()) {
            let server = Some(format!("https://{}:6443", node.address()));
            if node.process(Part::Mesh)?.is_none() {
                last = anyhow!("{} does not run: `mesh dev start {}`", node.name(), node.name());
                break;
            }
            match client::ask(&teller.data_dir(), &Request::Kubeconfig { server }).await {
                Ok(text) => return Ok(text),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

fn kill(node: Node<'_>, only: Option<Part>) -> Result<()> {
    let killed = match only {
        Some(part) => node.kill(part)?,
        None => node.kill_all()?,
    };
    println!("{}: {killed} processes killed", node.name());
    Ok(())
}

async fn start(sandbox: &Sandbox, node: Node<'_>) -> Result<()> {
    let started = Instant::now();
    node.start(None)?;
    if !mostly_up(sandbox)? {
        tick(
            &format!("{} runs at {}, and waits for others: most nodes are down", node.name(), node.address()),
            started,
        );
        return Ok(());
    }
    ready(node).await?;
    tick(&format!("{} is ready at {}", node.name(), node.address()), started);
    Ok(())
}

/// Whether more than half of the members run: without them there may be no quorum, and nobody is ready.
fn mostly_up(sandbox: &Sandbox) -> Result<bool> {
    let members: Vec<Node<'_>> = sandbox.nodes().filter(Node::is_member).collect();
    let up = members.iter().map(|node| Ok(node.process(Part::Mesh)?.is_some())).collect::<Result<Vec<bool>>>()?;
    Ok(up.iter().filter(|up| **up).count() * 2 > members.len())
}

fn down(names: &[String]) -> Result<()> {
    for name in names {
        match Sandbox::open(name) {
            Ok(sandbox) => println!("{name}: {} processes killed, all it kept is removed", sandbox.remove()?),
            Err(error) if Sandbox::is_there(name) => return Err(error),
            Err(_) => println!("{name}: nothing there"),
        }
    }
    Ok(())
}
