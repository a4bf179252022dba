//! The node's side of the admin socket. Who may open it is the file system's matter: mode 0600 in a 0700 folder.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actors::Node;
use actors::boot::token_record;
use actors::context::{Context, unix_now};
use actors::secrets::Secrets;
use actors::{removal, rpc};
use anyhow::{Context as _, Result, anyhow, bail};
use membership::{Role, keys, member, token};
use net::{Channel, Dial, Protocol, Token};
use serde_json::{Value, json};
use store::{Guard, Op};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tracing::debug;

use super::{Answer, Down, Request, backup, images, ping, status};

/// Largest question, in bytes.
const QUESTION_LIMIT: usize = 64 << 10;

/// How long a command may take to ask.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);

/// How long after a broken answer the reason for it may come.
const DISMISSAL_GRACE: Duration = Duration::from_secs(2);

/// How long leaving may take.
const LEAVE_LIMIT: Duration = Duration::from_secs(40);

/// Why the node is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// It has left the cluster.
    Left,
    /// Somebody wants it down.
    Down,
}

/// Takes the questions of local commands.
pub(crate) struct Server(UnixListener);

impl Server {
    /// Opens the socket. One that a crash left behind is replaced; a running node would hold the data directory's lock.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).with_context(|| path.display().to_string())?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(Self(listener))
    }

    /// Answers until a command ends this node.
    pub(crate) async fn run(self, node: Arc<Node>) -> Farewell {
        let (left, mut leaves) = tokio::sync::mpsc::channel(1);
        loop {
            let stream = tokio::select! {
                accepted = self.0.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => { debug!(%error, "command not heard"); continue }
                },
                Some(farewell) = leaves.recv() => return farewell,
            };
            let (node, left) = (node.clone(), left.clone());
            tokio::spawn(async move {
                match answer(&node, stream).await {
                    Ok(Some(farewell)) => drop(left.send(farewell).await),
                    Ok(None) => {}
                    Err(error) => debug!(%error, "command not answered"),
                }
            });
        }
    }
}

/// Answers one question; tells whether this node ends by it.
async fn answer(node: &Node, stream: UnixStream) -> Result<Option<Farewell>> {
    let (reader, writer) = stream.into_split();
    let mut channel = Channel::new(reader, writer);
    let question = timeout(QUESTION_TIMEOUT, channel.receive_within(QUESTION_LIMIT)).await??.unwrap_or_default();
    let request: Request = serde_json::from_slice(&question)?;
    if let Request::Backup = request {
        backup::send(node, channel).await?;
        return Ok(None);
    }
    let farewell = match request {
        Request::Leave => Some(Farewell::Left),
        Request::Down => Some(Farewell::Down),
        _ => None,
    };
    let answer: Answer = decide(node, request).await.map_err(|error| crate::telemetry::chain(&error));
    channel.send(&serde_json::to_vec(&answer)?).await?;
    channel.finish().await?;
    Ok(farewell.filter(|_| answer.is_ok()))
}

async fn decide(node: &Node, request: Request) -> Result<Value> {
    let context = node.context();
    match request {
        Request::Status { wait_seconds } => Ok(serde_json::to_value(status::of(node, wait_seconds).await?)?),
        Request::CreateToken { ttl_seconds, once } => create_token(context, ttl_seconds, once).await,
        Request::ListTokens => {
            let view = context.view().await.map_err(|error| anyhow!(error))?;
            voter(context).await?;
            Ok(serde_json::to_value(token::tokens(&view))?)
        }
        Request::RevokeToken { id } => revoke_token(context, &id).await,
        Request::Kubeconfig { server } => kubeconfig(context, server).await,
        Request::Remove { node, force } => {
            // A node that is no voter may be anybody's: it must not be able to throw others out.
            voter(context).await?;
            let removed = removal::remove(context, &node, force).await?;
            Ok(json!({ "name": removed.name, "id": removed.id.to_string() }))
        }
        Request::Leave => leave(context).await,
        Request::Drain { options } => {
            others(context)?;
            Ok(serde_json::to_value(node.drain(options).await?)?)
        }
        Request::Down => {
            let state_dir = std::path::absolute(&context.config.state_dir)?;
            let down = Down { name: context.name.clone(), pid: std::process::id(), state_dir };
            Ok(serde_json::to_value(down)?)
        }
        // Not answered here: more follows its answer.
        Request::Backup => bail!("a backup is sent, not answered"),
        Request::Ping { node, limit_millis } => {
            Ok(serde_json::to_value(ping::ping(context, &node, Duration::from_millis(limit_millis)).await?)?)
        }
        Request::ImportImages { path } => images::import(context, &path).await,
        Request::ListImages => images::list(context).await,
        Request::Check => Ok(serde_json::to_value(crate::check::gather::gather(node).await?)?),
        Request::RemoveImage { reference } => images::remove(context, &reference).await,
    }
}

/// The cluster's secrets, which only a voter has.
async fn voter(context: &Context) -> Result<Secrets> {
    let view = context.view().await.map_err(|error| anyhow!(error))?;
    let is_voter = member::member(&view, context.id()).is_some_and(|member| member.role == Role::Voter);
    let key = context.cluster_key.borrow().clone();
    if let (true, Some(key)) = (is_voter, key) {
        return Ok(Secrets::open(&view, &key)?);
    }
    let peers = context.peers.load();
    let voters: Vec<_> = peers.iter().filter(|peer| peer.role == Role::Voter).map(|peer| peer.name.clone()).collect();
    bail!(
        "node {} is no voter and holds no secrets of the cluster: run this on one of {}",
        context.name,
        voters.join(", ")
    )
}

async fn create_token(context: &Context, ttl_seconds: i64, once: bool) -> Result<Value> {
    let secrets = voter(context).await?;
    let token = Token::create(&secrets.node.fingerprint(), &mut rand::rng());
    let record = token_record(&token, unix_now(), ttl_seconds, once);
    let key = keys::token(&record.id);
    let written = context.write(vec![Guard::Absent(key.clone())], vec![member::put(key, &record)]).await;
    written.map_err(|error| anyhow!(error))?;
    let address = context.config.addresses().first().map(ToString::to_string).unwrap_or_default();
    Ok(json!(format!("mesh join {address} --token {token}")))
}

async fn revoke_token(context: &Context, id: &str) -> Result<Value> {
    voter(context).await?;
    let key = keys::token(id);
    let view = context.view().await.map_err(|error| anyhow!(error))?;
    if view.get(&key).is_none() {
        bail!("there is no token {id:?}: `mesh token list` shows them");
    }
    context.write(Vec::new(), vec![Op::Delete(key)]).await.map_err(|error| anyhow!(error))?;
    Ok(Value::Null)
}

async fn kubeconfig(context: &Context, server: Option<String>) -> Result<Value> {
    let secrets = voter(context).await?;
    let server = server.unwrap_or_else(|| {
        let address = context.config.api_addresses().first().map(ToString::to_string).unwrap_or_default();
        format!("https://{address}")
    });
    Ok(json!(secrets.kubeconfig(&server, clock::system())?))
}

/// The members that would be left without this node: at least one.
fn others(context: &Context) -> Result<Vec<Arc<net::Peer>>> {
    let peers = context.peers.load();
    let others: Vec<_> = peers.iter().filter(|peer| peer.id != context.id()).cloned().collect();
    if others.is_empty() {
        bail!(
            "node {} is the only member, and the cluster would be gone: stop it and remove {} to give it up",
            context.name,
            context.config.data_dir.display()
        );
    }
    Ok(others)
}

async fn leave(context: &Context) -> Result<Value> {
    let others = others(context)?;
    context.leaving.store(true, Ordering::Relaxed);
    let mut last = anyhow!("no other voter is known");
    for voter in others.iter().filter(|peer| peer.role == Role::Voter || others.len() == 1) {
        // Whoever hears first of the removal tells it: the voter asked, or another that refuses us from now on.
        let mut dismissed = context.endpoint.dismissed();
        let gone = async {
            let asked = tokio::select! {
                asked = ask_to_leave(context, voter.id) => asked,
                Ok(_) = dismissed.wait_for(Option::is_some) => return Ok(()),
            };
            match asked {
                // The answer may have broken off because the removal closes our connections: that word follows at once.
                Err(_) if timeout(DISMISSAL_GRACE, dismissed.wait_for(Option::is_some)).await.is_ok() => Ok(()),
                asked => asked,
            }
        };
        match timeout(LEAVE_LIMIT, gone).await {
            Ok(Ok(())) => return Ok(json!(context.name)),
            Ok(Err(error)) => last = error,
            Err(_) => last = anyhow!("{} gave no answer", voter.name),
        }
    }
    context.leaving.store(false, Ordering::Relaxed);
    Err(last.context("this node has not left the cluster"))
}

async fn ask_to_leave(context: &Context, voter: net::NodeId) -> Result<()> {
    let mut channel = context.endpoint.open(voter, Protocol::Rpc, rpc::LEAVE).await?;
    channel.send(b"").await?;
    channel.finish().await?;
    match channel.receive().await? {
        Some(_) => Ok(()),
        None => bail!("{voter} took note, but the quorum cannot change now: this node is removed as soon as it can"),
    }
}
