//! Transactions that begin a new history after disks were lost: [`survive`] on one of the old members, [`restore`] on a
//! node that is none. Which state they start from, and that its revision moves on, is `consensus`'s.

use std::collections::BTreeSet;

use store::{Command, Op, RequestId, View};

use crate::id::{NodeId, Role};
use crate::keys;
use crate::member::{Cluster, Member, cluster, member, members, put};
use crate::{found, remove};

/// What a recovery comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Apply this.
    pub command: Command,
    /// The member that alone votes from then on.
    pub voter: Member,
    /// Members that are forgotten: refused for ever under their present ids, even with their disks intact.
    pub forgotten: Vec<Member>,
    /// The cluster's facts from then on.
    pub cluster: Cluster,
}

/// Why a state cannot be recovered from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryRefused {
    /// The state was never founded.
    #[error("it holds no cluster: it was never told of one")]
    Unfounded,
    /// The survivor was removed, or never admitted as far as its disk knows.
    #[error("node {0} is no member in the state on its own disk")]
    NoMember(NodeId),
}

/// One member goes on alone: who voted beside it is forgotten, since two of them that come back could elect a leader of the
/// old history. Whoever did not vote stays a member. `incarnation` must be above the cluster's.
///
/// # Errors
/// [`RecoveryRefused`].
pub fn survive(
    view: &View,
    survivor: NodeId,
    voters: &BTreeSet<NodeId>,
    incarnation: u64,
    request: RequestId,
) -> Result<Recovery, RecoveryRefused> {
    let cluster = Cluster { incarnation, ..cluster(view).ok_or(RecoveryRefused::Unfounded)? };
    let own = member(view, survivor).ok_or(RecoveryRefused::NoMember(survivor))?;
    let voter = Member { role: Role::Voter, leaving: false, ..own };
    let others = members(view).into_iter().filter(|member| member.id != survivor);
    let (forgotten, kept): (Vec<_>, Vec<_>) =
        others.partition(|member| member.role == Role::Voter || voters.contains(&member.id));
    let mut ops = vec![put(keys::CLUSTER.into(), &cluster), put(keys::member(survivor), &voter)];
    ops.extend(forgotten.iter().flat_map(|member| removal(member, request)));
    // None of them holds a log of the new history.
    ops.extend(kept.into_iter().map(|member| put(keys::member(member.id), &Member { role: Role::Worker, ..member })));
    Ok(Recovery { command: Command { request, guards: Vec::new(), ops }, voter, forgotten, cluster })
}

/// A node that was no member goes on alone with a backup's state; all members of it are forgotten, also where the node has
/// the name of one. `incarnation` must be above the cluster's.
///
/// # Errors
/// [`RecoveryRefused::Unfounded`].
pub fn restore(view: &View, voter: Member, incarnation: u64, request: RequestId) -> Result<Recovery, RecoveryRefused> {
    let cluster = Cluster { incarnation, ..cluster(view).ok_or(RecoveryRefused::Unfounded)? };
    let forgotten = members(view);
    let mut ops: Vec<Op> = forgotten.iter().flat_map(|member| removal(member, request)).collect();
    ops.extend(found(&cluster, &voter, &[], request).ops);
    Ok(Recovery { command: Command { request, guards: Vec::new(), ops }, voter, forgotten, cluster })
}

fn removal(member: &Member, request: RequestId) -> Vec<Op> {
    remove(member, request).ops
}

#[cfg(test)]
mod tests;
