//! Questions over UDP. Main function: [`serve`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tokio::net::UdpSocket;
use tracing::debug;

use super::Shared;
use super::message::{Question, Refused};
use super::resolve::{self, Begun};

/// Largest packet that is read whole: more than any question has.
const PACKET_MAX: usize = 4096;

/// Pause after an error of the socket, so that a lasting one costs little.
const PAUSE: Duration = Duration::from_millis(10);

/// Answers at a socket until dropped.
pub(super) async fn serve(shared: Arc<Shared>, socket: Arc<UdpSocket>) {
    let mut buffer = vec![0; PACKET_MAX];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, client)) => take(&shared, &socket, &buffer[..length], client),
            Err(error) => {
                debug!(%error, "nothing read");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn take(shared: &Arc<Shared>, socket: &Arc<UdpSocket>, packet: &[u8], client: SocketAddr) {
    shared.metrics.requests.inc();
    let question = match Question::read(packet) {
        Ok(question) => question,
        Err(Refused::Answer(bytes)) => return send(shared, socket, &bytes, client),
        Err(Refused::Dropped) => {
            shared.metrics.dropped.inc();
            return;
        }
    };
    let limit = question.udp_limit();
    match shared.zone.with(|zone| resolve::begin(zone, &question)) {
        Begun::Done(message) => {
            shared.metrics.local.inc();
            send(shared, socket, &question.encode(message, limit), client);
        }
        Begun::Ask(open) => {
            let Ok(place) = shared.forwards.clone().try_acquire_owned() else {
                shared.metrics.dropped.inc();
                let full = question.reply(ResponseCode::ServFail);
                return send(shared, socket, &question.encode(full, limit), client);
            };
            // Weakly: a server that ended frees its address at once.
            let (shared, socket) = (shared.clone(), Arc::downgrade(socket));
            tokio::spawn(async move {
                let message = resolve::finish(&shared, &question, open).await;
                if let Some(socket) = socket.upgrade() {
                    send(&shared, &socket, &question.encode(message, limit), client);
                }
                drop(place);
            });
        }
    }
}

/// An answer that the kernel has no room for is lost, as the network could have lost it.
fn send(shared: &Shared, socket: &UdpSocket, bytes: &[u8], client: SocketAddr) {
    if socket.try_send_to(bytes, client).is_err() {
        shared.metrics.dropped.inc();
    }
}
