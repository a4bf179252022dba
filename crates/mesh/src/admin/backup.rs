//! The node's side of `mesh backup`: the archive's bytes in frames, an empty one at the end. See `actors::backup`.

use actors::Node;
use actors::backup::Backup;
use anyhow::{Result, anyhow};
use net::Channel;
use tokio::sync::mpsc;
use tracing::info;

use super::Answer;
use crate::command::backup::Taken;

/// Pieces that may wait for the command: one is made while one is sent. A slow disk or pipe slows the making down.
const PIECES: usize = 2;

/// Largest frame, in bytes; a piece may need several.
const FRAME_BYTES: usize = 1 << 20;

/// Answers, then sends. A failure on the way ends the channel before the empty frame.
pub(super) async fn send(node: &Node, mut channel: Channel) -> Result<()> {
    let taken = Backup::take(node.context()).await;
    let answer: Answer = match &taken {
        Ok(backup) => {
            let header = backup.header();
            Ok(serde_json::to_value(Taken { cluster: header.cluster.clone(), revision: header.revision })?)
        }
        Err(error) => Err(error.to_string()),
    };
    channel.send(&serde_json::to_vec(&answer)?).await?;
    let Ok(backup) = taken else { return Ok(channel.finish().await?) };
    info!(revision = backup.header().revision, "a backup is taken");
    let (sender, mut pieces) = mpsc::channel(PIECES);
    // Encoding is work; it is done beside what serves clients.
    let making = tokio::task::spawn_blocking(move || {
        for piece in backup.pieces() {
            // The command may have ended.
            if sender.blocking_send(piece).is_err() {
                return;
            }
        }
    });
    while let Some(piece) = pieces.recv().await {
        for frame in piece?.chunks(FRAME_BYTES) {
            channel.send(frame).await?;
        }
    }
    making.await.map_err(|error| anyhow!(error))?;
    channel.send(b"").await?;
    Ok(channel.finish().await?)
}
