//! Images from the voters that have them: what an operator imported on one runs on every node. Main types: [`Shelves`], which asks, and
//! [`serve`], which answers. The rule: `docs/adr/027-images-come-from-voters-too.md`.
//!
//! A name's digest is taken from voters only, who hold the cluster's keys anyway: a worker that was broken into gives nobody an image.
//! Only what everybody could have is told of. Left out: layers of registries' images from peers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, FuturesUnordered};
use net::{Channel, Dial, Method, NodeId, Protocol, Role};
use runtime::{Image, ImageSource, Part};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::context::Context;
use crate::host::Error;
use crate::kubelet::pulled::Standing;

/// Which digest does a name mean to the callee?
pub const FIND: Method = Method(0x30);
/// A part of an image that the callee has: frames until it finishes, none where it has no such part.
pub const PART: Method = Method(0x31);

/// Largest question, in bytes: a reference and a digest.
const QUESTION_LIMIT: usize = 4 << 10;

/// Largest answer to [`FIND`], in bytes.
const ANSWER_LIMIT: usize = 1 << 10;

/// Largest frame of a part, in bytes: what containerd reads at once, with room to spare.
const FRAME_LIMIT: usize = 4 << 20;

/// How long a voter may take to say what it has: it is one look into its runtime.
const FIND_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a part may stand still before either side gives it up.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Parts that this node sends at once, so that a large rollout leaves room for other things; more wait.
const PARTS_MAX: usize = 8;

static PARTS: Semaphore = Semaphore::const_new(PARTS_MAX);

/// A question; JSON, whose fields may grow.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    /// In full.
    reference: String,
    /// How the image must have come.
    standing: Standing,
    /// Which part.
    #[serde(default)]
    digest: String,
}

/// Answer to [`FIND`]; JSON, whose fields may grow.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Found {
    /// Of the manifest; none where there is no such image for everybody.
    digest: Option<String>,
}

/// Answers a member.
///
/// # Errors
/// Where the question is none, or the channel or the runtime breaks.
pub async fn serve(context: &Context, method: Method, mut channel: Channel) -> Result<(), Error> {
    let question = channel.receive_within(QUESTION_LIMIT).await?.unwrap_or_default();
    let question: Question = serde_json::from_slice(&question)?;
    let runtime = context.runtime.as_deref().ok_or("this node runs no pods")?;
    let image = runtime.image(&question.reference).await?;
    let image = image.filter(|image| {
        let standing = context.pulled.standing(&image.reference, &image.digest);
        standing.is_some_and(|standing| standing == question.standing)
    });
    if method == FIND {
        channel.send(&serde_json::to_vec(&Found { digest: image.map(|image| image.digest) })?).await?;
    } else if image.is_some() {
        let _place = PARTS.acquire().await?;
        let mut part = runtime.part(&question.reference, &question.digest).await?.ok_or("no such part")?;
        while let Some(frame) = part.next().await {
            timeout(STALL_TIMEOUT, channel.send(&frame?)).await??;
        }
    }
    Ok(channel.finish().await?)
}

/// The voters' images, as a node asks for them.
#[derive(Debug)]
pub struct Shelves {
    context: Arc<Context>,
}

impl Shelves {
    /// The others' than this context's node.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// Fetches an image from the first voter that has it; `None` where none has, or none gives it.
    pub async fn fetch(&self, reference: &str, standing: Standing) -> Option<Image> {
        let runtime = self.context.runtime.as_deref()?;
        let peers = self.context.peers.load();
        let voters = peers.iter().filter(|peer| peer.role == Role::Voter && peer.id != self.context.id());
        let voters = voters.filter(|peer| self.context.liveness.silence(peer.id).is_none());
        let asked: FuturesUnordered<_> = voters
            .map(|peer| async {
                let digest = timeout(FIND_TIMEOUT, self.find(peer.id, reference, standing)).await.ok()?.ok()??;
                Some((peer.id, peer.name.clone(), digest))
            })
            .collect();
        let mut found = asked.filter_map(futures::future::ready);
        while let Some((node, name, digest)) = found.next().await {
            let source = Shelf { context: self.context.clone(), node, reference: reference.to_owned(), standing };
            match runtime.receive(reference, &digest, &source).await {
                Ok(image) => {
                    info!(image = reference, digest, from = name, "image fetched from another node");
                    return Some(image);
                }
                Err(error) => warn!(image = reference, from = name, %error, "image not fetched from another node"),
            }
        }
        None
    }

    async fn find(&self, node: NodeId, reference: &str, standing: Standing) -> Result<Option<String>, Error> {
        let question = Question { reference: reference.to_owned(), standing, digest: String::new() };
        let mut channel = ask(&self.context, node, FIND, &question).await?;
        let answer = channel.receive_within(ANSWER_LIMIT).await?.ok_or("it hung up")?;
        Ok(serde_json::from_slice::<Found>(&answer)?.digest)
    }
}

/// One voter's image.
struct Shelf {
    context: Arc<Context>,
    node: NodeId,
    reference: String,
    standing: Standing,
}

#[async_trait]
impl ImageSource for Shelf {
    async fn part(&self, digest: &str) -> io::Result<Part> {
        let (reference, standing) = (self.reference.clone(), self.standing);
        let question = Question { reference, standing, digest: digest.to_owned() };
        let asking = timeout(STALL_TIMEOUT, ask(&self.context, self.node, PART, &question)).await?;
        let channel = asking.map_err(|error| io::Error::other(error.to_string()))?;
        Ok(stream::try_unfold(channel, |mut channel| async {
            let frame = channel.receive_within(FRAME_LIMIT).await.map_err(io::Error::other)?;
            Ok(frame.map(|frame| (frame, channel)))
        })
        .boxed())
    }
}

async fn ask(context: &Context, node: NodeId, method: Method, question: &Question) -> Result<Channel, Error> {
    let mut channel = context.endpoint.open(node, Protocol::Rpc, method).await?;
    channel.send(&serde_json::to_vec(question)?).await?;
    channel.finish().await?;
    Ok(channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_forms_are_read_and_new_fields_do_no_harm() {
        let question =
            Question { reference: "a.test/b:1".into(), standing: Standing::Imported, digest: "sha256:1".into() };
        let text = r#"{"reference":"a.test/b:1","standing":"imported","digest":"sha256:1"}"#;
        assert_eq!(serde_json::to_string(&question).unwrap(), text);
        assert_eq!(serde_json::from_str::<Question>(&text.replace('}', r#","more":1}"#)).unwrap(), question);
        let found = Found { digest: Some("sha256:1".into()) };
        assert_eq!(serde_json::to_string(&found).unwrap(), r#"{"digest":"sha256:1"}"#);
        assert_eq!(serde_json::from_str::<Found>("{}").unwrap(), Found::default());
    }
}
