//! Calls of the example app: from a pod and from outside.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{CALLER, sandbox::Sandbox};

/// Calls made in a row: enough that three pods almost surely all answer.
pub(super) const CALLS: usize = 20;

/// The port of examples/hello on every node.
pub(super) const NODE_PORT: u16 = 30080;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// How long it may take until all calls succeed after a node died.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// How calls went.
#[derive(Debug)]
pub(super) struct Calls {
    /// Calls without an answer.
    pub(super) failed: usize,
    /// Pods that answered.
    pub(super) pods: BTreeSet<String>,
}

/// Calls a host from the calling pod.
pub(super) fn from_pod(sandbox: &Sandbox, host: &str) -> Result<Calls> {
    let script = format!(
        "for i in $(seq {CALLS}); do timeout {} wget -q -O - http://{host}/ || echo failed; done",
        CALL_TIMEOUT.as_secs()
    );
    let said = sandbox.kubectl(&["-n", "hello", "exec", CALLER, "--", "sh", "-c", &script])?;
    let pods = said.lines().filter_map(|line| line.strip_prefix("hello from ")?.split(' ').next());
    let pods: Vec<String> = pods.map(Into::into).collect();
    Ok(Calls { failed: CALLS.saturating_sub(pods.len()), pods: pods.into_iter().collect() })
}

/// Calls the node port of a node from this machine.
pub(super) fn from_outside(node: &str) -> Result<String> {
    let address = SocketAddr::new(node.parse()?, NODE_PORT);
    let mut stream = TcpStream::connect_timeout(&address, CALL_TIMEOUT).with_context(|| address.to_string())?;
    stream.set_read_timeout(Some(CALL_TIMEOUT))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {node}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| address.to_string())?;
    Ok(answer)
}

/// Calls until a whole row of calls succeeds and so many pods answer.
pub(super) fn settle(sandbox: &Sandbox, since: Instant, pods: usize) -> Result<String> {
    let mut failed = 0;
    loop {
        let began = since.elapsed();
        let calls = from_pod(sandbox, "hello")?;
        if calls.failed == 0 && calls.pods.len() >= pods {
            let seconds = began.as_secs_f32();
            return Ok(format!("{failed} failed, none since {seconds:.1} s; {} pods answer", calls.pods.len()));
        }
        failed += calls.failed;
        ensure!(since.elapsed() < SETTLE_LIMIT, "calls still fail after {SETTLE_LIMIT:?}: {calls:?}");
    }
}
