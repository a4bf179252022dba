//! Gossip to members: one long-lived channel each, fed by a short queue that loses what does not fit.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{Channel, Dial, Method, NodeId, Protocol};

/// The one method of [`Protocol::Gossip`].
const GOSSIP: Method = Method(0);

/// Messages that may wait for one peer: a round's. Older gossip is worthless.
const QUEUE: usize = 4;

/// A peer that takes no bytes for so long gets a new channel.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause after a peer could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Senders, one task per peer; they end with it.
pub(super) struct Outbound {
    dial: Arc<dyn Dial>,
    queues: HashMap<NodeId, mpsc::Sender<Bytes>>,
    tasks: JoinSet<()>,
}

impl Outbound {
    pub(super) fn new(dial: Arc<dyn Dial>) -> Self {
        Self { dial, queues: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Sends a message, or loses it.
    pub(super) fn send(&mut self, to: NodeId, message: Bytes) {
        while self.tasks.try_join_next().is_some() {}
        // A task ends with the membership of its peer.
        self.queues.retain(|_, queue| !queue.is_closed());
        let queue = self.queues.entry(to).or_insert_with(|| {
            let (queue, messages) = mpsc::channel(QUEUE);
            self.tasks.spawn(feed(self.dial.clone(), to, messages));
            queue
        });
        let _ = queue.try_send(message);
    }
}

async fn feed(dial: Arc<dyn Dial>, to: NodeId, mut messages: mpsc::Receiver<Bytes>) {
    let mut channel: Option<Channel> = None;
    while let Some(message) = messages.recv().await {
        let mut open = match channel.take() {
            Some(open) => open,
            None => match dial.open(to, Protocol::Gossip, GOSSIP).await {
                Ok(opened) => opened,
                Err(crate::DialError::Unknown(_)) => return,
                Err(_) => {
                    sleep(RETRY_PAUSE).await;
                    continue;
                }
            },
        };
        if let Ok(Ok(())) = timeout(SEND_TIMEOUT, open.send(&message)).await {
            channel = Some(open);
        }
    }
}
