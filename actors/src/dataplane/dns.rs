//! Answers names at the cluster's DNS addresses, which every node has on `lo`. Main type: [`Dns`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use net::dataplane::NodeFacts;
use net::services::ways;
use tracing::warn;

use super::knowledge::Knowledge;
use crate::host::{Error, Next, Rules, Work};

/// Looked at although nothing was heard: somebody may have taken the addresses from `lo`.
const PERIOD: Duration = Duration::from_secs(30);

/// How the host treats [`Dns`].
pub(super) fn rules() -> Rules<()> {
    Rules { name: "dns", deadline: Duration::from_secs(30), resync: Some((PERIOD, vec![()])) }
}

/// See the file's head.
pub(super) struct Dns {
    knowledge: Arc<Knowledge>,
}

impl Dns {
    pub(super) fn new(knowledge: Arc<Knowledge>) -> Self {
        Self { knowledge }
    }

    async fn keep(&self) -> Result<Next, Error> {
        let Some(node) = self.knowledge.node() else { return Ok(Next::Done) };
        let ready = addresses(node.dns.clone()).await;
        self.knowledge.trouble("dns", ready.as_ref().err().map(ToString::to_string));
        ready?;
        Ok(Next::Done)
    }

    /// Takes the addresses away.
    pub(super) async fn remove(node: &NodeFacts) {
        let addresses = node.dns.clone();
        let removed = tokio::task::spawn_blocking(move || ways::answer_no_more_at(&addresses)).await;
        if let Err(error) = removed.map_err(std::io::Error::other).flatten() {
            warn!(%error, "the addresses of DNS were not removed");
        }
    }
}

async fn addresses(addresses: Vec<IpAddr>) -> Result<(), Error> {
    Ok(tokio::task::spawn_blocking(move || ways::answer_at(&addresses)).await??)
}

impl Work for Dns {
    type Key = ();

    fn run(&self, (): ()) -> BoxFuture<'_, Result<Next, Error>> {
        Box::pin(self.keep())
    }
}
