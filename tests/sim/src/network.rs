//! [`net::Dial`] and the serving side over simulated TCP. Main type: [`SimDial`].
//!
//! A channel is one TCP stream whose first bytes say who calls and what for. Identity is believed here: proving it
//! is `net`'s and tested there.

use std::{collections::BTreeSet, io, sync::Arc};

use futures::future::BoxFuture;
use net::{Caller, Channel, Dial, DialError, Method, NodeId, Protocol, Role, Serve};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream};

use crate::{plan::Flaw, trace};

/// Where nodes listen.
const PORT: u16 = 7443;

/// Protocol, method, caller.
const PREAMBLE: usize = 11;

/// Name of a node's host.
pub fn host(id: NodeId) -> String {
    format!("node{}", id.0)
}

/// Calls other nodes on behalf of one.
pub struct SimDial {
    from: NodeId,
    flaw: Option<Flaw>,
    /// Those that could not be reached; used by [`Flaw::ForgetPeers`] only.
    forgotten: Mutex<BTreeSet<NodeId>>,
}

impl SimDial {
    /// For the node `from`.
    pub fn new(from: NodeId, flaw: Option<Flaw>) -> Self {
        Self { from, flaw, forgotten: Mutex::default() }
    }
}

impl Dial for SimDial {
    fn open(&self, to: NodeId, protocol: Protocol, method: Method) -> BoxFuture<'_, Result<Channel, DialError>> {
        Box::pin(async move {
            let forgotten = self.forgotten.lock().contains(&to);
            let opened = if forgotten {
                Err(io::ErrorKind::NotConnected.into())
            } else {
                connect(self.from, to, protocol, method).await
            };
            if opened.is_err() && self.flaw == Some(Flaw::ForgetPeers) {
                self.forgotten.lock().insert(to);
            }
            opened.map_err(|error| DialError::Unreachable { node: to, reason: error.to_string() })
        })
    }
}

async fn connect(from: NodeId, to: NodeId, protocol: Protocol, method: Method) -> io::Result<Channel> {
    let mut stream = TcpStream::connect((host(to), PORT)).await?;
    let mut preamble = [0; PREAMBLE];
    preamble[0] = protocol as u8;
    preamble[1..3].copy_from_slice(&method.0.to_le_bytes());
    preamble[3..].copy_from_slice(&from.0.to_le_bytes());
    stream.write_all(&preamble).await?;
    let (reader, writer) = stream.into_split();
    Ok(Channel::new(reader, writer))
}

/// Serves this host's callers until it crashes.
///
/// # Errors
/// Where the port is taken.
pub async fn serve(raft: Arc<dyn Serve>, rpc: Arc<dyn Serve>) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (raft, rpc) = (raft.clone(), rpc.clone());
        tokio::spawn(async move {
            let _ = answer(stream, raft, rpc).await; // a broken stream is the caller's loss
        });
    }
}

async fn answer(mut stream: TcpStream, raft: Arc<dyn Serve>, rpc: Arc<dyn Serve>) -> io::Result<()> {
    let mut preamble = [0; PREAMBLE];
    stream.read_exact(&mut preamble).await?;
    let method = Method(u16::from_le_bytes([preamble[1], preamble[2]]));
    let from = NodeId(preamble[3..].iter().rev().fold(0, |id, byte| id << 8 | u64::from(*byte)));
    let service = if preamble[0] == Protocol::Raft as u8 { raft } else { rpc };
    trace::note("call", preamble);
    let (reader, writer) = stream.into_split();
    service.serve(Caller::Member(from, Role::Voter), method, Channel::new(reader, writer)).await;
    Ok(())
}
