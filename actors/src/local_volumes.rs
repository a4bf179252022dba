//! Data of volumes that are folders of a node, `<dataDir>/volumes/<handle>`, removed once their claims are gone. Main functions:
//! [`remove`], which asks the node that has it, and [`serve`], which answers. The rule: `docs/adr/035-volumes-are-folders-of-a-node.md`.
//!
//! Only voters may ask, as only they carry out what controllers decide.

use std::time::Duration;

use kubelet::volume::is_plain;
use net::{Channel, Dial, Method, NodeId, Protocol};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tracing::info;

use crate::context::Context;
use crate::host::Error;
use crate::kubelet::{
    machine::Places,
    volumes::{kept, mounts::blocking},
};

/// The callee removes a volume; answered once it is gone.
pub const REMOVE: Method = Method(0x210);

/// Largest question, in bytes: a handle is the name of a folder.
const QUESTION_LIMIT: usize = 4 << 10;

/// Largest answer, in bytes: an error in a sentence.
const ANSWER_LIMIT: usize = 4 << 10;

/// How long a node may take. What is not removed by then goes on, and is asked for again.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A question; JSON, whose fields may grow.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    /// Name of the folder.
    handle: String,
}

/// An answer; JSON, whose fields may grow.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    /// Why it is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Has a node remove a volume and all that is in it. That it is gone counts as done, and so does that the node is no member
/// any more: nobody will ask for what it kept.
///
/// # Errors
/// Where the node does not answer, or its disk refuses.
pub async fn remove(context: &Context, node: &str, handle: &str) -> Result<(), Error> {
    let Some(member) = context.peers.load().iter().find(|peer| peer.name == node).map(|peer| peer.id) else {
        return Ok(());
    };
    if member == context.id() {
        return remove_here(context, handle).await;
    }
    let answer =
        timeout(TIMEOUT, ask(context, member, handle)).await.map_err(|_| format!("{node} did not answer"))??;
    answer.error.map_or(Ok(()), |error| Err(error.into()))
}

async fn ask(context: &Context, node: NodeId, handle: &str) -> Result<Answer, Error> {
    let mut channel = context.endpoint.open(node, Protocol::Rpc, REMOVE).await?;
    channel.send(&serde_json::to_vec(&Question { handle: handle.to_owned() })?).await?;
    channel.finish().await?;
    let answer = channel.receive_within(ANSWER_LIMIT).await?.ok_or("it hung up")?;
    Ok(serde_json::from_slice(&answer)?)
}

/// Answers a voter.
///
/// # Errors
/// Where the question is none, or the channel breaks.
pub async fn serve(context: &Context, mut channel: Channel) -> Result<(), Error> {
    let question = channel.receive_within(QUESTION_LIMIT).await?.unwrap_or_default();
    let Question { handle } = serde_json::from_slice(&question)?;
    let error = remove_here(context, &handle).await.err().map(|error| error.to_string());
    channel.send(&serde_json::to_vec(&Answer { error })?).await?;
    Ok(channel.finish().await?)
}

async fn remove_here(context: &Context, handle: &str) -> Result<(), Error> {
    if !is_plain(handle) {
        return Err(format!("{handle:?} is no volume of this node").into());
    }
    let path = Places::within(&context.config.data_dir).volumes.join(handle);
    blocking(move || kept::remove(&path)).await?;
    info!(volume = handle, "volume removed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_forms_are_read_and_new_fields_do_no_harm() {
        let question = Question { handle: "pvc-1".into() };
        assert_eq!(serde_json::to_string(&question).unwrap(), r#"{"handle":"pvc-1"}"#);
        assert_eq!(serde_json::from_str::<Question>(r#"{"handle":"pvc-1","more":1}"#).unwrap(), question);
        let answer = Answer { error: Some("busy".into()) };
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"error":"busy"}"#);
        assert_eq!(serde_json::from_str::<Answer>("{}").unwrap(), Answer::default());
    }
}
