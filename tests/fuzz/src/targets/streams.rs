//! Streams of commands and ports.

use super::{texts, wait};
use crate::Target;

/// SPDY's frames, with headers that are unpacked.
pub(super) const SPDY: Target = Target {
    name: "SPDY",
    run: |bytes| _ = wait(apiserver::streams::fuzz::spdy(bytes)),
    seeds: || {
        let ping = [0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1];
        let data = [0, 0, 0, 1, 1, 0, 0, 3, b'a', b'b', b'c'];
        // Zlib's head, that asks for the dictionary, and an empty block.
        let packed = [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2, 0, 0, 0, 0xff, 0xff];
        let mut open = vec![0x80, 3, 0, 1, 0, 0, 0, 10 + packed.len() as u8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        open.extend(packed);
        let end = [0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        vec![ping.to_vec(), [&open[..], &data, &ping, &end].concat(), open]
    },
};

/// A WebSocket's frames.
pub(super) const WEBSOCKET: Target = Target {
    name: "WebSocket",
    run: |bytes| _ = wait(apiserver::streams::fuzz::websocket(bytes)),
    seeds: || {
        let mut all = texts(&["\u{1}\u{2}"]);
        all.push(
            [&[0x82, 0x83, 1, 2, 3, 4, 0, 7, 8][..], &[0x89, 0x80, 0, 0, 0, 0], &[0x88, 0x80, 0, 0, 0, 0]].concat(),
        );
        all.push([&[0x02, 0xfe, 0, 126, 0, 0, 0, 0][..], &[b'x'; 126], &[0x80, 0x80, 0, 0, 0, 0]].concat());
        all
    },
};
