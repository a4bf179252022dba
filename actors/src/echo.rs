//! A question that any member answers at once, over the control endpoint: how far is it, and what does its clock say?
//! Main type: [`Heard`]. Nothing is decided by it: agreement and liveness have questions of their own.

use std::time::{Duration, Instant};

use membership::NodeId;
use net::{Dial, Method, Protocol};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::context::Context;
use crate::host::Error;

/// Answered at once with what the answerer's clock says.
pub const ECHO: Method = Method(0x2c);

/// Largest answer, in bytes.
const ANSWER_LIMIT: usize = 1 << 10;

/// The answer; JSON, whose fields may grow.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Echo {
    /// What the answerer's clock says, in milliseconds since 1970.
    unix_millis: i64,
    /// The last entry it has applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applied: Option<u64>,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// From the question to its answer.
    pub round_trip: Duration,
    /// How far the other's clock is ahead of ours, in milliseconds; wrong by half of the round trip at most.
    pub ahead_millis: i64,
    /// The last entry that it has applied; absent where it does not tell.
    pub applied: Option<u64>,
}

/// The answer now.
pub(crate) fn answer(context: &Context) -> Result<Vec<u8>, Error> {
    let applied = Some(context.raft.status().last_applied);
    Ok(serde_json::to_vec(&Echo { unix_millis: clock::unix_millis(), applied })?)
}

/// Asks a member.
///
/// # Errors
/// Where no answer comes within `limit`.
pub async fn ask(context: &Context, to: NodeId, limit: Duration) -> Result<Heard, Error> {
    let (asked, asked_at) = (Instant::now(), clock::unix_millis());
    let exchange = async {
        let mut channel = context.endpoint.open(to, Protocol::Rpc, ECHO).await?;
        channel.finish().await?;
        let answer = channel.receive_within(ANSWER_LIMIT).await?.ok_or("it hung up")?;
        Ok::<Echo, Error>(serde_json::from_slice(&answer)?)
    };
    let echo = timeout(limit, exchange).await.map_err(|_| format!("no answer within {limit:?}"))??;
    let round_trip = asked.elapsed();
    let half = i64::try_from(round_trip.as_millis() / 2).unwrap_or(i64::MAX);
    let ahead_millis = echo.unix_millis.saturating_sub(asked_at.saturating_add(half));
    Ok(Heard { round_trip, ahead_millis, applied: echo.applied })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_answers_are_read_and_a_new_field_does_no_harm() {
        let mut echo = Echo { unix_millis: 1_790_000_000_000, applied: Some(7) };
        assert_eq!(serde_json::to_string(&echo).unwrap(), r#"{"unixMillis":1790000000000,"applied":7}"#);
        echo.applied = None;
        assert_eq!(serde_json::from_str::<Echo>(r#"{"unixMillis":1790000000000}"#).unwrap(), echo);
        assert_eq!(serde_json::from_str::<Echo>(r#"{"unixMillis":1790000000000,"more":1}"#).unwrap(), echo);
    }
}
