//! Outcomes of the newest requests, so that a retry is answered and not applied again. Main type: [`Requests`].

use std::sync::Arc;

use imbl::{OrdMap, Vector};

use crate::{Outcome, Refusal, RequestId, Revision};

/// Outcomes remembered. A proposer retries for seconds; at 3,000 writes per second this is ten of them, and it
/// costs about 2 MB when full.
pub const REMEMBERED_REQUESTS: usize = 32_768;

/// [`Outcome`] in 16 bytes: nearly all are the first kind.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Applied(Revision),
    Refused(Arc<Refusal>),
}

/// The newest [`REMEMBERED_REQUESTS`] outcomes, oldest out first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Requests {
    answers: OrdMap<RequestId, Answer>,
    order: Vector<RequestId>,
}

impl Requests {
    pub(crate) fn outcome(&self, request: RequestId) -> Option<Outcome> {
        Some(match self.answers.get(&request)? {
            Answer::Applied(revision) => Outcome::Applied { revision: *revision },
            Answer::Refused(refusal) => Outcome::Refused(Refusal::clone(refusal)),
        })
    }

    /// Remembers a request not seen before.
    pub(crate) fn remember(&mut self, request: RequestId, outcome: &Outcome) {
        let answer = match outcome {
            Outcome::Applied { revision } => Answer::Applied(*revision),
            Outcome::Refused(refusal) => Answer::Refused(Arc::new(refusal.clone())),
        };
        self.order.push_back(request);
        self.answers.insert(request, answer);
        if self.order.len() > REMEMBERED_REQUESTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// All, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RequestId, Outcome)> {
        self.order.iter().filter_map(|request| Some((*request, self.outcome(*request)?)))
    }
}
