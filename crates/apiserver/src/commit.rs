//! Read, decide, propose; again where what was read has changed meanwhile.
//!
//! A decision is a pure function of a [`View`]. It is first made on what this node has; a decision that writes
//! nothing (an error, a no-op) is trusted only from a linearizable view, a write is guarded by what it read.

use std::sync::Arc;

use jiff::Timestamp;
use store::{Command, Freshness, Guard, Op, Outcome, Refusal, RequestId, Revision, View};

use crate::{pipeline::Reply, shared::Shared, status::ApiError};

/// Times a decision is made before the client is told to try again. Only real contention on one object gets here.
const MAX_TRIES: usize = 16;

/// What is to be written, and what is said afterwards.
pub struct Write {
    /// What must still hold.
    pub guards: Vec<Guard>,
    /// What changes.
    pub ops: Vec<Op>,
    /// The answer, given the revision of the change.
    pub reply: Box<dyn FnOnce(Revision, Vec<Op>) -> Reply + Send>,
}

/// A decision.
pub enum Step {
    /// There is nothing to write.
    Done(Reply),
    /// Write, then answer.
    Write(Write),
}

/// How a write is made.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Leave out the writing.
    pub dry_run: bool,
    /// Only in this leadership term.
    pub term: Option<u64>,
    /// When the request came.
    pub now: Timestamp,
}

/// Runs a decision to its end.
///
/// # Errors
/// What the decision or the store says; `contended` after too many changes by others.
pub async fn run(
    shared: &Arc<Shared>,
    terms: Terms,
    contended: impl Fn() -> ApiError + Send,
    mut decide: impl FnMut(&View) -> Result<Step, ApiError> + Send,
) -> Result<Reply, ApiError> {
    let mut freshness = Freshness::Any;
    for _ in 0..MAX_TRIES {
        let view = shared.storage.read(freshness).await?;
        let write = match decide(&view) {
            Ok(Step::Write(write)) => write,
            settled if freshness == Freshness::Linearizable => return done(settled),
            settled => {
                freshness = Freshness::Linearizable;
                if shared.storage.read(freshness).await?.revision() == view.revision() {
                    return done(settled);
                }
                continue;
            }
        };
        if terms.dry_run {
            return Ok((write.reply)(view.revision(), write.ops));
        }
        if let Some(reply) = propose(shared, terms, write).await? {
            return Ok(reply);
        }
    }
    Err(contended())
}

fn done(step: Result<Step, ApiError>) -> Result<Reply, ApiError> {
    match step? {
        Step::Done(reply) => Ok(reply),
        Step::Write(_) => Err(ApiError::internal("a write was taken for an answer")),
    }
}

/// `None` where a guard did not hold.
async fn propose(shared: &Arc<Shared>, terms: Terms, mut write: Write) -> Result<Option<Reply>, ApiError> {
    if let Some(term) = terms.term {
        write.guards.push(Guard::Term(term));
    }
    let fenced = terms.term.map(|_| write.guards.len() - 1);
    let command = Command { request: RequestId(rand::random()), guards: write.guards, ops: write.ops.clone() };
    match shared.storage.propose(command).await? {
        Outcome::Applied { revision } => Ok(Some((write.reply)(revision, write.ops))),
        Outcome::Refused(Refusal::Guard(i)) if Some(i) == fenced => {
            Err(ApiError::unavailable("the leadership in whose name this write came has ended"))
        }
        Outcome::Refused(Refusal::Guard(_) | Refusal::Claimed { .. }) => Ok(None),
        Outcome::Refused(Refusal::Ceiling { name, value }) => {
            let message = format!("exceeded quota: {name}, used: {value}");
            Err(api::status::Status::failure(403, "Forbidden", message, None).into())
        }
    }
}
