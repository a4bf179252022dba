//! [`net::Dial`] and the serving side over simulated TCP. Main type: [`SimDial`].
//!
//! A channel is one TCP stream whose first bytes say who calls and what for. Identity is believed here: proving it
//! is `net`'s and tested there.

use std::{
    collections::BTreeSet,
    io::{self, Cursor},
    sync::Arc,
};

use futures::future::BoxFuture;
use net::{Caller, Channel, Dial, DialError, Method, NodeId, Protocol, Role, Serve};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};
use turmoil::net::{TcpListener, TcpStream};

use crate::{
    disk::machine_of,
    flaw::Flaw,
    trace,
    weather::{Copied, Exposed, Weather},
};

/// Where nodes listen.
const PORT: u16 = 7443;

/// Protocol, method, caller, callee.
const PREAMBLE: usize = 19;

/// Name of a node's host.
pub fn host(id: NodeId) -> String {
    format!("machine{}", machine_of(id))
}

/// Calls other nodes on behalf of one.
pub struct SimDial {
    from: NodeId,
    flaw: Option<Flaw>,
    weather: Weather,
    /// Those that could not be reached; used by [`Flaw::ForgetPeers`] only.
    forgotten: Mutex<BTreeSet<NodeId>>,
}

impl SimDial {
    /// For the node `from`.
    pub fn new(from: NodeId, flaw: Option<Flaw>, weather: Weather) -> Self {
        Self { from, flaw, weather, forgotten: Mutex::default() }
    }
}

impl Dial for SimDial {
    fn open(&self, to: NodeId, protocol: Protocol, method: Method) -> BoxFuture<'_, Result<Channel, DialError>> {
        Box::pin(async move {
            let late = self.weather.lateness();
            if !late.is_zero() {
                sleep(late).await;
            }
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
    preamble[3..11].copy_from_slice(&from.0.to_le_bytes());
    preamble[11..].copy_from_slice(&to.0.to_le_bytes());
    stream.write_all(&preamble).await?;
    let (reader, writer) = stream.into_split();
    Ok(Channel::new(reader, writer))
}

/// Serves the callers of this node until it crashes. A call to who its machine was before is closed unheard.
///
/// # Errors
/// Where the port is taken.
pub async fn serve(id: NodeId, raft: Arc<dyn Serve>, rpc: Arc<dyn Serve>, weather: Weather) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (raft, rpc, weather) = (raft.clone(), rpc.clone(), weather.clone());
        tokio::spawn(async move {
            let _ = answer(stream, id, raft, rpc, weather).await; // a broken stream is the caller's loss
        });
    }
}

async fn answer(
    mut stream: TcpStream,
    id: NodeId,
    raft: Arc<dyn Serve>,
    rpc: Arc<dyn Serve>,
    weather: Weather,
) -> io::Result<()> {
    let mut preamble = [0; PREAMBLE];
    stream.read_exact(&mut preamble).await?;
    let method = Method(u16::from_le_bytes([preamble[1], preamble[2]]));
    let node = |bytes: &[u8]| NodeId(bytes.iter().rev().fold(0, |id, byte| id << 8 | u64::from(*byte)));
    let from = node(&preamble[3..11]);
    if node(&preamble[11..]) != id {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let is_raft = preamble[0] == Protocol::Raft as u8;
    let service = if is_raft { raft } else { rpc };
    trace::note("call", preamble);
    let (inner, writer) = stream.into_split();
    // Raft promises to stand repeated calls. That a refused proposal surely never happens is promised on the ground that
    // the transport delivers a call once.
    let repeats = weather.repeats().filter(|_| is_raft);
    let copied = repeats.map(|_| Copied::default());
    let caller = || Caller::Member(from, Role::Voter);
    let reader = Exposed { inner, weather, copied: copied.clone() };
    service.clone().serve(caller(), method, Channel::new(reader, writer)).await;
    if let (Some(late), Some(copied)) = (repeats, copied) {
        sleep(late).await;
        let again = Cursor::new(std::mem::take(&mut *copied.lock()));
        service.serve(caller(), method, Channel::new(again, tokio::io::sink())).await; // nobody waits for the answer
    }
    Ok(())
}
