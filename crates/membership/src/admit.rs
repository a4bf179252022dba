//! Transactions that found a cluster, admit a node and remove one. All conditions are guards of the command, so
//! two voters that decide at once cannot both win.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use ipnet::IpNet;
use store::{Body, Command, Guard, Op, RequestId, View};

use crate::id::{KeyFingerprint, NodeId, Role};
use crate::keys;
use crate::member::{Cluster, Member, VoterPreference, cluster, member, members, put};
use crate::token::{TokenRecord, tokens};

/// Who wants to join, as it presented itself; `key` was proven by the handshake.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its random id.
    pub id: NodeId,
    /// The key its connection was made with.
    pub key: KeyFingerprint,
    /// The name it asks for.
    pub name: String,
    /// Control endpoints.
    pub addresses: Vec<SocketAddr>,
    /// API endpoints.
    pub api_addresses: Vec<SocketAddr>,
    /// Whether it may vote.
    pub voter: VoterPreference,
    /// Its failure zone.
    pub zone: String,
    /// Labels for its Node object.
    pub labels: BTreeMap<String, String>,
    /// Retire the member that now has this name.
    pub replace: bool,
    /// Public part of its token.
    pub token_id: String,
    /// What is stored of its token's secret.
    pub token_hash: String,
}

/// What to do with a [`Candidate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is a member already; nothing changes.
    Already(Member),
    /// Propose this; where it is refused, decide again on a newer view.
    Admit(Box<Member>, Command),
}

/// Why a candidate is turned away. The words for the person who asked are the wire's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such token.
    #[error("unknown token")]
    UnknownToken,
    /// The token's secret is another one.
    #[error("wrong secret")]
    WrongSecret,
    /// Past its time.
    #[error("expired token")]
    Expired,
    /// A `once` token that admitted somebody.
    #[error("token used by {0}")]
    Used(String),
    /// Another member has the name.
    #[error("the name {name} is taken by node {holder}")]
    NameTaken {
        /// The name.
        name: String,
        /// Its holder.
        holder: NodeId,
    },
    /// The id or key belonged to a removed member.
    #[error("node {0} was removed")]
    Removed(NodeId),
    /// All pod ranges are given out.
    #[error("no pod range is left in {0:?}; found the cluster with a larger --pod-range")]
    NoPodRange(Vec<IpNet>),
    /// This voter has not yet seen the cluster's founding.
    #[error("the cluster is not founded yet")]
    NotReady,
}

/// Decides on a candidate. `now` is Unix seconds.
///
/// # Errors
/// [`Refused`] says why, for the person who asked.
pub fn admit(view: &View, candidate: &Candidate, now: i64, request: RequestId) -> Result<Admission, Refused> {
    let cluster = cluster(view).ok_or(Refused::NotReady)?;
    if let Some(known) = member(view, candidate.id).filter(|known| known.key == candidate.key) {
        return Ok(Admission::Already(known));
    }
    let token = check_token(view, candidate, now)?;
    refuse_removed(view, candidate)?;
    let retired = retired(view, candidate)?;
    let member = new_member(view, &cluster, candidate)?;
    let mut guards = vec![Guard::Absent(keys::member(candidate.id)), token_guard(view, &token)];
    let mut ops = Vec::new();
    if let Some(old) = &retired {
        guards.push(Guard::Present(keys::member(old.id)));
        ops.extend(removal(old));
    }
    ops.extend(entry(&member));
    if token.once {
        let used = TokenRecord { used_by: Some(member.name.clone()), ..token };
        ops.push(put(keys::token(&used.id), &used));
    }
    Ok(Admission::Admit(Box::new(member), Command { request, guards, ops }))
}

/// The transaction that founds a cluster with its first member. `secrets` are sealed already.
pub fn found(cluster: &Cluster, first: &Member, secrets: &[(&str, Vec<u8>)], request: RequestId) -> Command {
    let mut ops = vec![put(keys::CLUSTER.into(), cluster)];
    ops.extend(entry(first));
    ops.extend(secrets.iter().map(|(name, sealed)| Op::Put {
        key: keys::secret(name),
        body: Body { head: sealed.clone().into(), tail: Default::default() },
        labels: Vec::new(),
        fields: Vec::new(),
        indexes: Vec::new(),
    }));
    Command { request, guards: vec![Guard::Absent(keys::CLUSTER.into())], ops }
}

/// The transaction that removes a member. Its id and key stay claimed, hence refused, for ever.
pub fn remove(member: &Member, request: RequestId) -> Command {
    Command { request, guards: vec![Guard::Present(keys::member(member.id))], ops: removal(member) }
}

/// Ids and keys of former members: claimed for ever, but no longer by a member.
pub fn removed(view: &View) -> Vec<(NodeId, KeyFingerprint)> {
    let claims = view.claims(keys::ID_CLAIMS);
    let parsed = claims.filter_map(|(name, key)| {
        let id = name.strip_prefix(keys::ID_CLAIMS)?.parse().ok()?;
        Some((id, key.parse().ok()?))
    });
    parsed.filter(|(id, _)| view.get(&keys::member(*id)).is_none()).collect()
}

/// The first pod range of a cluster's ranges, for its first member.
pub fn first_pod_ranges(cluster: &Cluster) -> Vec<IpNet> {
    free_ranges(cluster, &BTreeSet::new()).unwrap_or_default()
}

fn check_token(view: &View, candidate: &Candidate, now: i64) -> Result<TokenRecord, Refused> {
    let token = tokens(view).into_iter().find(|token| token.id == candidate.token_id).ok_or(Refused::UnknownToken)?;
    if token.secret_hash != candidate.token_hash {
        return Err(Refused::WrongSecret);
    }
    if let Some(name) = &token.used_by {
        return Err(Refused::Used(name.clone()));
    }
    if now >= token.expires {
        return Err(Refused::Expired);
    }
    Ok(token)
}

fn token_guard(view: &View, token: &TokenRecord) -> Guard {
    let key = keys::token(&token.id);
    match view.get(&key) {
        Some(record) => Guard::Unchanged(key, record.modified),
        None => Guard::Present(key),
    }
}

fn refuse_removed(view: &View, candidate: &Candidate) -> Result<(), Refused> {
    let id = view.claim(&keys::id_claim(candidate.id)).is_some();
    let key = view.claim(&keys::key_claim(candidate.key)).is_some();
    if id || key { Err(Refused::Removed(candidate.id)) } else { Ok(()) }
}

fn retired(view: &View, candidate: &Candidate) -> Result<Option<Member>, Refused> {
    let holder = members(view).into_iter().find(|member| member.name == candidate.name);
    match holder {
        Some(holder) if !candidate.replace => {
            Err(Refused::NameTaken { name: candidate.name.clone(), holder: holder.id })
        }
        holder => Ok(holder),
    }
}

fn new_member(view: &View, cluster: &Cluster, candidate: &Candidate) -> Result<Member, Refused> {
    let taken = members(view).into_iter().flat_map(|member| member.pod_ranges).collect();
    let pod_ranges = free_ranges(cluster, &taken).ok_or_else(|| Refused::NoPodRange(cluster.pod_ranges.clone()))?;
    Ok(Member {
        id: candidate.id,
        name: candidate.name.clone(),
        key: candidate.key,
        addresses: candidate.addresses.clone(),
        api_addresses: candidate.api_addresses.clone(),
        pod_addresses: Vec::new(),
        role: Role::Worker,
        voter: candidate.voter,
        zone: candidate.zone.clone(),
        pod_ranges,
        leaving: false,
        labels: candidate.labels.clone(),
    })
}

/// The lowest free range of each family.
fn free_ranges(cluster: &Cluster, taken: &BTreeSet<IpNet>) -> Option<Vec<IpNet>> {
    let free = |range: &IpNet| {
        let prefix = if range.addr().is_ipv4() { cluster.node_prefix } else { 64 };
        range.subnets(prefix).ok()?.find(|subnet| !taken.contains(subnet))
    };
    cluster.pod_ranges.iter().map(free).collect()
}

/// A member's record and its claims.
fn entry(member: &Member) -> Vec<Op> {
    let id: std::sync::Arc<str> = member.id.to_string().into();
    let claim = |name, owner: &std::sync::Arc<str>| Op::Claim { name, owner: owner.clone() };
    let mut ops = vec![
        put(keys::member(member.id), member),
        claim(keys::name_claim(&member.name), &id),
        claim(keys::id_claim(member.id), &member.key.to_string().into()),
        claim(keys::key_claim(member.key), &id),
    ];
    ops.extend(member.pod_ranges.iter().map(|range| claim(keys::pod_range_claim(*range), &id)));
    ops
}

fn removal(member: &Member) -> Vec<Op> {
    let owner: std::sync::Arc<str> = member.id.to_string().into();
    let mut ops = vec![
        Op::Delete(keys::member(member.id)),
        Op::Delete(keys::features(member.id)),
        Op::Release { name: keys::name_claim(&member.name), owner: owner.clone() },
    ];
    let ranges = member.pod_ranges.iter().map(|range| keys::pod_range_claim(*range));
    ops.extend(ranges.map(|name| Op::Release { name, owner: owner.clone() }));
    ops
}

#[cfg(test)]
mod tests;
