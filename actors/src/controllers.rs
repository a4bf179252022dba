//! Runs the controllers on the leader. Decided by the crate `controllers`; here are their queues and their hands.
//!
//! Every node has a host per controller, which drops its keys while the node does not lead. A [`Feed`] fills the queues
//! for as long as it does: first every key there is, then those of what changes. So becoming leader, starting and
//! resync are one path, and a deposed leader's last writes are refused by the term they carry.

use std::sync::Arc;
use std::time::Duration;

use controllers::{CONTROLLERS, Controller, Key};

use crate::context::Context;
use crate::host::{Handle, Rules};
use crate::stage::Stage;

mod execute;
mod facts;
mod feed;
mod run;
mod snapshot;

pub use feed::{Feed, feed_rules};
use run::Runner;
use snapshot::Decoded;

/// How long one key may take: a plan is bounded, and each of its writes waits for one commit.
const DEADLINE: Duration = Duration::from_secs(60);

/// The controllers' queues.
#[derive(Clone, Debug)]
pub struct Queues {
    rows: Vec<(&'static Controller, Handle<Key>)>,
    objects: Arc<Decoded>,
}

impl Queues {
    /// Starts the controllers' hosts.
    pub fn start(stage: &Stage, context: &Arc<Context>) -> Self {
        let objects = Arc::new(Decoded::default());
        let host = |controller: &'static Controller| {
            let rules = Rules { name: controller.name, deadline: DEADLINE, resync: None };
            let (context, objects) = (context.clone(), objects.clone());
            let handle = stage.host(rules, move || Runner::new(controller, context.clone(), objects.clone()));
            (controller, handle)
        };
        Self { rows: CONTROLLERS.iter().map(host).collect(), objects }
    }

    /// The hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &Handle<Key>> {
        self.rows.iter().map(|(_, handle)| handle)
    }
}
