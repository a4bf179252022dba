//! What nodes say to each other before they know each other, and the frames all of it travels in.

use net::{Channel, Token};

use super::{text, texts, wait};
use crate::Target;

/// Frames of a channel.
pub(super) const FRAMES: Target = Target {
    name: "frames between nodes",
    run: |bytes| {
        let mut channel = Channel::new(std::io::Cursor::new(bytes.to_vec()), tokio::io::sink());
        wait(async { while let Ok(Some(_)) = channel.receive().await {} });
    },
    seeds: || vec![[&3u32.to_le_bytes()[..], b"abc", &0u32.to_le_bytes(), &1u32.to_le_bytes(), b"z"].concat()],
};

/// Requests to join, and the answers to them.
pub(super) const JOIN: Target = Target {
    name: "join request and reply",
    run: |bytes| {
        let _ = net::fuzz::join_request(bytes);
        let _ = net::fuzz::join_reply(bytes);
    },
    seeds: || vec![vec![0; 96], vec![1; 96]],
};

/// The token of a line to join.
pub(super) const JOIN_TOKEN: Target = Target {
    name: "join token",
    run: |bytes| {
        if let Ok(token) = text(bytes).parse::<Token>() {
            assert!(token.to_string().starts_with("mesh1."), "it is told as it is read");
        }
    },
    seeds: || {
        let part = |letters: usize| "a".repeat(letters);
        let token = format!("mesh1.{}.{}.{}", part(52), part(16), part(26));
        texts(&[&token, "mesh1...", "mesh2.a.b.c"])
    },
};
