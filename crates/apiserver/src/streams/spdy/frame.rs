//! SPDY's frames and its packed headers. Main type: [`Frame`].

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of one frame: clients send some 32 KiB at once.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// Bytes of one frame's headers, and how many there are.
const HEADER_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 64;

/// Bytes of headers unpacked at a time.
const UNPACK_BYTES: usize = 4 << 10;

/// Words of the dictionary that headers are packed with, each with its length, and the text after them (section 2.6.10.1).
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges \
     age allow authorization cache-control connection content-base content-encoding content-language content-length \
     content-location content-md5 content-range content-type date etag expect expires from host if-match \
     if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma \
     proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
     user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie \
     keep-alive origin";
const TEXT: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 \
     Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 \
     Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept \
     Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,\
     application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,\
     sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

/// A control frame of version 3.
const CONTROL: u16 = 0x8003;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;

/// The sender sends no more on this stream.
const END: u8 = 1;

/// Why a stream is given up: it is refused.
const REFUSED_STREAM: u32 = 3;

/// Names and values.
pub(super) type Headers = Vec<(String, String)>;

/// What we send or understand.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Open {
        stream: u32,
        end: bool,
        headers: Headers,
    },
    Reply {
        stream: u32,
    },
    Reset {
        stream: u32,
    },
    Data {
        stream: u32,
        end: bool,
        data: Bytes,
    },
    Ping(u32),
    GoAway,
    /// Settings, windows, further headers.
    Other,
}

/// Reads one frame; `None` at the connection's end.
pub(super) async fn read<R: AsyncRead + Unpin>(from: &mut R, unpacker: &mut Unpacker) -> io::Result<Option<Frame>> {
    let mut head = [0; 8];
    match from.read_exact(&mut head).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read.map(|_| ())?,
    }
    let [a, b, c, d, flags, x, y, z] = head;
    let length = u32::from_be_bytes([0, x, y, z]) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(invalid("a frame that is too long"));
    }
    let mut body = BytesMut::zeroed(length);
    from.read_exact(&mut body).await?;
    let (body, end) = (body.freeze(), flags & END != 0);
    if a & 0x80 == 0 {
        return Ok(Some(Frame::Data { stream: u32::from_be_bytes([a, b, c, d]), end, data: body }));
    }
    if u16::from_be_bytes([a, b]) != CONTROL {
        return Err(invalid("another version"));
    }
    let number = || body.get(..4).map(|id| u32::from_be_bytes([id[0] & 0x7f, id[1], id[2], id[3]]));
    let number = number().ok_or_else(|| invalid("a frame that is too short"));
    Ok(Some(match u16::from_be_bytes([c, d]) {
        SYN_STREAM => {
            let packed = body.get(10..).ok_or_else(|| invalid("a frame that is too short"))?;
            Frame::Open { stream: number?, end, headers: parse(&unpacker.unpack(packed)?)? }
        }
        // Packed with what came before: all must be unpacked.
        SYN_REPLY => {
            unpacker.unpack(body.get(4..).unwrap_or_default())?;
            Frame::Reply { stream: number? }
        }
        HEADERS => {
            unpacker.unpack(body.get(4..).unwrap_or_default())?;
            Frame::Other
        }
        RST_STREAM => Frame::Reset { stream: number? },
        PING => Frame::Ping(body.get(..4).map_or(0, |id| u32::from_be_bytes([id[0], id[1], id[2], id[3]]))),
        GOAWAY => Frame::GoAway,
        _ => Frame::Other,
    }))
}

/// A frame's head, and its data.
pub(super) fn encode(frame: Frame, packer: &mut Packer) -> io::Result<(Bytes, Bytes)> {
    let control = |kind: u16, flags: u8, body: &[u8]| {
        let mut head = BytesMut::with_capacity(8 + body.len());
        head.put_u16(CONTROL);
        head.put_u16(kind);
        head.put_u32((u32::from(flags) << 24) | body.len() as u32);
        head.put_slice(body);
        (head.freeze(), Bytes::new())
    };
    Ok(match frame {
        Frame::Data { stream, end, data } => {
            let mut head = BytesMut::with_capacity(8);
            head.put_u32(stream);
            head.put_u32((u32::from(end) << 24) | data.len() as u32);
            (head.freeze(), data)
        }
        Frame::Open { stream, end, headers } => {
            let rest = [&stream.to_be_bytes()[..], &[0; 6], &packer.pack(&headers)?].concat();
            control(SYN_STREAM, u8::from(end), &rest)
        }
        Frame::Reply { stream } => {
            control(SYN_REPLY, 0, &[&stream.to_be_bytes()[..], &packer.pack(&Vec::new())?].concat())
        }
        Frame::Reset { stream } => {
            control(RST_STREAM, 0, &[stream.to_be_bytes(), REFUSED_STREAM.to_be_bytes()].concat())
        }
        Frame::Ping(id) => control(PING, 0, &id.to_be_bytes()),
        Frame::GoAway => control(GOAWAY, 0, &[0; 8]),
        Frame::Other => (Bytes::new(), Bytes::new()),
    })
}

/// Packs headers; one for all that a connection sends.
pub(super) struct Packer(Compress);

impl Packer {
    pub(super) fn new() -> io::Result<Self> {
        let mut compress = Compress::new(Compression::fast(), true);
        compress.set_dictionary(&dictionary()).map_err(io::Error::other)?;
        Ok(Self(compress))
    }

    fn pack(&mut self, headers: &Headers) -> io::Result<Vec<u8>> {
        let mut plain = BytesMut::new();
        plain.put_u32(headers.len() as u32);
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.put_u32(text.len() as u32);
            plain.put_slice(text.as_bytes());
        }
        // Headers are some hundred bytes: packed they are fewer, or a few more.
        let mut packed = Vec::with_capacity(plain.len() + UNPACK_BYTES);
        self.0.compress_vec(&plain, &mut packed, FlushCompress::Sync).map_err(io::Error::other)?;
        Ok(packed)
    }
}

/// Unpacks headers; one for all that a connection receives.
pub(super) struct Unpacker(Decompress);

impl Default for Unpacker {
    fn default() -> Self {
        Self(Decompress::new(true))
    }
}

impl Unpacker {
    fn unpack(&mut self, packed: &[u8]) -> io::Result<Vec<u8>> {
        let (mut plain, mut rest) = (Vec::new(), packed);
        loop {
            if plain.len() > HEADER_BYTES_MAX {
                return Err(invalid("headers that are too long"));
            }
            plain.reserve(UNPACK_BYTES);
            let before = self.0.total_in();
            let done = self.0.decompress_vec(rest, &mut plain, FlushDecompress::Sync);
            rest = &rest[usize::try_from(self.0.total_in() - before).unwrap_or(rest.len()).min(rest.len())..];
            match done {
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&dictionary()).map_err(io::Error::other)?;
                }
                Err(error) => return Err(io::Error::other(error)),
                // Room is left: there is no more to unpack.
                Ok(_) if rest.is_empty() && plain.len() < plain.capacity() => return Ok(plain),
                Ok(flate2::Status::BufError) if plain.len() < plain.capacity() => {
                    return Err(invalid("damaged headers"));
                }
                Ok(flate2::Status::StreamEnd) => return Err(invalid("headers after their end")),
                Ok(_) => {}
            }
        }
    }
}

fn parse(plain: &[u8]) -> io::Result<Headers> {
    let mut rest = plain;
    let short = || invalid("headers that are too short");
    let number = |rest: &mut &[u8]| -> io::Result<usize> {
        let (number, after) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        *rest = after;
        Ok(u32::from_be_bytes(*number) as usize)
    };
    let text = |rest: &mut &[u8]| -> io::Result<String> {
        let length = number(rest)?;
        let (text, after) = rest.split_at_checked(length).ok_or_else(short)?;
        *rest = after;
        Ok(String::from_utf8_lossy(text).into_owned())
    };
    let count = number(&mut rest)?;
    if count > HEADERS_MAX {
        return Err(invalid("too many headers"));
    }
    (0..count).map(|_| Ok((text(&mut rest)?.to_ascii_lowercase(), text(&mut rest)?))).collect()
}

fn dictionary() -> Vec<u8> {
    let mut dictionary = Vec::new();
    for word in WORDS.split_whitespace() {
        dictionary.extend_from_slice(&(word.len() as u32).to_be_bytes());
        dictionary.extend_from_slice(word.replace('_', " ").as_bytes());
    }
    dictionary.extend_from_slice(TEXT.as_bytes());
    dictionary
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("SPDY: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_the_specifications() {
        let dictionary = dictionary();
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in &dictionary {
            a = (a + u32::from(*byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        // Adler-32, which is how the other end names the dictionary it wants.
        assert_eq!((dictionary.len(), (b << 16) | a), (1423, 0xe3c6_a7c2));
    }

    #[test]
    fn headers_are_packed_one_after_the_other() {
        let (mut packer, mut unpacker) = (Packer::new().expect("packs"), Unpacker::default());
        for count in [0, 1, 3, 40] {
            let headers: Headers = (0..count).map(|n| (format!("name-{n}"), "value".repeat(n))).collect();
            let packed = packer.pack(&headers).expect("packs");
            assert_eq!(parse(&unpacker.unpack(&packed).expect("unpacks")).expect("parses"), headers);
        }
    }

    #[test]
    fn damage_is_refused() {
        assert!(Unpacker::default().unpack(b"no zlib").is_err());
        assert!(parse(&[0, 0, 0]).is_err());
        assert!(parse(&[0, 0, 0, 1, 0, 0, 0, 9, 1]).is_err());
        assert!(parse(&[0xff; 8]).is_err());
    }
}
