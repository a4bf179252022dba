//! Founds a cluster of one.

use std::sync::Arc;
use std::time::Duration;

use membership::token::DEFAULT_TTL_SECONDS;
use membership::{Cluster, Member, Role, features, keys, member};
use net::ca::Profile;
use net::seal::SealKey;
use net::{Identity, PeerTable, Token};
use tokio::time::timeout;

use super::{Booted, Origin, StartError, assemble, node_name, token_record};
use crate::admission::peer;
use crate::config::Config;
use crate::context::{Context, request_id, unix_now};
use crate::home::{CLUSTER_KEY, Home, HomeError, MEMBERSHIP_VERSION, Membership};
use crate::host;
use crate::secrets::Secrets;

/// How long a new cluster of one may take to elect its only member and store its founding.
const FOUNDING_LIMIT: Duration = Duration::from_secs(30);

/// A cluster of one. `member.json` is written last: without it, the next start founds anew over what is left.
pub(super) async fn found(
    config: Config,
    home: Home,
    identity: Arc<Identity>,
    socket: std::net::UdpSocket,
) -> Result<Booted, StartError> {
    let name = node_name(&config)?;
    discard_unfinished(&home)?;
    let cluster = cluster(&config);
    let secrets = Secrets::create(&cluster.id, clock::system())?;
    let key = SealKey::random(&mut rand::rng());
    home.save_key(CLUSTER_KEY, &key.to_bytes())?;
    let first = first_member(&config, &identity, &cluster, &name);
    let profile = Profile::Node { cluster: cluster.id.clone(), id: identity.id(), name: name.clone() };
    let certificate = secrets.node.issue_for(&profile, identity.key(), clock::system(), net::ca::CA_VALIDITY)?;
    let known = Membership {
        version: MEMBERSHIP_VERSION,
        cluster: cluster.id.clone(),
        incarnation: cluster.incarnation,
        name,
        certificate,
        authority: secrets.node.certificate().to_vec(),
        members: vec![peer(&first)],
        removed: Vec::new(),
    };
    let peers = PeerTable::new();
    peers.replace(known.members.clone(), &[]);
    let context = assemble(config, home, identity, socket, peers, &known, Some(key.clone())).await?;
    let token = Token::create(&secrets.node.fingerprint(), &mut rand::rng());
    let sealed = secrets.seal(&key);
    let agreed = agree(&context, &cluster, &first, &sealed, &token);
    let agreed = timeout(FOUNDING_LIMIT, agreed).await.unwrap_or_else(|late| Err(late.into()));
    agreed.map_err(StartError::Founding)?;
    context.home.save_membership(&known)?;
    Ok(Booted { context, origin: Origin::Founded(token) })
}

/// A founding that was cut short left a log nobody else has seen.
fn discard_unfinished(home: &Home) -> Result<(), StartError> {
    let path = home.path("raft");
    match std::fs::remove_dir_all(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(HomeError::Io { path, source }.into()),
        _ => Ok(()),
    }
}

fn cluster(config: &Config) -> Cluster {
    Cluster {
        id: format!("{:016x}", rand::random::<u64>()),
        incarnation: 0,
        pod_ranges: config.pod_ranges.clone(),
        service_ranges: config.service_ranges.clone(),
        node_prefix: config.node_prefix,
        domain: config.domain.clone(),
    }
}

pub(crate) fn first_member(config: &Config, identity: &Identity, cluster: &Cluster, name: &str) -> Member {
    Member {
        id: identity.id(),
        name: name.into(),
        key: identity.fingerprint(),
        addresses: config.addresses(),
        api_addresses: config.api_addresses(),
        pod_addresses: config.pod_addresses(),
        role: Role::Voter,
        voter: config.voter.unwrap_or_default(),
        zone: config.zone.clone(),
        pod_ranges: membership::first_pod_ranges(cluster),
        leaving: false,
        labels: config.labels.clone(),
    }
}

async fn agree(
    context: &Context,
    cluster: &Cluster,
    first: &Member,
    sealed: &[(&str, Vec<u8>)],
    token: &Token,
) -> Result<(), host::Error> {
    context.raft.initialize().await?;
    let mut command = membership::found(cluster, first, sealed, request_id());
    command.ops.extend([features::found_with(features::NEWEST), features::say(first.id, features::NEWEST)]);
    let record = token_record(token, unix_now(), DEFAULT_TTL_SECONDS, false);
    command.ops.push(member::put(keys::token(&record.id), &record));
    context.propose(command).await
}
