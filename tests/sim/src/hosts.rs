//! Runs hosts in virtual time, one after another on one thread, in steps. Main type: [`Hosts`].
//!
//! Each host is a tokio runtime of its own whose clock stands still until all its tasks wait, and then goes to the next
//! timer: so each can have a clock that is off, and dies with all its tasks.

use std::{collections::BTreeMap, io, time::Duration};

use futures::future::BoxFuture;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
    time::sleep,
};

use crate::{trace, wire::Wire};

/// Virtual time of one step: what the network is precise to, and what each step costs, whatever happens in it.
const STEP: Duration = Duration::from_millis(8);

/// What a host does from when it is switched on; it is over where this ends by itself.
type Software<'a> = Box<dyn Fn(u64) -> BoxFuture<'static, io::Result<()>> + 'a>;

/// The hosts of a run and the network between them.
pub(crate) struct Hosts<'a> {
    pub(crate) wire: Wire,
    software: Software<'a>,
    /// `None`: switched off.
    hosts: BTreeMap<u64, Option<Host>>,
    elapsed: Duration,
}

struct Host {
    runtime: Runtime,
    life: Option<JoinHandle<io::Result<()>>>,
}

impl<'a> Hosts<'a> {
    /// No host yet.
    pub(crate) fn new(wire: Wire, software: impl Fn(u64) -> BoxFuture<'static, io::Result<()>> + 'a) -> Self {
        Self { wire, software: Box::new(software), hosts: BTreeMap::new(), elapsed: Duration::ZERO }
    }

    /// Virtual time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Switches a host on, after having switched it off.
    ///
    /// # Errors
    /// Where the operating system refuses what a runtime needs.
    pub(crate) fn start(&mut self, host: u64) -> io::Result<()> {
        self.stop(host);
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let life = Some(runtime.spawn((self.software)(host)));
        self.hosts.insert(host, Some(Host { runtime, life }));
        Ok(())
    }

    /// Ends all that runs on a host.
    pub(crate) fn stop(&mut self, host: u64) {
        self.hosts.insert(host, None);
    }

    /// Virtual time passes on all hosts, those that are off included.
    ///
    /// # Errors
    /// Why the software of a host ended by itself: an error or a panic; told once.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        self.elapsed += STEP;
        self.wire.tick(self.elapsed);
        trace::at(self.elapsed);
        let mut ended = Ok(());
        for (number, host) in &mut self.hosts {
            // What is sent to a host that is off is sent again until it is back, and then refused.
            let Some(host) = host else { continue };
            let arrived = self.wire.arrived(*number);
            host.runtime.block_on(async {
                for (from, cargo) in arrived {
                    self.wire.hand_over(*number, from, cargo);
                }
                sleep(STEP).await;
            });
            if let Err(why) = host.ended() {
                ended = Err(format!("host {number}: {why}"));
            }
        }
        ended
    }
}

impl Host {
    fn ended(&mut self) -> Result<(), String> {
        match self.life.take_if(|life| life.is_finished()).map(|life| self.runtime.block_on(life)) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(error.to_string()),
            Some(Err(panic)) => Err(panic.to_string()),
        }
    }
}
