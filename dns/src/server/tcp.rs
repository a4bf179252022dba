//! Questions over TCP: one after the other on each connection. Main function: [`serve`]. Spec: RFC 7766.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::debug;

use super::Shared;
use super::message::{Question, Refused, TCP_MAX};
use super::resolve::{self, Begun};

/// Connections at one address; more wait in the kernel's backlog.
const CONNECTIONS: usize = 256;

/// A connection that says nothing for so long ends, as does one that does not take its answer.
const IDLE: Duration = Duration::from_secs(10);

/// Largest question, in bytes.
const QUESTION_MAX: usize = 4096;

/// Pause after the system could not accept (out of descriptors, say).
const PAUSE: Duration = Duration::from_millis(100);

/// Answers at a listener until dropped.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                shared.metrics.connections.inc();
                let shared = shared.clone();
                connections.spawn(async move {
                    if let Err(error) = converse(&shared, stream).await {
                        debug!(%error, "connection ended");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                debug!(%error, "client not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    while let Some(packet) = timeout(IDLE, read(&mut stream)).await?? {
        let Some(answer) = answer(shared, &packet).await else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        timeout(IDLE, stream.write_all(&[&length.to_be_bytes(), &*answer].concat())).await??;
    }
    Ok(())
}

/// The next question's bytes; `None` where there are no more.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let length: usize = match stream.read_u16().await {
        Ok(length) => length.into(),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > QUESTION_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a question of more than 4096 bytes"));
    }
    let mut packet = vec![0; length];
    stream.read_exact(&mut packet).await?;
    Ok(Some(packet))
}

async fn answer(shared: &Shared, packet: &[u8]) -> Option<Vec<u8>> {
    shared.metrics.requests.inc();
    let question = match Question::read(packet) {
        Ok(question) => question,
        Err(Refused::Answer(bytes)) => return Some(bytes),
        Err(Refused::Dropped) => {
            shared.metrics.dropped.inc();
            return None;
        }
    };
    let message = match shared.zone.with(|zone| resolve::begin(zone, &question)) {
        Begun::Done(message) => {
            shared.metrics.local.inc();
            message
        }
        Begun::Ask(open) => match shared.forwards.clone().try_acquire_owned() {
            Ok(_place) => resolve::finish(shared, &question, open).await,
            Err(_) => question.reply(ResponseCode::ServFail),
        },
    };
    Some(question.encode(message, TCP_MAX))
}
