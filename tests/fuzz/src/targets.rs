//! The table of targets.

mod body;
mod disk;
mod http;
mod names;
mod nodes;
mod streams;
mod who;

use crate::Target;

/// Every target.
pub const TARGETS: &[Target] = &[
    http::PATH,
    http::ACCEPT,
    http::SELECTORS,
    http::CONTINUE,
    who::CERTIFICATE,
    who::TOKEN,
    who::IMPERSONATION,
    body::JSON,
    body::YAML,
    body::PROTOBUF,
    body::PATCHES,
    streams::SPDY,
    streams::WEBSOCKET,
    nodes::FRAMES,
    nodes::JOIN,
    nodes::JOIN_TOKEN,
    names::PACKET,
    disk::LOG,
    disk::COMMAND,
];

/// Texts as inputs.
fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Whatever the bytes are, as text.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs what never waits for anything but bytes that are there.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without drivers").block_on(future)
}
