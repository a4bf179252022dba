//! The one way to change the store: a small transaction, all or nothing. **Fixed early**: stored in the log.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::{Body, Key, Pairs, Revision};

/// Names one intent of one proposer, so that a retry after an unknown outcome is applied once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId(pub u128);

/// Guards, then operations; refused as a whole by the first guard, claim or ceiling that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Applied at most once within the window of remembered requests.
    pub request: RequestId,
    /// Conditions on the state as it is before the operations.
    pub guards: Vec<Guard>,
    /// Changes, in order; a later one sees the earlier.
    pub ops: Vec<Op>,
}

/// A condition that must hold for a [`Command`] to be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Guard {
    /// The record is there, unchanged since this revision.
    Unchanged(Key, Revision),
    /// No record is there.
    Absent(Key),
    /// A record is there, at whatever revision.
    Present(Key),
    /// No record's key starts with this prefix (an empty namespace, say).
    NoneUnder(Key),
    /// The flag has this value; an unset flag is the empty string.
    Flag(Key, Arc<str>),
    /// The entry was proposed in this leadership term: fences writes of a deposed leader's deciders.
    Term(u64),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Writes a document; equal content is no change and makes no revision.
    Put {
        /// Where.
        key: Key,
        /// The document.
        body: Body,
        /// See [`crate::Record::labels`].
        labels: Pairs,
        /// See [`crate::Record::fields`].
        fields: Pairs,
        /// See [`crate::Record::indexes`].
        indexes: Pairs,
    },
    /// Removes a document; absent is no change.
    Delete(Key),
    /// Takes a unique name (`ip/10.43.0.5`, `nodeport/tcp/30080`) for an owner; refused while another holds it.
    Claim {
        /// The unique name.
        name: Key,
        /// Who holds it from now on; taking it again is no change.
        owner: Arc<str>,
    },
    /// Frees a unique name if this owner holds it.
    Release {
        /// The unique name.
        name: Key,
        /// Who must hold it.
        owner: Arc<str>,
    },
    /// Adds to a counter; refused where the sum would pass the ceiling or fall below 0.
    Count {
        /// The counter.
        name: Key,
        /// What to add.
        delta: i64,
        /// The largest sum allowed, if bounded.
        ceiling: Option<i64>,
    },
    /// Sets a flag; the empty string unsets it.
    SetFlag(Key, Arc<str>),
}

/// What became of a [`Command`]; the same for a repeated request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// All operations are in force. The revision is the transaction's, or the state's where nothing changed.
    Applied {
        /// See above.
        revision: Revision,
    },
    /// Nothing changed.
    Refused(Refusal),
}

/// Why a [`Command`] changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The guard at this place in [`Command::guards`] does not hold.
    Guard(usize),
    /// The claim is held by another owner.
    Claimed {
        /// The claim.
        name: Key,
        /// Its holder.
        holder: Arc<str>,
    },
    /// The counter would leave its bounds.
    Ceiling {
        /// The counter.
        name: Key,
        /// Its present value.
        value: i64,
    },
}
