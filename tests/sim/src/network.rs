//! [`net::Dial`] and the serving side over the simulated network. Main type: [`SimDial`].
//!
//! A channel is one stream whose first bytes say who calls and what for. As over QUIC a connection costs a round trip, once
//! for each life of the callee, and its streams none. Identity is believed here: proving it is `net`'s and tested there.

use std::{
    collections::{BTreeMap, BTreeSet},
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

use crate::{
    disk::machine_of,
    flaw::Flaw,
    stream::{Reader, Writer},
    trace,
    weather::{Copied, Exposed, Weather},
    wire::Wire,
};

/// Protocol, method, caller, callee.
const PREAMBLE: usize = 19;

/// In the place of a protocol: a connection is made.
const GREETING: u8 = u8::MAX;

/// Calls other nodes on behalf of one.
pub struct SimDial {
    from: NodeId,
    flaw: Option<Flaw>,
    weather: Weather,
    wire: Wire,
    /// The life of each machine that a connection stands to.
    connected: Mutex<BTreeMap<u64, u64>>,
    /// Those that could not be reached; used by [`Flaw::ForgetPeers`] only.
    forgotten: Mutex<BTreeSet<NodeId>>,
}

impl SimDial {
    /// For the node `from`.
    pub(crate) fn new(from: NodeId, flaw: Option<Flaw>, weather: Weather, wire: Wire) -> Self {
        Self { from, flaw, weather, wire, connected: Mutex::default(), forgotten: Mutex::default() }
    }

    async fn connect(&self, to: NodeId, protocol: Protocol, method: Method) -> io::Result<Channel> {
        let (here, there) = (machine_of(self.from), machine_of(to));
        let life = self.wire.life(there);
        if self.connected.lock().get(&there) != Some(&life) {
            let (mut reader, mut writer) = self.wire.open(here, there);
            writer.write_all(&[GREETING; PREAMBLE]).await?;
            reader.read_u8().await?;
            self.connected.lock().insert(there, life);
        }
        let (reader, mut writer) = self.wire.open(here, there);
        let mut preamble = [0; PREAMBLE];
        preamble[0] = protocol as u8;
        preamble[1..3].copy_from_slice(&method.0.to_le_bytes());
        preamble[3..11].copy_from_slice(&self.from.0.to_le_bytes());
        preamble[11..].copy_from_slice(&to.0.to_le_bytes());
        writer.write_all(&preamble).await?;
        Ok(Channel::new(reader, writer))
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
                self.connect(to, protocol, method).await
            };
            if opened.is_err() && self.flaw == Some(Flaw::ForgetPeers) {
                self.forgotten.lock().insert(to);
            }
            opened.map_err(|error| DialError::Unreachable { node: to, reason: error.to_string() })
        })
    }
}

/// Serves the callers of this node until it crashes. A call to who its machine was before is closed unheard.
pub(crate) async fn serve(id: NodeId, raft: Arc<dyn Serve>, rpc: Arc<dyn Serve>, weather: Weather, wire: Wire) {
    let mut streams = wire.listen(machine_of(id));
    while let Some(stream) = streams.recv().await {
        let (raft, rpc, weather) = (raft.clone(), rpc.clone(), weather.clone());
        tokio::spawn(async move {
            let _ = answer(stream, id, raft, rpc, weather).await; // a broken stream is the caller's loss
        });
    }
}

async fn answer(
    (mut inner, mut writer): (Reader, Writer),
    id: NodeId,
    raft: Arc<dyn Serve>,
    rpc: Arc<dyn Serve>,
    weather: Weather,
) -> io::Result<()> {
    let mut preamble = [0; PREAMBLE];
    inner.read_exact(&mut preamble).await?;
    if preamble[0] == GREETING {
        return writer.write_u8(GREETING).await;
    }
    let method = Method(u16::from_le_bytes([preamble[1], preamble[2]]));
    let node = |bytes: &[u8]| NodeId(bytes.iter().rev().fold(0, |id, byte| id << 8 | u64::from(*byte)));
    let from = node(&preamble[3..11]);
    if node(&preamble[11..]) != id || writer.wire.refuses(from) {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let is_raft = preamble[0] == Protocol::Raft as u8;
    let service = if is_raft { raft } else { rpc };
    trace::note("call", preamble);
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
