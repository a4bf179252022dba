//! How the engine comes by tunnels: dialing, accepting, judging, and telling which paths are dead.

use std::{sync::Arc, time::Duration};

use quinn::{ConnectionError, Incoming};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::{debug, error, info};

use super::{
    PathState,
    engine::Engine,
    peers::{Origin, Slot},
    tunnel::{Tunnel, code},
};
use crate::{
    Caller, Protocol,
    callers::opens,
    pool::connect_any,
    tls::{self, Expect},
};

/// Silence after which a path is dead.
const DEAD_AFTER: Duration = Duration::from_secs(3);

/// The node with the higher id lets the other dial first, so that two connections are seldom made.
const LET_THE_OTHER_DIAL: Duration = Duration::from_millis(250);

/// Time between dials: grows from one to the other, each with jitter.
const REDIAL_FIRST: Duration = Duration::from_millis(100);
const REDIAL_MAX: Duration = Duration::from_secs(2);

/// Handshakes under way at once: 200 nodes that come back at once fit.
const HANDSHAKES: usize = 512;

/// From so many on, a peer must first show that it receives at the address it sends from (RFC 9000 §8.1.2).
const HANDSHAKES_UNVALIDATED: usize = 128;

/// A handshake takes a round trip or two.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// Of two tunnels the other one is read for so long yet.
const CLOSE_OTHER_AFTER: Duration = Duration::from_secs(1);

impl Engine {
    /// Puts a tunnel to use whose peer is proven. Both sides may dial at once and judge at different times, so that one which is not
    /// preferred is read a while yet: the peer may have sent on it.
    fn adopt(self: &Arc<Self>, slot: &Arc<Slot>, origin: Origin, tunnel: &Arc<Tunnel>) {
        debug!(peer = %slot.id, dialed_by = %origin.dialed_by, "tunnel up");
        tokio::spawn(self.clone().downlink(slot.clone(), tunnel.clone()));
        if let Some(other) = slot.adopt(self.me, origin, tunnel.clone()) {
            tokio::spawn(async move {
                sleep(CLOSE_OTHER_AFTER).await;
                other.close(code::DUPLICATE, "another connection is preferred");
            });
        }
    }

    /// Accepts until the endpoint closes.
    pub(super) async fn accept(self: Arc<Self>) {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        while let Some(incoming) = self.endpoint.accept().await {
            let busy = handshakes.available_permits() < HANDSHAKES - HANDSHAKES_UNVALIDATED;
            if busy && !incoming.remote_address_validated() && incoming.may_retry() {
                let _ = incoming.retry();
                continue;
            }
            match handshakes.clone().try_acquire_owned() {
                Ok(permit) => drop(tokio::spawn(self.clone().greet(incoming, permit))),
                Err(_) => incoming.refuse(),
            }
        }
    }

    /// Judges one that dialed, by its proven key.
    async fn greet(self: Arc<Self>, incoming: Incoming, _permit: OwnedSemaphorePermit) {
        let address = incoming.remote_address();
        let Ok(connecting) = incoming.accept() else { return };
        let Ok(Ok(connection)) = timeout(HANDSHAKE_TIMEOUT, connecting).await else {
            return debug!(%address, "handshake failed or took too long");
        };
        let caller = match tls::proven_key(connection.peer_identity()) {
            Some(key) => self.table.load().caller(&key),
            None => Caller::Anonymous,
        };
        let slot = match caller {
            Caller::Member(id, _) if opens(Protocol::Pods, caller) => self.directory.slot(id),
            _ => None,
        };
        let tunnel = Tunnel::new(connection);
        let Some(slot) = slot else {
            debug!(%address, ?caller, "caller refused");
            return tunnel.close(code::REFUSED, "not a member");
        };
        match tunnel.greeted().await {
            Ok(instance) => self.welcome(&slot, Origin { dialed_by: slot.id, instance }, tunnel),
            Err(reason) => debug!(%address, %reason, "caller did not greet"),
        }
    }

    /// Greets one that dialed, and puts its tunnel to use.
    fn welcome(self: &Arc<Self>, slot: &Arc<Slot>, origin: Origin, tunnel: Tunnel) {
        let tunnel = Arc::new(tunnel);
        match tunnel.greet(self.instance) {
            Ok(()) => self.adopt(slot, origin, &tunnel),
            Err(reason) => debug!(peer = %slot.id, %reason, "not greeted"),
        }
    }

    /// Keeps the way to one peer, for as long as it is one.
    pub(super) async fn keep(self: Arc<Self>, slot: Arc<Slot>) {
        let mut silent_since = Instant::now();
        loop {
            self.seek(&slot, silent_since + DEAD_AFTER).await;
            self.directory.tell(slot.id, PathState::Alive);
            while let Some(tunnel) = slot.standing() {
                let reason = tunnel.closed().await;
                silent_since = Instant::now();
                if reason == ConnectionError::TimedOut {
                    silent_since -= DEAD_AFTER;
                }
                debug!(peer = %slot.id, %reason, "tunnel down");
            }
        }
    }

    /// Waits for a tunnel that stands, dialing all the while. The path is told dead when its time has come.
    async fn seek(self: &Arc<Self>, slot: &Arc<Slot>, dead_at: Instant) {
        let mut adopted = slot.adopted.subscribe();
        let dying = async {
            sleep_until(dead_at).await;
            info!(peer = %slot.id, "no way to this node");
            self.directory.tell(slot.id, PathState::Dead);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = self.dial(slot) => {}
            () = dying => {}
            // The sender is the slot's own.
            _ = adopted.wait_for(|_| slot.standing().is_some()) => {}
        }
    }

    async fn dial(self: &Arc<Self>, slot: &Arc<Slot>) {
        let mut pause = if self.me < slot.id { Duration::ZERO } else { LET_THE_OTHER_DIAL };
        while slot.standing().is_none() {
            sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            // Not broken off when the other side's dial succeeds first: it may have given up its own for this one.
            let dialing = tokio::spawn(self.clone().dial_once(slot.clone()));
            if let Err(error) = dialing.await {
                error!(%error, "dialing panicked");
            }
            pause = (pause * 2).clamp(REDIAL_FIRST, REDIAL_MAX);
        }
    }

    async fn dial_once(self: Arc<Self>, slot: Arc<Slot>) {
        match self.connect(&slot).await {
            Ok((origin, tunnel)) => self.adopt(&slot, origin, &Arc::new(tunnel)),
            Err(reason) => debug!(peer = %slot.id, %reason, "not reached"),
        }
    }

    async fn connect(&self, slot: &Slot) -> Result<(Origin, Tunnel), String> {
        let peer = slot.peer.load_full();
        let client = tls::client(self.credentials.clone(), Protocol::Pods, Expect::Key(peer.key));
        let mut config = quinn::ClientConfig::new(Arc::new(client.map_err(|error| error.to_string())?));
        config.transport_config(self.transport.clone());
        let tunnel = Tunnel::new(connect_any(&self.endpoint, &config, &peer.addresses).await?);
        tunnel.greet(self.instance).map_err(|error| error.to_string())?;
        let instance = tunnel.greeted().await.map_err(|error| error.to_string())?;
        Ok((Origin { dialed_by: self.me, instance }, tunnel))
    }
}
