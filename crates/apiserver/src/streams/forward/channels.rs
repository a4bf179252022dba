//! Port forwarding over a WebSocket's channels, as the Python client asks for it: the ports are named in the query, each is connected to once, and has
//! two channels, `2 * n` for its bytes and `2 * n + 1` for what went wrong. Both begin with the port, two bytes, little-endian.
//! Main items: [`ports`], [`serve`]. Left out: the form in base64.

use std::{io, sync::Arc};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    task::JoinSet,
};

use super::{
    super::{
        Kubelets, Place,
        session::{Idle, QUEUE},
        websocket::{Message, NORMAL, Reader, Writer},
    },
    Sink, refusal, splice,
};
use crate::{http::query::Query, status::ApiError};

/// Its name: a channel's number is the first byte of each message.
pub(super) const PROTOCOL: &str = "v4.channel.k8s.io";

/// Ports of one request: a channel's number is one byte, and each port has two.
const PORTS_MAX: usize = 128;

/// The ports a client asks for, in their order.
pub(super) fn ports(query: &Query) -> Result<Vec<u16>, ApiError> {
    let number = |text: &str| {
        let port = text.parse().map_err(|_| format!("unable to parse {text:?} as a port"))?;
        if port > 0 { Ok(port) } else { Err(format!("port {text:?} must be > 0")) }
    };
    let ports: Result<Vec<u16>, String> = query.all("ports").flat_map(|list| list.split(',')).map(number).collect();
    match ports.map_err(ApiError::bad_request)? {
        ports if ports.is_empty() => Err(ApiError::bad_request("query parameter \"ports\" is required")),
        ports if ports.len() > PORTS_MAX => Err(ApiError::bad_request(format!("at most {PORTS_MAX} ports at once"))),
        ports => Ok(ports),
    }
}

/// One of a WebSocket's channels.
#[derive(Clone)]
pub(super) struct Channel {
    number: u8,
    to: mpsc::Sender<(u8, Bytes)>,
}

impl Channel {
    /// Writes; waits while the client is slow.
    pub(super) async fn give(&self, bytes: Bytes) {
        // Whoever reads the connection learns that it has ended.
        let _ = self.to.send((self.number, bytes)).await;
    }
}

/// Forwards until all connections have ended, or the client has.
pub(super) async fn serve<S: AsyncRead + AsyncWrite>(
    io: S,
    ports: &[u16],
    kubelets: &Arc<dyn Kubelets>,
    place: &Place,
) -> io::Result<()> {
    let (reader, writer) = tokio::io::split(io);
    let (mut reader, mut writer) = (Reader::new(reader), Writer(writer));
    let ((to, mut frames), (pongs, mut pinged)) = (mpsc::channel(QUEUE), mpsc::channel(1));
    let (idle, mut inputs, mut connections) = (Idle::new(), Vec::new(), JoinSet::new());
    for (number, port) in (0..=u8::MAX).step_by(2).zip(ports.iter().copied()) {
        let (input, from) = mpsc::channel(QUEUE);
        inputs.push(input);
        let pair = [number, number + 1].map(|number| Channel { number, to: to.clone() });
        connections.spawn(connect(kubelets.clone(), place.clone(), port, from, pair, idle.clone()));
    }
    drop(to);
    let reading = async {
        while let Some(message) = reader.next().await? {
            match message {
                Message::Ping(payload) => drop(pongs.try_send(payload)),
                Message::Data(data) => {
                    let even = data.first().filter(|channel| **channel % 2 == 0);
                    if let Some(input) = even.and_then(|channel| inputs.get(usize::from(*channel / 2))) {
                        // One that reads no more misses nothing.
                        let _ = input.send(data.slice(1..)).await;
                    }
                }
            }
        }
        Ok(())
    };
    let writing = async {
        loop {
            tokio::select! {
                Some(payload) = pinged.recv() => writer.pong(&payload).await?,
                frame = frames.recv() => match frame {
                    Some((channel, bytes)) => writer.binary(&[channel], &bytes).await?,
                    None => return writer.close(NORMAL).await,
                },
            }
        }
    };
    tokio::select! {
        ended = reading => ended,
        ended = writing => ended,
        () = idle.expired() => Ok(()),
    }
}

/// One port's connection, from its greeting to its end.
async fn connect(
    kubelets: Arc<dyn Kubelets>,
    place: Place,
    port: u16,
    mut from: mpsc::Receiver<Bytes>,
    [data, error]: [Channel; 2],
    idle: Idle,
) {
    for channel in [&data, &error] {
        channel.give(Bytes::copy_from_slice(&port.to_le_bytes())).await;
    }
    if let Err(why) = splice(&*kubelets, (&place, port), &mut from, &Sink::Channel(data), &idle).await {
        error.give(refusal(&place, &port.to_string(), &why)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expect: Result<&[u16], &str>) {
        let found = ports(&Query::parse(query)).map_err(|error| error.status.message.clone());
        assert_eq!(found, expect.map(<[u16]>::to_vec).map_err(str::to_owned), "{query}");
    }

    #[test]
    fn ports_are_read_from_the_query() {
        check("ports=80", Ok(&[80]));
        check("ports=80,443&ports=1", Ok(&[80, 443, 1]));
        check("", Err("query parameter \"ports\" is required"));
        check("ports=x", Err("unable to parse \"x\" as a port"));
        check("ports=0", Err("port \"0\" must be > 0"));
        check("ports=65536", Err("unable to parse \"65536\" as a port"));
        let many = ["1"; 129].join(",");
        check(&format!("ports={many}"), Err("at most 128 ports at once"));
    }
}
