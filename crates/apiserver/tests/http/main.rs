//! The server as clients meet it: real TLS on a real socket, HTTP/1.1 and HTTP/2, over a store in memory.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail loudly")]

mod answers;
mod cluster;
mod endings;
mod faulty;
mod identity;
mod limits;
mod protobuf;
mod proxy;
mod replay;
mod watches;
mod wire;
