//! One stream of append requests over a channel, and its answers: [`answers`]. A channel on which no answer is due at the
//! end is [`Kept`] for the next stream, so that a heartbeat costs a frame each way, and no opening.

use std::{collections::VecDeque, pin::pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use net::channel;
use openraft::{
    errors::RPCError,
    raft::{AppendEntriesRequest, StreamAppendResult},
};
use parking_lot::Mutex;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{CallError, RETRY_PAUSE, broken, unwrap_reply};
use crate::{codec, convert, types::TypeConfig, wire};

/// How long a follower may leave a request unanswered before the channel is given up: many slow disk syncs.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The channel of a stream that ended with every answer received; at most one.
pub(super) type Kept = Arc<Mutex<Option<(channel::Receiver, channel::Sender)>>>;

/// When each request was sent that has no answer yet.
type Waiting = Arc<Mutex<VecDeque<Instant>>>;

type Answer = Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>;

/// Sends what comes in, and gives the answers in their order. Dropping it drops the channel.
pub(super) fn answers(
    input: impl Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
    receiver: channel::Receiver,
    sender: channel::Sender,
    kept: Kept,
) -> impl Stream<Item = Answer> + Send {
    let waiting = Waiting::default();
    let pump = Pump { task: tokio::spawn(pump(input, sender, waiting.clone())), ended: false, sender: None };
    futures::stream::unfold(Some(Exchange { receiver, waiting, pump, kept }), next_answer)
}

/// The task that sends; ends with the stream of answers.
struct Pump {
    task: JoinHandle<Option<channel::Sender>>,
    ended: bool,
    /// Once all is sent.
    sender: Option<channel::Sender>,
}

impl Pump {
    /// Until it has ended; not to be asked again then. May be cancelled.
    async fn end(&mut self) {
        self.sender = (&mut self.task).await.ok().flatten();
        self.ended = true;
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Gives its sender back after the last request; `None` where the channel broke, which the receiving half sees too.
async fn pump(
    mut input: impl Stream<Item = AppendEntriesRequest<TypeConfig>> + Unpin,
    mut sender: channel::Sender,
    waiting: Waiting,
) -> Option<channel::Sender> {
    while let Some(request) = input.next().await {
        waiting.lock().push_back(Instant::now());
        sender.send(&codec::encode(&convert::append_to_wire(request))).await.ok()?;
    }
    Some(sender)
}

struct Exchange {
    receiver: channel::Receiver,
    waiting: Waiting,
    pump: Pump,
    kept: Kept,
}

async fn next_answer(state: Option<Exchange>) -> Option<(Answer, Option<Exchange>)> {
    let mut exchange = state?;
    match exchange.receive().await {
        Ok(None) => {
            exchange.keep();
            None
        }
        Ok(Some(answer)) => {
            let answer = StreamAppendResult::<TypeConfig>::from(answer);
            let rest = answer.is_ok().then_some(exchange);
            Some((Ok(answer), rest))
        }
        Err(error) => {
            sleep(RETRY_PAUSE).await;
            Some((Err(broken(error)), None))
        }
    }
}

impl Exchange {
    /// The next answer, or `None` after the last; there is a deadline only while one is due, since an idle channel is
    /// silent.
    async fn receive(&mut self) -> Result<Option<wire::AppendResponse>, CallError> {
        let Self { receiver, waiting, pump, .. } = self;
        let mut frame = pin!(receiver.receive());
        let frame = loop {
            // With no answer due, no byte of one has come either: giving up `frame` here loses nothing.
            if pump.sender.is_some() && waiting.lock().is_empty() {
                return Ok(None);
            }
            tokio::select! {
                frame = timeout(ANSWER_LIMIT, &mut frame) => if let Ok(frame) = frame {
                    break frame?;
                },
                () = pump.end(), if !pump.ended => {}
            }
            let late = waiting.lock().front().is_some_and(|sent| sent.elapsed() >= ANSWER_LIMIT);
            if late {
                return Err(CallError::Late(ANSWER_LIMIT));
            }
        };
        // Where the peer ended the channel, what was due stays due.
        let Some(frame) = frame else { return Ok(None) };
        waiting.lock().pop_front();
        unwrap_reply(&frame).map(Some)
    }

    /// For the next stream, unless the peer ended it.
    fn keep(mut self) {
        let sender = self.pump.sender.take().filter(|_| self.waiting.lock().is_empty());
        *self.kept.lock() = sender.map(|sender| (self.receiver, sender));
    }
}
