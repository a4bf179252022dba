//! Where a node's questions are answered: here, or by a voter. Main type: [`Members`], behind [`Backend`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::api::kinds::Kind;
use apiserver::pipeline::Items;
use apiserver::route::Verb;
use apiserver::verbs::watch::{Change, Feed as ApiFeed};
use apiserver::{ApiError, Client, object};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use net::{Channel, Dial, Method, NodeId, Protocol};
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::debug;

use super::server::Local;
use super::wire::{CALL, Call, Face, News, Reply, Request, Told, WATCH};
use crate::host::Error;

/// How long a voter may take for one answer: its own waiting for a quorum (10 s) and a slow network.
const ANSWER_PATIENCE: Duration = Duration::from_secs(15);

/// Pieces of news of a collection as they come; its end says nothing: follow it anew.
pub type Feed = BoxStream<'static, Vec<News>>;

/// Answers a node's questions.
pub trait Backend: Send + Sync + 'static {
    /// One question, one answer: the object, or a `List`.
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Value, ApiError>>;
    /// Follows a collection.
    fn watch(&self, call: Call) -> BoxFuture<'_, Result<Feed, ApiError>>;
}

/// Who votes, but for this node.
pub type Voters = Arc<dyn Fn() -> Vec<NodeId> + Send + Sync>;

/// The cluster's voters, this node first if it is one.
pub struct Members {
    /// Name of this node.
    pub name: String,
    /// The API here, if there is one now.
    pub local: Local,
    /// Opens channels.
    pub dial: Arc<dyn Dial>,
    /// Whom to ask.
    pub voters: Voters,
    /// Where in the list of voters to start: the one that answered last.
    first: AtomicUsize,
}

impl Members {
    /// Puts the parts together.
    pub fn new(name: String, local: Local, dial: Arc<dyn Dial>, voters: Voters) -> Self {
        Self { name, local, dial, voters, first: AtomicUsize::new(0) }
    }

    fn client(&self, face: Face) -> Option<Client> {
        (self.local)().map(|client| client.of(face.user(&self.name), face.agent()))
    }

    /// Asks one voter after the other until one answers.
    async fn ask<T>(
        &self,
        method: Method,
        call: &Call,
        read: impl AsyncFn(Channel) -> Result<Option<T>, Error>,
    ) -> Result<T, ApiError> {
        let request = serde_json::to_vec(&Request::from(call)).map_err(ApiError::internal)?;
        let voters = (self.voters)();
        let first = self.first.load(Ordering::Relaxed);
        let mut why = String::from("no voter is known");
        for turn in 0..voters.len() {
            let at = (first + turn) % voters.len();
            let asked = async {
                let mut channel = self.dial.open(voters[at], Protocol::Rpc, method).await?;
                channel.send(&request).await?;
                read(channel).await
            };
            match timeout(ANSWER_PATIENCE, asked).await {
                Ok(Ok(Some(answer))) => {
                    self.first.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Ok(None)) => why = format!("{} serves no API just now", voters[at]),
                Ok(Err(error)) => why = error.to_string(),
                Err(_) => why = format!("{} gave no answer within {ANSWER_PATIENCE:?}", voters[at]),
            }
            debug!(voter = %voters[at], why, "a voter did not answer");
        }
        Err(ApiError::unavailable(format!("no voter answered: {why}")))
    }
}

impl Backend for Members {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Value, ApiError>> {
        Box::pin(async move {
            if let Some(client) = self.client(call.face) {
                return answer(&client, call).await;
            }
            let read = async |mut channel: Channel| {
                channel.finish().await?;
                let frame = channel.receive().await?.ok_or("the voter broke off")?;
                Ok(match serde_json::from_slice(&frame)? {
                    Reply::Done(object) => Some(Ok(object)),
                    Reply::Refused(status) => Some(Err(ApiError::from(*status))),
                    Reply::Elsewhere => None,
                })
            };
            self.ask(CALL, &call, read).await?
        })
    }

    fn watch(&self, call: Call) -> BoxFuture<'_, Result<Feed, ApiError>> {
        Box::pin(async move {
            if let Some(client) = self.client(call.face) {
                let feed = follow(&client, call).await?;
                let feed = stream::unfold(feed, |mut feed| async move { Some((feed.next().await?, feed)) });
                return Ok(feed.boxed());
            }
            let read = async |mut channel: Channel| {
                let frame = channel.receive().await?.ok_or("the voter broke off")?;
                Ok(news(&frame)?.map(|first| (first, channel)))
            };
            let (first, channel) = self.ask(WATCH, &call, read).await?;
            let rest = stream::unfold(channel, |mut channel| async move {
                let frame = channel.receive().await.ok()??;
                Some((news(&frame).ok()??, channel))
            });
            Ok(stream::iter([first]).chain(rest).boxed())
        })
    }
}

/// `None` where the voter serves no API.
fn news(frame: &[u8]) -> Result<Option<Vec<News>>, Error> {
    let told: Vec<Told> = serde_json::from_slice(frame)?;
    let piece = |told| match told {
        Told::Put(object) => Some(News::Put(object)),
        Told::Gone(object) => Some(News::Gone(object)),
        Told::Bookmark { revision, initial } => Some(News::Bookmark { revision, initial }),
        Told::Failed(status) => Some(News::Failed(ApiError::from(*status))),
        Told::Elsewhere => None,
    };
    Ok(told.into_iter().map(piece).collect())
}

/// Answers one question through the pipeline.
pub(super) async fn answer(client: &Client, call: Call) -> Result<Value, ApiError> {
    let Call { kind, namespace, name, part, patch, body, .. } = &call;
    let parameters: Vec<(&str, &str)> = call.parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    match call.verb {
        Verb::Get => client.get(kind, namespace, name).await,
        Verb::List => Ok(list(kind, &client.list(kind, namespace, &parameters).await?)),
        Verb::Create if part.is_empty() => client.create(kind, namespace, body).await,
        Verb::Create => client.create_part(kind, namespace, name, part, body).await,
        Verb::Update => client.update(kind, part, body).await,
        Verb::Patch => client.patch(kind, namespace, name, part, body, *patch).await,
        Verb::Delete => client.delete(kind, namespace, name, body).await,
        Verb::Watch | Verb::DeleteCollection | Verb::Options => Err(ApiError::method_not_allowed()),
    }
}

fn list(kind: &Kind, items: &Items) -> Value {
    let objects: Vec<Value> = items.records.iter().map(|record| object::served(kind, record)).collect();
    json!({
        "apiVersion": kind.api_version(),
        "kind": kind.list_kind,
        "metadata": { "resourceVersion": items.revision.0.to_string(), "continue": items.continue_token },
        "items": objects,
    })
}

/// Follows a collection through the pipeline.
pub(super) async fn follow(client: &Client, call: Call) -> Result<LocalFeed, ApiError> {
    let parameters: Vec<(&str, &str)> = call.parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let feed = client.watch(call.kind, &call.namespace, &parameters).await?;
    Ok(LocalFeed { kind: call.kind, feed })
}

/// News of a collection of this node's own API.
pub(super) struct LocalFeed {
    kind: &'static Kind,
    feed: Box<ApiFeed>,
}

impl LocalFeed {
    pub(super) async fn next(&mut self) -> Option<Vec<News>> {
        let changes = self.feed.next().await?;
        Some(changes.into_iter().map(|change| self.news(change)).collect())
    }

    fn news(&self, change: Change) -> News {
        match change {
            Change::Added(record) | Change::Modified(record) => News::Put(object::served(self.kind, &record)),
            Change::Deleted(record, revision) => {
                let mut gone = object::decode_at(&record, revision);
                self.kind.from_storage(&mut gone);
                News::Gone(gone)
            }
            Change::Bookmark { revision, initial } => News::Bookmark { revision: revision.0, initial },
            Change::Failed(error) => News::Failed(error),
        }
    }
}
