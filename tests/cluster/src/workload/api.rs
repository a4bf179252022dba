//! A client of the Kubernetes API that moves on to the next node when one fails: [`Api`]. It never asks twice by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::access::Access;
use crate::connection::{Answer, Connection};

/// How long a request may take before its outcome counts as unknown.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// After a failed request: what refuses connections would otherwise be asked thousands of times a second.
const PAUSE: Duration = Duration::from_millis(20);

/// One client, at one node at a time.
#[derive(Debug)]
pub struct Api {
    access: Access,
    nodes: Arc<[SocketAddr]>,
    at: usize,
    connection: Option<Connection>,
}

impl Api {
    /// A client that begins at this node.
    pub fn new(access: Access, nodes: Arc<[SocketAddr]>, at: usize) -> Self {
        Self { access, at: at % nodes.len(), nodes, connection: None }
    }

    /// Asks once.
    ///
    /// # Errors
    /// Where no answer came; the next request goes to the next node.
    pub fn ask(&mut self, method: &str, path: &str, media: &str, body: &str) -> Result<Answer> {
        let server = self.nodes[self.at];
        let asked = self.connected(server, REQUEST_LIMIT);
        let asked = asked.and_then(|connection| connection.ask(method, path, media, body.as_bytes()));
        if asked.is_err() {
            self.move_on();
        }
        asked.with_context(|| format!("{method} {path} at {server}"))
    }

    /// Starts a stream; `silence` bounds the time between two lines.
    ///
    /// # Errors
    /// As [`Api::ask`].
    pub fn follow(&mut self, path: &str, silence: Duration) -> Result<(Answer, Connection)> {
        let server = self.nodes[self.at];
        let followed = Connection::open(&self.access, server, silence)
            .and_then(|mut connection| Ok((connection.follow(path)?, connection)));
        if followed.is_err() {
            self.move_on();
        }
        followed.with_context(|| format!("GET {path} at {server}"))
    }

    /// Leaves this node for the next.
    pub fn move_on(&mut self) {
        self.connection = None;
        self.at = (self.at + 1) % self.nodes.len();
        // awaited: a node that comes back, which tells nobody
        std::thread::sleep(PAUSE);
    }

    fn connected(&mut self, server: SocketAddr, limit: Duration) -> Result<&mut Connection> {
        if self.connection.is_none() {
            self.connection = Some(Connection::open(&self.access, server, limit)?);
        }
        self.connection.as_mut().context("it is connected")
    }
}
