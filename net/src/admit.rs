//! The cluster's side of joining: bounds, proof of possession, and the question handed to [`Admission`].

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::{sync::Semaphore, time::timeout};
use tracing::{info, warn};

use crate::{
    Channel, KeyFingerprint, PeerTable,
    ca::csr_fingerprint,
    wire::{self, JoinAnswer, JoinRefusal, JoinRequest, WIRE},
};

/// Joins decided at once: each is a few writes to the store. The others wait their turn.
const JOINS: usize = 32;

/// A joiner waits so long for its turn before it is sent away to come again.
const TURN_TIMEOUT: Duration = Duration::from_secs(3);

/// A decision takes a few writes; without a quorum it takes for ever.
const DECISION_TIMEOUT: Duration = Duration::from_secs(15);

/// When a joiner that was sent away may come again; it adds jitter.
const RETRY_AFTER_MS: u32 = 500;

/// Longest Node name: a DNS subdomain (RFC 1123), as Kubernetes has it.
const NAME_LIMIT: usize = 253;

/// Addresses of one node: some per family and network.
const ADDRESSES_LIMIT: usize = 16;

/// Labels of one node.
const LABELS_LIMIT: usize = 64;

/// Decides who becomes a member, and makes it so in the replicated membership.
pub trait Admission: Send + Sync + 'static {
    /// Decides on a request. `key` is proven, by the handshake and by the CSR; `from` is where it came from.
    /// A key that is a member's already is answered as before, whatever its token says: the first answer may have
    /// been lost on its way, and a token for one use was used by it.
    fn admit(
        &self,
        request: JoinRequest,
        key: KeyFingerprint,
        from: SocketAddr,
    ) -> BoxFuture<'_, Result<JoinAnswer, JoinRefusal>>;
}

/// Lets a bounded number of joiners through to [`Admission`].
pub(crate) struct Gate {
    admission: Arc<dyn Admission>,
    table: Arc<PeerTable>,
    turns: Semaphore,
}

impl Gate {
    pub(crate) fn new(admission: Arc<dyn Admission>, table: Arc<PeerTable>) -> Self {
        Self { admission, table, turns: Semaphore::new(JOINS) }
    }

    /// Reads one request and answers it.
    pub(crate) async fn answer(&self, mut channel: Channel, key: KeyFingerprint, from: SocketAddr) {
        let frame = match channel.receive_within(wire::REQUEST_LIMIT).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(error) => return warn!(%from, %error, "join request not read"),
        };
        let reply = self.decide(&frame, key, from).await;
        match &reply {
            Ok(answer) => info!(%from, %key, already = answer.already, "node joined"),
            Err(refusal) => info!(%from, %key, %refusal, "node not joined"),
        }
        if let Err(error) = channel.send(&wire::encode_reply(reply)).await {
            warn!(%from, %error, "join reply not sent");
        }
        let _ = channel.finish().await;
    }

    async fn decide(&self, frame: &[u8], key: KeyFingerprint, from: SocketAddr) -> Result<JoinAnswer, JoinRefusal> {
        let request = wire::decode_request(frame).map_err(|_| {
            JoinRefusal::Invalid("the join request is malformed: is the joining mesh of another release?".into())
        })?;
        check(&request, key)?;
        if self.table.load().is_removed(request.node, &key) {
            return Err(JoinRefusal::Removed(request.node));
        }
        let busy = |_| JoinRefusal::Busy { retry_after_ms: RETRY_AFTER_MS };
        let _turn = timeout(TURN_TIMEOUT, self.turns.acquire()).await.map_err(busy)?;
        timeout(DECISION_TIMEOUT, self.admission.admit(request, key, from)).await.map_err(busy)?
    }
}

/// What holds whatever the cluster's state.
pub(crate) fn check(request: &JoinRequest, key: KeyFingerprint) -> Result<(), JoinRefusal> {
    let invalid = |text: String| Err(JoinRefusal::Invalid(text));
    if WIRE.agree(request.wire).is_none() {
        return Err(JoinRefusal::Version { ours: WIRE, theirs: request.wire });
    }
    if csr_fingerprint(&request.csr) != Some(key) {
        return invalid("the certificate request is not for the key shown in the handshake".into());
    }
    if !is_node_name(&request.name) {
        let shown: String = request.name.chars().take(NAME_LIMIT).collect();
        return invalid(format!(
            "the name {shown:?} cannot name a node: use lower case letters, digits, '-' and '.', at most {NAME_LIMIT}, \
             and set it with --name"
        ));
    }
    if request.addresses.is_empty() || request.addresses.len() > ADDRESSES_LIMIT {
        return invalid(format!("{} addresses instead of 1 to {ADDRESSES_LIMIT}", request.addresses.len()));
    }
    if request.labels.len() > LABELS_LIMIT {
        return invalid(format!("{} labels, of which at most {LABELS_LIMIT} are taken", request.labels.len()));
    }
    Ok(())
}

/// A DNS subdomain (RFC 1123): labels of letters, digits and inner hyphens.
fn is_node_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let part =
        |part: &str| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(inner);
    name.len() <= NAME_LIMIT && name.split('.').all(part)
}
