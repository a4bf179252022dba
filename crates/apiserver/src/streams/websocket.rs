//! WebSocket frames, as a server reads and writes them. Main types: [`Reader`], [`Writer`].
//! Spec: RFC 6455. Left out: extensions; text is not checked to be UTF-8.

use std::io;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of one message: clients send some 32 KiB at once.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What a key is joined with, RFC 6455, 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The last frame of a message.
const FIN: u8 = 0x80;

/// Status of a close that ends what was begun: anything else fails the client's command.
pub(super) const NORMAL: u16 = 1000;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Text or bytes.
    Data(Bytes),
    /// To be answered with the same.
    Ping(Bytes),
}

/// Answers a client's key.
pub(super) fn accept(key: &str) -> String {
    let joined = format!("{key}{GUID}");
    STANDARD.encode(ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, joined.as_bytes()))
}

/// Reads messages.
pub(super) struct Reader<R> {
    from: R,
    /// Fragments of a message.
    begun: BytesMut,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, begun: BytesMut::new() }
    }

    /// The next message; `None` when the client has closed.
    pub(super) async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            let mut head = [0; 2];
            match self.from.read_exact(&mut head).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                read => read.map(|_| ())?,
            }
            let payload = self.payload(head[1]).await?;
            match (head[0] & 0x0f, head[0] & FIN != 0) {
                (CLOSE, _) => return Ok(None),
                (PING, _) => return Ok(Some(Message::Ping(payload))),
                (PONG, _) => {}
                (TEXT | BINARY, true) => return Ok(Some(Message::Data(payload))),
                (TEXT | BINARY | CONTINUATION, fin) => {
                    if self.begun.len() + payload.len() > MESSAGE_BYTES_MAX {
                        return Err(too_large());
                    }
                    self.begun.extend_from_slice(&payload);
                    if fin {
                        return Ok(Some(Message::Data(self.begun.split().freeze())));
                    }
                }
                (other, _) => return Err(invalid(format!("a frame of kind {other}"))),
            }
        }
    }

    async fn payload(&mut self, length: u8) -> io::Result<Bytes> {
        if length & 0x80 == 0 {
            return Err(invalid("a client's frame without a mask".to_owned()));
        }
        let length = match length & 0x7f {
            126 => self.from.read_u16().await?.into(),
            127 => self.from.read_u64().await?,
            short => short.into(),
        };
        let length =
            usize::try_from(length).ok().filter(|length| *length <= MESSAGE_BYTES_MAX).ok_or_else(too_large)?;
        let mut mask = [0; 4];
        self.from.read_exact(&mut mask).await?;
        let mut payload = BytesMut::zeroed(length);
        self.from.read_exact(&mut payload).await?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Ok(payload.freeze())
    }
}

/// Writes messages.
pub(super) struct Writer<W>(pub(super) W);

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Bytes; of two parts, so that a channel's number costs no copy.
    pub(super) async fn binary(&mut self, first: &[u8], rest: &[u8]) -> io::Result<()> {
        self.frame(BINARY, first, rest).await
    }

    pub(super) async fn text(&mut self, text: &str) -> io::Result<()> {
        self.frame(TEXT, text.as_bytes(), &[]).await
    }

    pub(super) async fn pong(&mut self, payload: &[u8]) -> io::Result<()> {
        self.frame(PONG, payload, &[]).await
    }

    pub(super) async fn close(&mut self, status: u16) -> io::Result<()> {
        self.frame(CLOSE, &status.to_be_bytes(), &[]).await
    }

    async fn frame(&mut self, kind: u8, first: &[u8], rest: &[u8]) -> io::Result<()> {
        let length = first.len() + rest.len();
        let mut frame = BytesMut::with_capacity(length + 10);
        frame.put_u8(FIN | kind);
        match length {
            0..=125 => frame.put_u8(length as u8),
            126..=0xffff => {
                frame.put_u8(126);
                frame.put_u16(length as u16);
            }
            _ => {
                frame.put_u8(127);
                frame.put_u64(length as u64);
            }
        }
        frame.extend_from_slice(first);
        frame.extend_from_slice(rest);
        self.0.write_all(&frame).await?;
        self.0.flush().await
    }
}

fn too_large() -> io::Error {
    invalid(format!("a message over {MESSAGE_BYTES_MAX} bytes"))
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).expect("short")];
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    async fn check(frames: &[Vec<u8>], expect: &[Message], error: bool) {
        let bytes = frames.concat();
        let mut reader = Reader::new(&bytes[..]);
        for message in expect {
            assert_eq!(reader.next().await.expect("reads").as_ref(), Some(message));
        }
        assert_eq!(reader.next().await.is_err(), error);
    }

    #[test]
    fn keys_are_accepted_as_the_specification_says() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[tokio::test]
    async fn messages_are_read_whole_and_nonsense_is_refused() {
        let data = |bytes: &'static [u8]| Message::Data(Bytes::from_static(bytes));
        check(&[masked(0x82, b"ab"), masked(0x81, b"")], &[data(b"ab"), data(b"")], false).await;
        let fragments = [masked(0x02, b"a"), masked(0x89, b"p"), masked(0x00, b"b"), masked(0x80, b"c")];
        check(&fragments, &[Message::Ping(Bytes::from_static(b"p")), data(b"abc")], false).await;
        check(&[masked(0x8a, b""), masked(0x88, b"\x03\xe8"), masked(0x82, b"late")], &[], false).await;
        check(&[vec![0x82, 0x01, b'a']], &[], true).await;
        check(&[masked(0x83, b"a")], &[], true).await;
        let huge = [&[0x82, 0xff][..], &u64::MAX.to_be_bytes()].concat();
        check(&[huge], &[], true).await;
    }

    #[tokio::test]
    async fn lengths_are_written_as_short_as_can_be() {
        for (length, head) in [(1, 2), (125, 2), (126, 4), (0xffff, 4), (0x10000, 10)] {
            let mut writer = Writer(Vec::new());
            writer.binary(&[7], &vec![0; length - 1]).await.expect("writes");
            assert_eq!(writer.0.len(), head + length);
        }
    }
}
