//! Gossip from members: the served side of [`Protocol::Gossip`](crate::Protocol::Gossip).

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::transport::MESSAGE_LIMIT;
use crate::{Caller, Channel, Method, NodeId, Serve};

/// Puts what members send into the inbox of the gossip that runs at the time.
#[derive(Debug, Default)]
pub(super) struct Inbound(ArcSwapOption<mpsc::Sender<(NodeId, Bytes)>>);

impl Inbound {
    /// From now on into this inbox.
    pub(super) fn connect(&self, inbox: mpsc::Sender<(NodeId, Bytes)>) {
        self.0.store(Some(Arc::new(inbox)));
    }
}

impl Serve for Inbound {
    fn serve(self: Arc<Self>, caller: Caller, _: Method, mut channel: Channel) -> BoxFuture<'static, ()> {
        async move {
            let Caller::Member(node, _) = caller else { return };
            while let Ok(Some(message)) = channel.receive_within(MESSAGE_LIMIT).await {
                let Some(inbox) = self.0.load_full() else { return };
                // A full inbox loses messages, as gossip allows. A closed one ends the stream: its sender opens another,
                // which finds the gossip that runs by then.
                if let Err(TrySendError::Closed(_)) = inbox.try_send((node, message)) {
                    return;
                }
            }
        }
        .boxed()
    }
}
