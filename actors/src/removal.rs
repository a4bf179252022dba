//! Ends a membership for ever: of a member that asks itself ([`forget`]), and of one that others say is gone ([`remove`]).
//! The record is marked here; the leader's [`crate::voters`] takes its vote away first, then removes it. What follows from
//! it (Node object, pods, endpoints) is the controllers'. Leaves out the pods that still run on a machine removed alive.

use std::collections::BTreeSet;
use std::time::Duration;

use membership::voters::{Unremovable, removable};
use membership::{Member, NodeId, keys, member};
use store::{Freshness, Guard, Scope, Storage};
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tracing::info;

use crate::context::Context;
use crate::host::Error;
use crate::voters::quorum;

/// How long [`forget`] waits until the member is forgotten: a vote is handed on, then a few writes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Why a member was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Nobody has this name or id.
    #[error("there is no member {asked:?}, only {known}")]
    Unknown {
        /// What was asked for.
        asked: String,
        /// Names of the members.
        known: String,
    },
    /// It is the node that was asked.
    #[error("{0} is this node: it leaves with `mesh leave`")]
    Itself(String),
    /// It is heard.
    #[error(
        "node {0} is alive: run `mesh leave` there, which moves its pods away first; or remove it with --force, and what \
         runs there is ended without a word"
    )]
    Alive(String),
    /// The rest could not go on.
    #[error(transparent)]
    Needed(#[from] Unremovable),
    /// There is no quorum to decide on it.
    #[error("nothing can be decided now, since too few voters are heard: start those that are off, then ask again")]
    NoQuorum(#[source] Error),
    /// The quorum did not change in time.
    #[error("node {name} is marked as leaving, and is removed as soon as the quorum can change; see `mesh status`")]
    Waiting {
        /// Who.
        name: String,
        /// What was waited for.
        #[source]
        source: Error,
    },
}

/// Removes the member of this name or id. `force` is for one that is alive.
///
/// # Errors
/// [`RemoveError`] says why not, and what to do.
pub async fn remove(context: &Context, asked: &str, force: bool) -> Result<Member, RemoveError> {
    let read = context.raft.read(Freshness::Linearizable).await;
    let view = read.map_err(|error| RemoveError::NoQuorum(error.into()))?;
    let members = member::members(&view);
    let found = members.iter().find(|member| member.name == asked || member.id.to_string() == asked);
    let Some(leaver) = found else {
        // Members come by id, which says nothing to people.
        let mut known: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
        known.sort_unstable();
        return Err(RemoveError::Unknown { asked: asked.to_owned(), known: known.join(", ") });
    };
    if leaver.id == context.id() {
        return Err(RemoveError::Itself(leaver.name.clone()));
    }
    let silent = silent(context, &members);
    if !force && !silent.contains(&leaver.id) {
        return Err(RemoveError::Alive(leaver.name.clone()));
    }
    removable(&members, &quorum(&context.raft.status()), &silent, leaver, context.config.max_voters)?;
    info!(node = leaver.name, id = %leaver.id, force, "removing a member");
    let waiting = |source| RemoveError::Waiting { name: leaver.name.clone(), source };
    forget(context, leaver.id).await.map_err(waiting)?;
    Ok(leaver.clone())
}

/// Members that are not heard now.
fn silent(context: &Context, members: &[Member]) -> BTreeSet<NodeId> {
    let others = members.iter().map(|member| member.id).filter(|id| *id != context.id());
    others.filter(|id| context.liveness.silence(*id).is_some()).collect()
}

/// Marks a member as leaving and waits until it is forgotten. One that is already is no error.
///
/// # Errors
/// Where there is no quorum, or it cannot change within [`PATIENCE`]; the mark stays.
pub async fn forget(context: &Context, id: NodeId) -> Result<(), Error> {
    let view = context.view().await?;
    let Some(member) = member::member(&view, id) else { return Ok(()) };
    let key = keys::member(id);
    let scope = Scope { prefix: key.clone(), index: None };
    let mut news = context.raft.watch(scope, view.revision())?;
    let leaving = Member { leaving: true, ..member };
    context.write(vec![Guard::Present(key.clone())], vec![member::put(key, &leaving)]).await?;
    let gone = async {
        while let Some(events) = news.next().await {
            if events?.iter().any(|event| event.new.is_none()) {
                return Ok(());
            }
        }
        Err(Error::from("this node lost the cluster"))
    };
    timeout(PATIENCE, gone).await?
}
