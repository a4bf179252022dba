//! Asks upstream servers. Main type: [`Forwarder`].
//!
//! Equal questions at the same time are one: that saves work, and a question that comes back to us through others waits for
//! itself and ends with its time-out instead of going round.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use parking_lot::{Mutex, RwLock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use super::cache::{Cache, Key};
use super::message::labels;
use super::upstream::Upstream;
use crate::metrics::Metrics;

/// Wait for one server's answer. Resolvers of the C library wait 5 s for us, so there is time for two.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time for all servers together: after it no client waits any more.
const DEADLINE: Duration = Duration::from_secs(6);

/// Times all servers are asked before the client is told that it failed.
const ROUNDS: usize = 2;

/// Largest answer taken over UDP, in bytes.
const UDP_MAX: u16 = 1232;

/// Nobody answered.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no upstream server answered")]
pub(super) struct Unanswered;

type Outcome = Result<Arc<Message>, Unanswered>;

/// See the file's head.
#[derive(Debug)]
pub(super) struct Forwarder {
    upstream: RwLock<Upstream>,
    cache: Mutex<Cache>,
    flights: Mutex<HashMap<Key, watch::Receiver<Option<Outcome>>>>,
    metrics: Metrics,
}

/// A question under way; whoever waits for it is let go when it ends, however it ends.
struct Flight<'a> {
    forwarder: &'a Forwarder,
    key: Key,
    news: watch::Sender<Option<Outcome>>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.forwarder.flights.lock().remove(&self.key);
    }
}

impl Forwarder {
    pub(super) fn new(upstream: Upstream, metrics: Metrics) -> Self {
        Self { upstream: RwLock::new(upstream), cache: Mutex::default(), flights: Mutex::default(), metrics }
    }

    pub(super) fn set_upstream(&self, upstream: Upstream) {
        let same = *self.upstream.read() == upstream;
        if !same {
            *self.upstream.write() = upstream;
            self.cache.lock().clear();
        }
    }

    /// An answer, from the cache or from upstream.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub(super) async fn ask(&self, query: Query, dnssec: bool, unchecked: bool) -> Outcome {
        let key =
            Key { name: labels(&query.name).join("."), kind: query.query_type.into(), flags: (dnssec, unchecked) };
        if let Some(answer) = self.cache.lock().get(&key, Instant::now()) {
            self.metrics.cached.inc();
            return Ok(answer);
        }
        match self.board(&key) {
            Ok(flight) => {
                let fetched = timeout(DEADLINE, self.fetch(query, dnssec, unchecked)).await;
                let outcome = fetched.unwrap_or(Err(Unanswered));
                match &outcome {
                    Ok(answer) => self.cache.lock().put(key, answer, Instant::now()),
                    Err(Unanswered) => _ = self.metrics.failed.inc(),
                }
                flight.news.send_replace(Some(outcome.clone()));
                outcome
            }
            Err(mut others) => match others.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone().unwrap_or(Err(Unanswered)),
                Err(_) => Err(Unanswered),
            },
        }
    }

    /// Begins a flight, or tells of one that is under way.
    fn board(&self, key: &Key) -> Result<Flight<'_>, watch::Receiver<Option<Outcome>>> {
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.get(key) {
            return Err(flight.clone());
        }
        let (news, follow) = watch::channel(None);
        flights.insert(key.clone(), follow);
        Ok(Flight { forwarder: self, key: key.clone(), news })
    }

    async fn fetch(&self, query: Query, dnssec: bool, unchecked: bool) -> Outcome {
        self.metrics.forwarded.inc();
        let servers = self.upstream.read().servers.clone();
        let mut last = None;
        for server in std::iter::repeat_n(&servers, ROUNDS).flatten() {
            match exchange(*server, &query, dnssec, unchecked).await {
                Ok(answer) if is_usable(&answer) => return Ok(Arc::new(answer)),
                // What a server has no answer for, another may have.
                Ok(answer) => last = Some(answer),
                Err(error) => debug!(%error, %server, name = %query.name, "no answer from upstream"),
            }
        }
        last.map(Arc::new).ok_or(Unanswered)
    }
}

fn is_usable(answer: &Message) -> bool {
    matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
}

async fn exchange(server: SocketAddr, query: &Query, dnssec: bool, unchecked: bool) -> io::Result<Message> {
    let mut message = Message::query();
    message.metadata.id = rand::random();
    message.metadata.recursion_desired = true;
    message.metadata.checking_disabled = unchecked;
    message.add_query(query.clone());
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_MAX);
    edns.set_dnssec_ok(dnssec);
    message.set_edns(edns);
    let packet = message.to_vec().map_err(io::Error::other)?;
    let answer = timeout(TIMEOUT, over_udp(server, &packet, &message)).await??;
    if answer.metadata.truncation {
        return timeout(TIMEOUT, over_tcp(server, &packet, &message)).await?;
    }
    Ok(answer)
}

/// A socket of its own for every question: its port is one more thing to guess for who would forge an answer.
async fn over_udp(server: SocketAddr, packet: &[u8], asked: &Message) -> io::Result<Message> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(packet).await?;
    let mut buffer = [0; UDP_MAX as usize];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = read(&buffer[..length], asked) {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, packet: &[u8], asked: &Message) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(packet.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), packet].concat()).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; length.into()];
    stream.read_exact(&mut buffer).await?;
    read(&buffer, asked).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// The answer in a packet, if it is one to this question.
fn read(packet: &[u8], asked: &Message) -> Option<Message> {
    let answer = Message::from_vec(packet).ok()?;
    let fits = answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == asked.metadata.id
        && answer.queries == asked.queries;
    fits.then_some(answer)
}
