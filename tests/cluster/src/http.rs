//! Plain HTTP/1.1 to `kubectl proxy`, for what kubectl itself does not send: [`request`]. RFC 9112.
//! Leaves out keep-alive and trailers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status code.
    pub code: u16,
    /// Head and body, chunked as they came.
    pub text: String,
}

/// Sends one request; `limit` bounds each read and write.
///
/// # Errors
/// Where the connection fails or the answer is no HTTP.
pub fn request(to: SocketAddr, method: &str, path: &str, body: &[u8], limit: Duration) -> Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&to, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    exchange(&mut stream, to, method, path, body)
}

/// Sends one request on a connection and reads the answer to its end.
pub(crate) fn exchange(
    stream: &mut (impl Read + Write),
    to: SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
) -> Result<Reply> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    // A server may answer a body that is too large before it has read it.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        read?;
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let code = text.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status line")?;
    Ok(Reply { code, text })
}
