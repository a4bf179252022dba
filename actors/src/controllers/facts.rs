//! Facts about the cluster that deciders see beside objects, and what wakes them when those change.

use std::sync::Arc;
use std::time::Duration;

use controllers::view::{Cluster, Member, Silence};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use membership::member;
use store::{Scope, Storage, View};

use super::Queues;
use crate::context::Context;
use crate::host::Error;
use crate::secrets::Secrets;

/// The facts as this node knows them. What is not known yet is empty: keys come again when it is.
pub(super) fn of(view: &View, context: &Context) -> Cluster {
    let key = context.cluster_key.borrow().clone();
    let secrets = key.and_then(|key| Secrets::open(view, &key).ok());
    Cluster {
        root_ca_pem: secrets.map(|secrets| secrets.api_authority_pem()).unwrap_or_default(),
        members: member::members(view).into_iter().map(|member| told(member, context)).collect(),
    }
}

fn told(member: membership::Member, context: &Context) -> Member {
    let own = member.id == context.id();
    let silence = context.liveness.silence(member.id).filter(|_| !own);
    let reachable = context.paths.borrow().as_ref().is_some_and(|paths| paths.get(&member.id) == Some(&true));
    let silent = silence.map(|silence| Silence { since: before(silence), reachable });
    Member { id: member.id.to_string(), name: member.name, api_addresses: member.api_addresses, silent }
}

fn before(past: Duration) -> Timestamp {
    let past = SignedDuration::try_from(past).unwrap_or(SignedDuration::MAX);
    clock::now().checked_sub(past).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Wakes what facts concern, now and whenever they change, until the watch breaks.
pub(super) async fn follow(context: &Arc<Context>, queues: &Queues) -> Result<(), Error> {
    let (mut liveness, mut paths) = (context.liveness.changes(), context.paths.subscribe());
    let view = context.view().await?;
    let mut members = context.raft.watch(Scope { prefix: "mesh/".into(), index: None }, view.revision())?;
    let mut view = Some(view);
    let mut before = Cluster::default();
    loop {
        let now = match view.take() {
            Some(view) => view,
            None => context.view().await?,
        };
        let now = of(&now, context);
        // That somebody is a member no longer is news too.
        if before.members.iter().any(|member| now.members.iter().all(|one| one.id != member.id)) {
            queues.tell_facts(&before);
        }
        queues.tell_facts(&now);
        before = now;
        tokio::select! {
            changed = liveness.changed() => changed?,
            changed = paths.changed() => changed?,
            batch = members.next() => drop(batch.ok_or("the watch ended")??),
        }
    }
}

impl Queues {
    fn tell_facts(&self, facts: &Cluster) {
        for (controller, handle) in &self.rows {
            let mut keys = Vec::new();
            (controller.facts)(facts, &mut keys);
            keys.into_iter().for_each(|key| handle.refresh(key));
        }
    }
}
