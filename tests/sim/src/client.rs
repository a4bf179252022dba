//! Clients that write and read registers through one node. Main function: [`work`].

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use consensus::Node;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use store::{Body, Command, Freshness, Op, Outcome, RequestId, Storage, View, WriteError};
use tokio::time::sleep;

use crate::{
    flaw::Flaw,
    history::{Action, History, Value},
};

/// Registers: few, so that clients meet at them.
pub const KEYS: u32 = 12;

/// Longest pause between two requests of a client: with nine of them about a dozen requests between two faults. More would
/// take the time of further faults, and those find more.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a register is stored.
pub fn key(register: u32) -> String {
    format!("register/{register}")
}

/// Counts the writes of a register that were applied.
pub fn counter(register: u32) -> String {
    format!("writes/{register}")
}

/// What a register holds in this view.
pub fn value(view: &View, register: u32) -> Value {
    view.get(&key(register)).map_or(0, |record| parse(&record.body))
}

/// The number in a document; 0 where there is none.
pub fn parse(body: &Body) -> Value {
    std::str::from_utf8(&body.head).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn write(register: u32, value: Value) -> Command {
    let body = Body { head: Bytes::from(value.to_string()), tail: Bytes::new() };
    let (labels, fields, indexes) = Default::default();
    let put = Op::Put { key: key(register).into(), body, labels, fields, indexes };
    let count = Op::Count { name: counter(register).into(), delta: 1, ceiling: None };
    Command { request: RequestId(u128::from(value)), guards: Vec::new(), ops: vec![put, count] }
}

/// Writes and reads until its node crashes. `client` is unlike any other of the run, so that values are too.
pub async fn work(node: Arc<Node>, history: History, client: u32, seed: u64, flaw: Option<Flaw>) {
    let mut rng = StdRng::seed_from_u64(seed);
    for round in 1.. {
        sleep(PAUSE.mul_f64(rng.random())).await;
        let register = rng.random_range(0..KEYS);
        if rng.random_bool(0.5) {
            let value = u64::from(client) << 32 | round;
            write_once(&node, &history, register, value, flaw).await;
        } else {
            read_once(&node, &history, register, flaw).await;
        }
    }
}

async fn write_once(node: &Node, history: &History, register: u32, value: Value, flaw: Option<Flaw>) {
    let place = history.call(register, Action::Write(value));
    let mut outcome = node.propose(write(register, value)).await;
    if flaw == Some(Flaw::RetryUnderNewId) && matches!(outcome, Err(WriteError::Unknown(_))) {
        let again = Command { request: RequestId(u128::from(value) | 1 << 100), ..write(register, value) };
        outcome = node.propose(again).await;
    }
    match outcome {
        Ok(Outcome::Applied { .. }) => history.acknowledged(place),
        Ok(Outcome::Refused(_)) | Err(WriteError::NotAccepted(_) | WriteError::Full(_)) => history.denied(place),
        Err(WriteError::Unknown(_)) if flaw == Some(Flaw::AcknowledgeUnclear) => history.acknowledged(place),
        Err(WriteError::Unknown(_)) if flaw == Some(Flaw::DenyUnclear) => history.denied(place),
        Err(WriteError::Unknown(_)) => {}
    }
}

async fn read_once(node: &Node, history: &History, register: u32, flaw: Option<Flaw>) {
    let place = history.call(register, Action::Read(0));
    let freshness = if flaw == Some(Flaw::StaleReads) { Freshness::Any } else { Freshness::Linearizable };
    match node.read(freshness).await {
        Ok(view) => history.read(place, value(&view, register)),
        Err(_) => history.denied(place),
    }
}
