//! Joins a cluster through one of its members.

use std::net::SocketAddr;
use std::time::Duration;

use net::wire::{JoinAnswer, JoinRefusal, JoinRequest};
use net::{Identity, JoinError, Token};
use tracing::info;

use super::{StartError, known_level, node_name};
use crate::config::Config;
use crate::home::{MEMBERSHIP_VERSION, Membership};

/// How long a joiner asks a busy cluster again.
const JOIN_PATIENCE: Duration = Duration::from_secs(60);

/// How long a member that is told to join again looks for somebody who confirms it.
const AGAIN_PATIENCE: Duration = Duration::from_secs(3);

/// Asks the cluster for membership.
pub(super) async fn join(
    config: &Config,
    identity: &Identity,
    addresses: &[SocketAddr],
    token: &Token,
    replace: bool,
) -> Result<Membership, StartError> {
    let name = node_name(config)?;
    let request = JoinRequest { replace, ..request(config, token, &name) };
    info!(?addresses, "joining");
    let answer = net::join(identity, token, addresses, request, clock::system(), JOIN_PATIENCE).await?;
    known_level(answer.feature_level)?;
    info!(cluster = %answer.cluster, already = answer.already, "joined");
    Ok(membership(answer, name))
}

/// Asks the cluster whether this member is one still. Where nobody answers now, what the disk remembers stands.
pub(super) async fn again(
    config: &Config,
    identity: &Identity,
    addresses: &[SocketAddr],
    token: &Token,
    known: Membership,
) -> Result<Membership, StartError> {
    let cluster = Some(known.cluster.clone());
    let request = JoinRequest { cluster, ..request(config, token, &known.name) };
    match net::join(identity, token, addresses, request, clock::system(), AGAIN_PATIENCE).await {
        Ok(answer) => Ok(membership(answer, known.name)),
        Err(refusal @ JoinError::Refused(JoinRefusal::Removed(_) | JoinRefusal::OtherCluster { .. })) => {
            Err(refusal.into())
        }
        Err(error) => {
            info!(%error, "membership not confirmed, going on");
            Ok(known)
        }
    }
}

fn request(config: &Config, token: &Token, name: &str) -> JoinRequest {
    JoinRequest {
        api_addresses: config.api_addresses(),
        zone: Some(config.zone.clone()).filter(|zone| !zone.is_empty()),
        voter: config.voter.unwrap_or_default(),
        labels: config.labels.clone(),
        ..JoinRequest::new(token, name, config.addresses())
    }
}

fn membership(answer: JoinAnswer, name: String) -> Membership {
    Membership {
        version: MEMBERSHIP_VERSION,
        cluster: answer.cluster,
        incarnation: answer.incarnation,
        name,
        certificate: answer.certificate,
        authority: answer.authority,
        members: answer.members,
        removed: answer.removed,
    }
}
