//! Decides who becomes a member, on a voter. The decision is [`membership::admit`]'s; this carries it out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use membership::{Candidate, KeyFingerprint, Member, NodeId, Refused, member};
use net::wire::{JoinAnswer, JoinRefusal, JoinRequest, WIRE};
use net::{Peer, Removed};
use store::{Freshness, Outcome, Storage, View};
use tokio::time::timeout;
use tracing::warn;

use crate::context::{Context, request_id, unix_now};
use crate::host::Handle;
use crate::secrets::Secrets;

/// Decisions overtaken by another join before this one gives way; 200 nodes at once need a few.
const TRIES: usize = 16;

/// How long a member that is to be replaced may still be heard: one whose machine died a moment ago is, for about two
/// seconds. Less than a decision may take (15 s).
const SILENCE_PATIENCE: Duration = Duration::from_secs(8);

/// When a joiner that found the cluster busy may ask again.
const BUSY: JoinRefusal = JoinRefusal::Busy { retry_after_ms: 500 };

/// Admits nodes on behalf of the cluster.
pub struct Admission {
    /// What this node has.
    pub context: Arc<Context>,
    /// Told of every new member.
    pub voters: Handle<()>,
}

impl net::Admission for Admission {
    fn admit(
        &self,
        request: JoinRequest,
        key: KeyFingerprint,
        from: SocketAddr,
    ) -> BoxFuture<'_, Result<JoinAnswer, JoinRefusal>> {
        Box::pin(self.decide(request, key, from))
    }
}

impl Admission {
    async fn decide(
        &self,
        request: JoinRequest,
        key: KeyFingerprint,
        from: SocketAddr,
    ) -> Result<JoinAnswer, JoinRefusal> {
        let secrets = self.secrets().await?;
        let candidate = candidate(&request, key, from);
        for _ in 0..TRIES {
            let view = self.context.raft.read(Freshness::Linearizable).await.map_err(|_| BUSY)?;
            let cluster = member::cluster(&view).ok_or(BUSY)?;
            if let Some(theirs) = request.cluster.clone().filter(|theirs| *theirs != cluster.id) {
                return Err(JoinRefusal::OtherCluster { ours: cluster.id, theirs });
            }
            let admission = membership::admit(&view, &candidate, unix_now(), request_id());
            match admission.map_err(|refused| words(&refused, &request))? {
                membership::Admission::Already(member) => return self.answer(&secrets, &request, &member, true).await,
                membership::Admission::Admit(..) if self.is_alive(holder(&view, &candidate.name)).await => {
                    return Err(alive(&candidate.name));
                }
                membership::Admission::Admit(member, command) => match self.context.raft.propose(command).await {
                    Ok(Outcome::Applied { .. }) => {
                        self.voters.refresh(());
                        return self.answer(&secrets, &request, &member, false).await;
                    }
                    Ok(Outcome::Refused(_)) => {}
                    Err(_) => return Err(BUSY),
                },
            }
        }
        Err(BUSY)
    }

    /// Whether this member is heard, and goes on to be: it is not to be replaced then.
    async fn is_alive(&self, holder: Option<NodeId>) -> bool {
        let Some(holder) = holder else { return false };
        let mut changes = self.context.liveness.changes();
        let silent = async {
            while holder == self.context.id() || self.context.liveness.silence(holder).is_none() {
                // The sender lives as long as this node.
                let _ = changes.changed().await;
            }
        };
        timeout(SILENCE_PATIENCE, silent).await.is_err()
    }

    async fn secrets(&self) -> Result<Secrets, JoinRefusal> {
        let view = self.context.view().await.map_err(|_| BUSY)?;
        let Some(key) = self.context.cluster_key.borrow().clone() else { return Err(elsewhere(&view)) };
        Secrets::open(&view, &key).map_err(|error| {
            warn!(%error, "node not admitted");
            BUSY
        })
    }

    async fn answer(
        &self,
        secrets: &Secrets,
        request: &JoinRequest,
        member: &Member,
        already: bool,
    ) -> Result<JoinAnswer, JoinRefusal> {
        let view = self.context.view().await.map_err(|_| BUSY)?;
        let cluster = member::cluster(&view).ok_or(BUSY)?;
        let certificate = secrets.node_certificate(&cluster.id, member.id, &member.name, &request.csr);
        Ok(JoinAnswer {
            wire: WIRE.newest,
            already,
            certificate: certificate.map_err(|error| JoinRefusal::Invalid(error.to_string()))?,
            authority: secrets.node.certificate().to_vec(),
            api_authority: secrets.api.certificate().to_vec(),
            cluster: cluster.id,
            incarnation: cluster.incarnation,
            feature_level: membership::features::level(&view),
            members: member::members(&view).iter().map(peer).collect(),
            removed: membership::removed(&view).into_iter().map(|(id, key)| Removed { id, key }).collect(),
        })
    }
}

/// A member as `net` knows it.
pub fn peer(member: &Member) -> Peer {
    Peer {
        id: member.id,
        key: member.key,
        addresses: member.addresses.clone(),
        role: member.role,
        name: member.name.clone(),
    }
}

fn candidate(request: &JoinRequest, key: KeyFingerprint, from: SocketAddr) -> Candidate {
    let reachable = |addresses: &[SocketAddr]| addresses.iter().map(|address| specified(*address, from)).collect();
    Candidate {
        id: request.node,
        key,
        name: request.name.clone(),
        addresses: reachable(&request.addresses),
        api_addresses: reachable(&request.api_addresses),
        voter: request.voter,
        zone: request.zone.clone().unwrap_or_default(),
        labels: request.labels.clone(),
        replace: request.replace,
        token_id: request.token.to_string(),
        token_hash: request.secret.hash(request.token).to_string(),
    }
}

/// A joiner that does not know its address is reachable where it called from.
fn specified(mut address: SocketAddr, from: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(from.ip());
    }
    address
}

/// The member that has this name.
fn holder(view: &View, name: &str) -> Option<NodeId> {
    member::members(view).into_iter().find(|member| member.name == name).map(|member| member.id)
}

fn alive(name: &str) -> JoinRefusal {
    JoinRefusal::Invalid(format!(
        "node {name} is alive and is not replaced: give another --name; or run `mesh leave` there, or stop it, first"
    ))
}

fn elsewhere(view: &View) -> JoinRefusal {
    let voters = member::members(view).into_iter().filter(|member| member.role == membership::Role::Voter);
    let addresses: Vec<_> = voters.flat_map(|voter| voter.addresses).map(|address| address.to_string()).collect();
    JoinRefusal::Invalid(format!("this node is no voter; join through one of {}", addresses.join(", ")))
}

fn words(refused: &Refused, request: &JoinRequest) -> JoinRefusal {
    match refused {
        Refused::UnknownToken => JoinRefusal::UnknownToken(request.token),
        Refused::WrongSecret => JoinRefusal::WrongSecret(request.token),
        Refused::Expired => JoinRefusal::ExpiredToken(request.token),
        Refused::Used(_) => JoinRefusal::UsedToken(request.token),
        Refused::NameTaken { name, holder } => JoinRefusal::NameTaken { name: name.clone(), holder: *holder },
        Refused::Removed(id) => JoinRefusal::Removed(*id),
        Refused::NoPodRange(_) => JoinRefusal::Invalid(refused.to_string()),
        Refused::NotReady => BUSY,
    }
}
