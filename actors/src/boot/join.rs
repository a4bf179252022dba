//! Joins a cluster through one of its members.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use net::wire::JoinRequest;
use net::{Identity, Token};
use tracing::info;

use super::{StartError, node_name};
use crate::config::Config;
use crate::home::{MEMBERSHIP_VERSION, Membership};

/// How long a joiner asks a busy cluster again.
const JOIN_PATIENCE: Duration = Duration::from_secs(60);

/// Asks the cluster for membership.
pub(super) async fn join(
    config: &Config,
    identity: &Identity,
    addresses: &[SocketAddr],
    token: &Token,
    replace: bool,
) -> Result<Membership, StartError> {
    let name = node_name(config)?;
    let request = JoinRequest {
        replace,
        api_addresses: config.api_addresses(),
        zone: Some(config.zone.clone()).filter(|zone| !zone.is_empty()),
        voter: config.voter,
        labels: config.labels.clone(),
        ..JoinRequest::new(token, &name, config.addresses())
    };
    let answer = net::join(identity, token, addresses, request, SystemTime::now(), JOIN_PATIENCE).await?;
    info!(cluster = %answer.cluster, already = answer.already, "joined");
    Ok(Membership {
        version: MEMBERSHIP_VERSION,
        cluster: answer.cluster,
        incarnation: answer.incarnation,
        name,
        certificate: answer.certificate,
        authority: answer.authority,
        members: answer.members,
        removed: answer.removed,
    })
}
