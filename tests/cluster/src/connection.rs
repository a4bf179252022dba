//! One HTTPS connection that serves many requests, and streams: [`Connection`]. HTTP/1.1 (RFC 9112) as the API server speaks it.
//! Leaves out trailers, redirects and compression.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustls::{ClientConnection, StreamOwned};
use serde_json::Value;

use crate::access::Access;

/// Longest head of an answer, in bytes.
const HEAD_LIMIT: usize = 64 << 10;

/// Longest body of an answer, or chunk of one, in bytes.
const BODY_LIMIT: usize = 64 << 20;

/// How long a TCP connection may take: a machine that is there answers at once, one that is gone never does.
const CONNECT_LIMIT: Duration = Duration::from_millis(800);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status code.
    pub code: u16,
    /// Names (lower case) and values of its head.
    pub head: Vec<(String, String)>,
    /// Its body; empty where a stream follows.
    pub body: Vec<u8>,
}

impl Answer {
    /// A field of the head.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// The body; null where it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A connection. After an error it is of no more use.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    server: SocketAddr,
    /// What of a stream was read and not yet returned.
    pending: Vec<u8>,
}

impl Connection {
    /// Connects; `limit` bounds each later read and write.
    ///
    /// # Errors
    /// Where the server does not answer or is not the cluster's.
    pub fn open(access: &Access, server: SocketAddr, limit: Duration) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&server, CONNECT_LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        let stream = BufReader::new(StreamOwned::new(access.session(server.ip())?, stream));
        Ok(Self { stream, server, pending: Vec::new() })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// Where the connection ends or stalls: whether the request was carried out is unknown then.
    pub fn ask(&mut self, method: &str, path: &str, media: &str, body: &[u8]) -> Result<Answer> {
        self.send(method, path, media, body)?;
        let mut answer = self.read_head()?;
        let length = answer.header("content-length").map(str::parse::<usize>).transpose()?;
        match length {
            Some(length) => {
                ensure!(length <= BODY_LIMIT, "a body of {length} bytes");
                answer.body.resize(length, 0);
                self.stream.read_exact(&mut answer.body)?;
            }
            None if answer.header("transfer-encoding") == Some("chunked") => {
                while let Some(chunk) = self.chunk()? {
                    answer.body.extend(chunk);
                    ensure!(answer.body.len() <= BODY_LIMIT, "a body of more than {BODY_LIMIT} bytes");
                }
            }
            None => bail!("an answer of unknown length"),
        }
        Ok(answer)
    }

    /// Starts a stream whose lines [`Connection::line`] returns. An answer that is no stream is returned whole.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub fn follow(&mut self, path: &str) -> Result<Answer> {
        self.send("GET", path, "application/json", b"")?;
        let mut answer = self.read_head()?;
        if answer.code != 200 {
            let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            self.stream.by_ref().take(length).read_to_end(&mut answer.body)?;
        }
        Ok(answer)
    }

    /// The next line of a stream; `None` at its end.
    ///
    /// # Errors
    /// Where the connection ends or nothing comes within the limit.
    pub fn line(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let rest = self.pending.split_off(end + 1);
                return Ok(Some(std::mem::replace(&mut self.pending, rest)));
            }
            match self.chunk()? {
                Some(chunk) => self.pending.extend(chunk),
                None => return Ok(None),
            }
            ensure!(self.pending.len() <= BODY_LIMIT, "a line of more than {BODY_LIMIT} bytes");
        }
    }

    fn send(&mut self, method: &str, path: &str, media: &str, body: &[u8]) -> Result<()> {
        let (server, length) = (self.server, body.len());
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {server}\r\nAccept: application/json\r\n\
             Content-Type: {media}\r\nContent-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend(body);
        let stream = self.stream.get_mut();
        stream.write_all(&request)?;
        Ok(stream.flush()?)
    }

    fn read_head(&mut self) -> Result<Answer> {
        let first = self.head_line()?;
        let code = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let code = code.with_context(|| format!("no status line: {first:?}"))?;
        let (mut head, mut bytes) = (Vec::new(), 0);
        loop {
            let line = self.head_line()?;
            bytes += line.len();
            ensure!(bytes <= HEAD_LIMIT, "a head of more than {HEAD_LIMIT} bytes");
            match line.split_once(':') {
                Some((name, value)) => head.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => return Ok(Answer { code, head, body: Vec::new() }),
            }
        }
    }

    fn head_line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.by_ref().take(HEAD_LIMIT as u64).read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the connection ended");
        Ok(line.trim_end().to_owned())
    }

    fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let line = self.head_line()?;
        let length = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
        let length = length.with_context(|| format!("no length of a chunk: {line:?}"))?;
        ensure!(length <= BODY_LIMIT, "a chunk of {length} bytes");
        let mut chunk = vec![0; length];
        self.stream.read_exact(&mut chunk)?;
        ensure!(self.head_line()?.is_empty(), "a chunk of another length");
        Ok((length > 0).then_some(chunk))
    }
}
