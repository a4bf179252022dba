//! SPDY/3.1 as a server speaks it with kubectl: streams that a client opens, each with headers and bytes both ways.
//! Main item: [`serve`]. Spec: <https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/>. Left out: streams that
//! the server opens, priorities, and windows: the clients there are take no notice of them, so TCP holds back who is too
//! fast; one stream that is not read holds back the others of its connection.

mod frame;

use std::{collections::HashMap, future::Future, io};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

use self::frame::{Frame, Headers, Packer, Unpacker};

/// Streams open at once on one connection: forwarded connections have two each.
const STREAMS_MAX: usize = 1024;

/// Frames that wait for a stream's reader, and for the connection.
const FRAMES_MAX: usize = 4;

/// Streams that wait for whom they are for.
const NEW_MAX: usize = 16;

/// A stream that the client has opened.
pub(super) struct Stream {
    headers: Headers,
    /// What the client writes, to its end.
    pub(super) input: mpsc::Receiver<Bytes>,
    /// What it reads.
    pub(super) output: Output,
}

impl Stream {
    /// A header's value; empty if there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// The server's side of a stream. Of a connection that has ended, nothing is written.
#[derive(Clone)]
pub(super) struct Output {
    id: u32,
    to: mpsc::Sender<Frame>,
}

impl Output {
    /// Writes; waits while the client is slow.
    pub(super) async fn data(&self, data: Bytes) {
        self.send(Frame::Data { stream: self.id, end: false, data }).await;
    }

    /// No more follows.
    pub(super) async fn finish(&self) {
        self.send(Frame::Data { stream: self.id, end: true, data: Bytes::new() }).await;
    }

    /// Gives the stream up.
    pub(super) async fn reset(&self) {
        self.send(Frame::Reset { stream: self.id }).await;
    }

    async fn send(&self, frame: Frame) {
        // Whoever reads the connection learns that it has ended.
        let _ = self.to.send(frame).await;
    }
}

/// The streams of a connection, and what must run for them: it ends with the connection.
pub(super) fn serve<S: AsyncRead + AsyncWrite>(
    io: S,
) -> (mpsc::Receiver<Stream>, impl Future<Output = io::Result<()>>) {
    let (new, streams) = mpsc::channel(NEW_MAX);
    let (to, frames) = mpsc::channel(FRAMES_MAX);
    let (reader, writer) = tokio::io::split(io);
    let running = async move {
        tokio::select! {
            read = read(reader, new, to) => read,
            written = write(writer, frames) => written,
        }
    };
    (streams, running)
}

async fn read<R: AsyncRead + Unpin>(mut from: R, new: mpsc::Sender<Stream>, to: mpsc::Sender<Frame>) -> io::Result<()> {
    let mut unpacker = Unpacker::default();
    let mut open: HashMap<u32, mpsc::Sender<Bytes>> = HashMap::new();
    while let Some(frame) = frame::read(&mut from, &mut unpacker).await? {
        match frame {
            Frame::Open { stream, end, headers } => {
                let output = Output { id: stream, to: to.clone() };
                open.retain(|_, reader| !reader.is_closed());
                if open.len() >= STREAMS_MAX {
                    output.reset().await;
                    continue;
                }
                let (sender, input) = mpsc::channel(FRAMES_MAX);
                if !end {
                    open.insert(stream, sender);
                }
                output.send(Frame::Reply { stream }).await;
                // Nobody wants further streams: the session is ending.
                let _ = new.send(Stream { headers, input, output }).await;
            }
            Frame::Data { stream, end, data } => {
                if let Some(reader) = open.get(&stream).filter(|_| !data.is_empty()) {
                    // One that reads no more misses nothing.
                    let _ = reader.send(data).await;
                }
                if end {
                    open.remove(&stream);
                }
            }
            Frame::Reset { stream } => drop(open.remove(&stream)),
            Frame::Ping(id) => Output { id, to: to.clone() }.send(Frame::Ping(id)).await,
            Frame::GoAway => return Ok(()),
            Frame::Reply { .. } | Frame::Other => {}
        }
    }
    Ok(())
}

async fn write<W: AsyncWrite + Unpin>(mut to: W, mut frames: mpsc::Receiver<Frame>) -> io::Result<()> {
    let mut packer = Packer::new()?;
    while let Some(frame) = frames.recv().await {
        let (head, data) = frame::encode(frame, &mut packer)?;
        to.write_all(&head).await?;
        to.write_all(&data).await?;
        to.flush().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn streams_carry_headers_and_bytes_both_ways() {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (mut streams, connection) = serve(ours);
        let (mut reader, mut writer) = tokio::io::split(theirs);
        let client = async {
            let (mut packer, mut unpacker) = (Packer::new().expect("packs"), Unpacker::default());
            let headers = vec![("streamtype".to_owned(), "stdin".to_owned())];
            let sent = [
                Frame::Open { stream: 1, end: false, headers },
                Frame::Ping(9),
                Frame::Data { stream: 1, end: false, data: Bytes::from_static(b"hello") },
                Frame::Data { stream: 1, end: true, data: Bytes::new() },
            ];
            for frame in sent {
                let (head, data) = frame::encode(frame, &mut packer).expect("encodes");
                writer.write_all(&[head, data].concat()).await.expect("writes");
            }
            let mut seen = Vec::new();
            while seen.len() < 4 {
                seen.push(frame::read(&mut reader, &mut unpacker).await.expect("reads").expect("a frame"));
            }
            writer.shutdown().await.expect("ends");
            seen
        };
        let server = async {
            let mut stream = streams.recv().await.expect("a stream");
            assert_eq!(stream.header("streamtype"), "stdin");
            let mut input = Vec::new();
            while let Some(data) = stream.input.recv().await {
                input.extend_from_slice(&data);
            }
            stream.output.data(input.into()).await;
            stream.output.finish().await;
        };
        let (ended, seen, ()) = tokio::join!(connection, client, server);
        ended.expect("it ends in order");
        assert!(seen.contains(&Frame::Reply { stream: 1 }) && seen.contains(&Frame::Ping(9)), "{seen:?}");
        assert!(seen.contains(&Frame::Data { stream: 1, end: false, data: Bytes::from_static(b"hello") }), "{seen:?}");
        assert!(seen.contains(&Frame::Data { stream: 1, end: true, data: Bytes::new() }), "{seen:?}");
    }
}
