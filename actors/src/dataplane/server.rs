//! Hears orders over the socket: the control process's feed, and questions of commands. Main type: [`Server`].

use std::collections::BTreeSet;
use std::sync::Arc;

use net::NodeId;
use net::dataplane::socket::{Orders, Reports, Server as Connection};
use net::dataplane::wire::ObjectRef;
use net::dataplane::{DataplaneListener, LinkError, Order, Report};
use net::overlay::PathState;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{debug, info};

use super::build;
use super::knowledge::Knowledge;

/// Connections at once: one feeds, commands ask.
const CONNECTIONS_LIMIT: usize = 16;

/// Answers that wait for a slow asker; he asks one thing at a time.
const ANSWERS_LIMIT: usize = 4;

/// How the process is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Another one follows: the kernel keeps all.
    Replaced,
    /// The node runs no pods any more: the kernel forgets all.
    Removed,
}

/// See the file's head.
pub(super) struct Server {
    pub(super) knowledge: Arc<Knowledge>,
    pub(super) end: watch::Sender<Option<End>>,
}

impl Server {
    /// Takes connections for ever.
    pub(super) async fn run(self: Arc<Self>, listener: DataplaneListener) -> LinkError {
        let mut connections = JoinSet::new();
        loop {
            while connections.len() >= CONNECTIONS_LIMIT {
                connections.join_next().await;
            }
            match listener.accept().await {
                Ok(connection) => drop(connections.spawn(self.clone().serve(connection))),
                Err(error) => return error,
            }
            while connections.try_join_next().is_some() {}
        }
    }

    async fn serve(self: Arc<Self>, connection: Connection) {
        if let Err(error) = self.exchange(connection).await {
            debug!(%error, "a connection ended");
        }
    }

    async fn exchange(&self, connection: Connection) -> Result<(), LinkError> {
        let (orders, reports) = connection.greet(build()).await?;
        let (answers, waiting) = mpsc::channel(ANSWERS_LIMIT);
        let (feeds, fed) = watch::channel(false);
        let paths = self.knowledge.paths.subscribe();
        tokio::select! {
            ended = self.hear(orders, &answers, &feeds) => ended,
            ended = report(reports, waiting, fed, paths) => ended,
        }
    }

    async fn hear(
        &self,
        mut orders: Orders,
        answers: &mpsc::Sender<Report>,
        feeds: &watch::Sender<bool>,
    ) -> Result<(), LinkError> {
        // The names of a full list while it lasts, and the mark that somebody feeds.
        let (mut named, mut feeding) = (None::<BTreeSet<ObjectRef>>, None);
        let knowledge = &self.knowledge;
        while let Some(order) = orders.next().await? {
            match order {
                Order::Hello { .. } => {}
                Order::Node(node) => {
                    if feeding.is_none() {
                        info!("fed by a control process");
                    }
                    feeding.get_or_insert_with(|| knowledge.feeding());
                    feeds.send_replace(true);
                    knowledge.set_node(node);
                }
                Order::Peers(peers) => knowledge.set_peers(peers),
                Order::Begin => named = Some(BTreeSet::new()),
                Order::Object { object, json } => {
                    if let Some(named) = &mut named {
                        named.insert(object.clone());
                    }
                    knowledge.set_object(object, json);
                }
                Order::Synced => {
                    if let Some(named) = named.take() {
                        knowledge.retain(&named);
                    }
                }
                // The receiver lives as long as this.
                Order::Observe => drop(answers.send(Report::Status(knowledge.status())).await),
                Order::Stop { remove } => {
                    info!(remove, "asked to end");
                    drop(answers.send(Report::Stopping).await);
                    self.end.send_replace(Some(if remove { End::Removed } else { End::Replaced }));
                }
            }
        }
        Ok(())
    }
}

/// Sends answers, and the paths to whoever feeds.
async fn report(
    mut reports: Reports,
    mut answers: mpsc::Receiver<Report>,
    mut feeds: watch::Receiver<bool>,
    mut paths: watch::Receiver<std::collections::BTreeMap<NodeId, PathState>>,
) -> Result<(), LinkError> {
    loop {
        let told = tokio::select! {
            Some(answer) = answers.recv() => answer,
            // Senders live as long as this.
            Ok(()) = feeds.changed() => known(&mut paths),
            Ok(()) = paths.changed(), if *feeds.borrow() => known(&mut paths),
            else => return Ok(()),
        };
        reports.send(told).await?;
    }
}

fn known(paths: &mut watch::Receiver<std::collections::BTreeMap<NodeId, PathState>>) -> Report {
    let states = paths.borrow_and_update();
    let known = states.iter().filter(|(_, state)| **state != PathState::Unknown);
    Report::Paths(known.map(|(id, state)| (*id, *state == PathState::Alive)).collect())
}
