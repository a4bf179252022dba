//! The voter's side: answers a member's questions through the pipeline, as that member's user. Main type: [`Server`].

use std::sync::Arc;

use apiserver::{ApiError, Client};
use futures::future::BoxFuture;
use net::{Caller, Channel, Method, NodeId};
use tokio::sync::Semaphore;
use tracing::debug;

use super::backend::{LocalFeed, answer, follow};
use super::wire::{CALL, Call, News, REQUEST_LIMIT, Reply, Request, Told, WATCH};
use crate::host::Error;

/// Questions of all members that are answered at a time, watches included: 200 nodes with some 40 watched collections
/// each (kinds, and the ConfigMaps and Secrets of their pods).
const EXCHANGES: usize = 8192;

/// News that are sent in one frame, in bytes, unless one alone is larger.
const FRAME_BYTES: usize = 256 << 10;

/// The API of this node, while it serves one.
pub type Local = Arc<dyn Fn() -> Option<Client> + Send + Sync>;

/// The name of a member.
pub type NameOf = Arc<dyn Fn(NodeId) -> Option<String> + Send + Sync>;

/// Answers members' questions.
#[derive(Clone)]
pub struct Server {
    local: Local,
    name_of: NameOf,
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

impl Server {
    /// Answers from this API; members' names come from the replicated membership.
    pub fn new(local: Local, name_of: NameOf) -> Self {
        Self { local, name_of, places: Arc::new(Semaphore::new(EXCHANGES)) }
    }

    /// Whether this is for here.
    pub fn serves(method: Method) -> bool {
        [CALL, WATCH].contains(&method)
    }

    /// Runs one exchange to its end.
    pub fn serve(&self, caller: Caller, method: Method, channel: Channel) -> BoxFuture<'static, ()> {
        let server = self.clone();
        Box::pin(async move {
            let Ok(_place) = server.places.clone().try_acquire_owned() else { return };
            if let Err(error) = server.exchange(caller, method, channel).await {
                debug!(?caller, ?method, %error, "a member's question ended");
            }
        })
    }

    async fn exchange(&self, caller: Caller, method: Method, mut channel: Channel) -> Result<(), Error> {
        let Caller::Member(id, _) = caller else { return Err("only members ask".into()) };
        let name = (self.name_of)(id).ok_or("this member is unknown here")?;
        let question = channel.receive_within(REQUEST_LIMIT).await?.ok_or("no question")?;
        let call = Call::try_from(serde_json::from_slice::<Request>(&question)?)?;
        let client = (self.local)().map(|client| client.of(call.face.user(&name), call.face.agent()));
        match (method == WATCH, client) {
            (false, client) => {
                let reply = match client {
                    None => Reply::Elsewhere,
                    Some(client) => reply(answer(&client, call).await),
                };
                send(&mut channel, &reply).await?;
            }
            (true, None) => send(&mut channel, &[Told::Elsewhere]).await?,
            (true, Some(client)) => stream(channel, follow(&client, call).await).await?,
        }
        Ok(())
    }
}

fn reply(answer: Result<serde_json::Value, ApiError>) -> Reply {
    match answer {
        Ok(object) => Reply::Done(object),
        Err(error) => Reply::Refused(error.status),
    }
}

async fn send(channel: &mut Channel, what: &(impl serde::Serialize + ?Sized)) -> Result<(), Error> {
    channel.send(&serde_json::to_vec(what)?).await?;
    Ok(channel.finish().await?)
}

/// Sends news as they come; the asker's end of its direction ends it.
async fn stream(channel: Channel, feed: Result<LocalFeed, ApiError>) -> Result<(), Error> {
    let (mut asker, mut sender) = channel.split();
    let mut feed = match feed {
        Ok(feed) => feed,
        Err(error) => {
            sender.send(&serde_json::to_vec(&[Told::Failed(error.status)])?).await?;
            return Ok(sender.finish().await?);
        }
    };
    // The asker knows at once that it is answered, however long the first news take.
    sender.send(b"[]").await?;
    loop {
        let news = tokio::select! {
            news = feed.next() => news,
            _ = asker.receive() => return Ok(()),
        };
        let Some(news) = news else { return Ok(sender.finish().await?) };
        for frame in frames(news)? {
            sender.send(&frame).await?;
        }
    }
}

/// JSON arrays of news, near [`FRAME_BYTES`] each.
fn frames(news: Vec<News>) -> Result<Vec<Vec<u8>>, Error> {
    let mut frames = Vec::new();
    let mut frame = Vec::new();
    for piece in news {
        let bytes = serde_json::to_vec(&told(piece))?;
        if !frame.is_empty() && frame.len() + bytes.len() > FRAME_BYTES {
            frame.push(b']');
            frames.push(std::mem::take(&mut frame));
        }
        frame.push(if frame.is_empty() { b'[' } else { b',' });
        frame.extend_from_slice(&bytes);
    }
    if !frame.is_empty() {
        frame.push(b']');
        frames.push(frame);
    }
    Ok(frames)
}

fn told(news: News) -> Told {
    match news {
        News::Put(object) => Told::Put(object),
        News::Gone(object) => Told::Gone(object),
        News::Bookmark { revision, initial } => Told::Bookmark { revision, initial },
        News::Failed(error) => Told::Failed(error.status),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn news_travel_in_frames_of_bounded_size() {
        let large = json!({ "data": "x".repeat(FRAME_BYTES * 2 / 3) });
        let news = vec![News::Put(large.clone()), News::Put(large), News::Bookmark { revision: 1, initial: true }];
        let frames = frames(news).unwrap();
        let pieces: Vec<usize> =
            frames.iter().map(|frame| serde_json::from_slice::<Vec<Told>>(frame).unwrap().len()).collect();
        assert_eq!(pieces, [1, 2]);
    }
}
