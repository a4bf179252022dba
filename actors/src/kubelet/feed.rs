//! Wakes pods when something about them changes: the API's object, what runs, or nothing for a while. Main function: [`run`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::meta;
use futures::StreamExt;
use runtime::ContainerEvent;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{info, warn};

use super::Uid;
use super::machine::Machine;
use super::network::told;
use crate::node_api::Key;

/// Everything is listed and every pod is woken so often although nothing was heard: repairs whatever was lost.
const RESYNC: Duration = Duration::from_secs(60);

/// News of the runtime that come this close together are one listing.
const GATHER: Duration = Duration::from_millis(10);

/// Pause before a runtime that does not answer is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// Pause between two writes of the pods last known; a crash in between costs what the cluster is asked for anyway.
const SAVE_PAUSE: Duration = Duration::from_secs(1);

/// Feeds until dropped.
pub async fn run(machine: Arc<Machine>) {
    tokio::join!(
        follow_pods(&machine),
        follow_runtime(&machine),
        follow_network(&machine),
        follow_listing(&machine),
        resync(&machine),
        save(&machine)
    );
}

async fn follow_pods(machine: &Machine) {
    let mut changes = machine.pods.changes();
    // Whose the names were: a pod that went is woken, and so is one that has its name now.
    let mut known: BTreeMap<Key, Uid> = BTreeMap::new();
    let synced = async {
        machine.pods.wait_synced().await;
        wake_all(machine);
    };
    let follow = async {
        loop {
            for key in changes.next().await {
                let uid = machine.pods.get(&key.0, &key.1).map(|pod| meta::uid(&pod).to_owned());
                let before = match &uid {
                    Some(uid) => known.insert(key, uid.clone()),
                    None => known.remove(&key),
                };
                [before, uid].iter().flatten().for_each(|uid| machine.wake(uid));
            }
        }
    };
    tokio::join!(synced, follow);
}

/// Wakes every pod that is known anywhere.
pub fn wake_all(machine: &Machine) {
    let mut uids: BTreeSet<Uid> = machine.pods.list().iter().map(|pod| meta::uid(pod).to_owned()).collect();
    uids.extend(machine.last_known.uids());
    uids.extend(machine.listing.pods().into_iter().map(|pod| pod.uid));
    uids.extend(super::cleanup::folders(&machine.places.pods));
    if let Some(network) = machine.network.borrow().clone() {
        uids.extend(network.attached().into_iter().map(|(uid, _)| uid));
    }
    uids.iter().for_each(|uid| machine.wake(uid));
}

async fn follow_runtime(machine: &Machine) {
    let mut was_down = true;
    loop {
        // Subscribed first, so that no change falls between the listing and the first of the news.
        let events = machine.runtime.events().await;
        let listed = list(machine).await;
        match (events, listed) {
            (Ok(mut events), true) => {
                if std::mem::take(&mut was_down) {
                    info!("the container runtime answers");
                    wake_all(machine);
                }
                while let Some(first) = events.next().await {
                    gather(&mut events, first).await;
                    if !list(machine).await {
                        break;
                    }
                }
            }
            (events, _) => {
                if !std::mem::replace(&mut was_down, true) {
                    let error = events
                        .err()
                        .map(|error| told(&error))
                        .or_else(|| machine.listing.silence().map(|silence| silence.why));
                    warn!(error, "the container runtime does not answer");
                }
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Takes the news that come with the first.
async fn gather(events: &mut runtime::Events, _first: ContainerEvent) {
    let end = Instant::now() + GATHER;
    while let Ok(Some(_)) = tokio::time::timeout_at(end, events.next()).await {}
    sleep_until(end).await;
}

/// Lists, and wakes the pods that changed. Tells whether the runtime answered.
async fn list(machine: &Machine) -> bool {
    match machine.listing.refresh().await {
        Ok(changed) => {
            changed.iter().for_each(|uid| machine.wake(uid));
            true
        }
        Err(_) => false,
    }
}

async fn follow_network(machine: &Machine) {
    let mut network = machine.network.subscribe();
    if network.wait_for(Option::is_some).await.is_ok() {
        wake_all(machine);
    }
}

/// While the runtime does not answer nothing is planned, whoever asked it in vain.
async fn follow_listing(machine: &Machine) {
    let mut told = machine.listing.told();
    while told.changed().await.is_ok() {
        if told.borrow_and_update().is_none() {
            wake_all(machine);
        }
    }
}

async fn resync(machine: &Machine) {
    let mut ticks = interval(RESYNC);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        list(machine).await;
        super::cleanup::logs(machine);
        wake_all(machine);
    }
}

async fn save(machine: &Arc<Machine>) {
    machine.pods.wait_synced().await;
    let mut changes = machine.pods.changes();
    loop {
        let saved = machine.clone();
        let write = move || saved.last_known.save(saved.pods.list(), saved.references.objects());
        let written = super::volumes::mounts::blocking(write).await;
        if let Err(error) = written {
            warn!(error, "this node's pods not written down; after a reboot without a quorum they are not run");
        }
        tokio::select! {
            _ = changes.next() => {}
            () = machine.references.changed() => {}
        }
        tokio::time::sleep(SAVE_PAUSE).await;
    }
}
