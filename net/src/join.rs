//! The joiner's side: finds the cluster that its token pins, and only then shows the token's secret.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rand::RngExt;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Channel, ChannelError, Identity, Method, Protocol, Token,
    ca::{self, CaError, is_signed_by},
    key::{self, KeyError},
    pool::{client_config, connect_any},
    tls::{Credentials, Expect, TlsError},
    token::CaHash,
    wire::{self, JoinAnswer, JoinRefusal, JoinRequest},
};

/// The one method of [`Protocol::Join`].
const JOIN: Method = Method(0);

/// The longest wait for an answer: the cluster decides within half of it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Spread of the retries of joiners that were sent away together.
const JITTER_MS: u64 = 1000;

/// Pause after nobody answered: a member may be restarting, or answering many others.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause that a server may ask for.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(10);

/// Why this machine did not join. Each tells its user what to do.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Nobody there.
    #[error("no member answers at {addresses:?} ({reason}): is `mesh` up there, and is the UDP port open?")]
    Unreachable {
        /// Where it was looked for.
        addresses: Vec<SocketAddr>,
        /// What the network said.
        reason: String,
    },
    /// Somebody there, but not whom the token pins. The secret was not sent.
    #[error(
        "the cluster at {addresses:?} is not the token's: its CA key hash is {}, the token's is {expected}; take the \
         token from a member of the cluster you mean, with `mesh token create`",
        found.map_or("missing".into(), |hash| hash.to_string())
    )]
    WrongCluster {
        /// Where it was looked for.
        addresses: Vec<SocketAddr>,
        /// The token's.
        expected: CaHash,
        /// The server's.
        found: Option<CaHash>,
    },
    /// The cluster said no.
    #[error(transparent)]
    Refused(JoinRefusal),
    /// The connection broke before the answer.
    #[error("the connection broke before the answer: run the same command again")]
    Broken(#[from] ChannelError),
    /// The connection ended without an answer.
    #[error("the member gave no answer: it may not admit nodes yet; run the same command again")]
    NoAnswer,
    /// The answer contradicts itself or the token.
    #[error("the cluster's answer cannot be trusted: {0}")]
    BadAnswer(&'static str),
    /// This machine cannot make what it has to show.
    #[error("this node's key makes no certificate")]
    Certificate(#[from] CaError),
    /// Nor a request.
    #[error("this node's key makes no certificate request")]
    Request(#[from] KeyError),
    /// Nor a TLS configuration.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No socket to ask from.
    #[error("no UDP socket to join from")]
    Socket(#[source] std::io::Error),
}

/// Joins through the first of `addresses` that answers. The request's token, secret, node and CSR are set here from
/// `token` and `identity`. A cluster that is busy or does not answer is asked again until `patience` is used up.
///
/// # Errors
/// [`JoinError`].
pub async fn join(
    identity: &Identity,
    token: &Token,
    addresses: &[SocketAddr],
    mut request: JoinRequest,
    now: SystemTime,
    patience: Duration,
) -> Result<JoinAnswer, JoinError> {
    request.token = token.id;
    request.secret = token.secret.clone();
    request.node = identity.id();
    request.csr = ca::csr(identity.key())?;
    let credentials = Credentials::new(vec![ca::self_signed(identity.key(), now)?], identity.key())?;
    let deadline = Instant::now() + patience;
    loop {
        let asked = ask(&credentials, token, addresses, request.clone()).await;
        let error = match asked.and_then(|reply| reply.map_err(JoinError::Refused)) {
            Ok(answer) => return checked(identity, token, answer),
            Err(error) => error,
        };
        let Some(pause) = error.retry_after() else { return Err(error) };
        let wait = pause + Duration::from_millis(rand::rng().random_range(0..JITTER_MS));
        if Instant::now() + wait >= deadline {
            return Err(error);
        }
        sleep(wait).await;
    }
}

impl JoinError {
    /// When asking again may help; `None` where it does not.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(JoinRefusal::Busy { retry_after_ms }) => {
                Some(Duration::from_millis(u64::from(*retry_after_ms)).min(RETRY_AFTER_LIMIT))
            }
            Self::Unreachable { .. } | Self::Broken(_) | Self::NoAnswer => Some(RETRY_PAUSE),
            _ => None,
        }
    }
}

async fn ask(
    credentials: &Arc<Credentials>,
    token: &Token,
    addresses: &[SocketAddr],
    request: JoinRequest,
) -> Result<Result<JoinAnswer, JoinRefusal>, JoinError> {
    let found = Arc::new(Mutex::new(None));
    let expect = Expect::Authority(token.ca, found.clone());
    let config = client_config(credentials.clone(), Protocol::Join, expect)?;
    let endpoint = client_endpoint(addresses).map_err(JoinError::Socket)?;
    let connection = connect_any(&endpoint, &config, addresses).await.map_err(|reason| {
        let addresses = addresses.to_vec();
        match *found.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(hash) if hash != token.ca => {
                JoinError::WrongCluster { addresses, expected: token.ca, found: Some(hash) }
            }
            _ => JoinError::Unreachable { addresses, reason },
        }
    })?;
    let asked = timeout(ANSWER_TIMEOUT, async {
        let (mut writer, reader) = connection.open_bi().await.map_err(std::io::Error::from).map_err(broken)?;
        writer.write_all(&JOIN.0.to_le_bytes()).await.map_err(std::io::Error::from).map_err(broken)?;
        let mut channel = Channel::new(reader, writer);
        channel.send(&wire::encode_request(request)).await?;
        channel.finish().await?;
        channel.receive_within(wire::REPLY_LIMIT).await?.ok_or(JoinError::NoAnswer)
    });
    let frame = asked.await.map_err(|_| JoinError::NoAnswer)??;
    connection.close(quinn::VarInt::from_u32(0), b"thank you");
    endpoint.wait_idle().await;
    wire::decode_reply(&frame).map_err(|_| JoinError::BadAnswer("it is malformed; is it of another release?"))
}

fn broken(error: std::io::Error) -> JoinError {
    JoinError::Broken(error.into())
}

/// A socket for the families of the addresses: an IPv6 one reaches IPv4 too, where the system has IPv6 at all.
fn client_endpoint(addresses: &[SocketAddr]) -> std::io::Result<quinn::Endpoint> {
    let v4 = || quinn::Endpoint::client((Ipv4Addr::UNSPECIFIED, 0).into());
    match addresses.iter().all(SocketAddr::is_ipv4) {
        true => v4(),
        false => quinn::Endpoint::client((Ipv6Addr::UNSPECIFIED, 0).into()).or_else(|_| v4()),
    }
}

/// The answer must be for our key, under the authority that the token pins.
fn checked(identity: &Identity, token: &Token, answer: JoinAnswer) -> Result<JoinAnswer, JoinError> {
    let authority = key::of_certificate(&answer.authority).map(|key| CaHash::of(&key));
    if authority != Some(token.ca) {
        return Err(JoinError::BadAnswer("its authority is not the token's"));
    }
    if key::of_certificate(&answer.certificate) != Some(identity.fingerprint()) {
        return Err(JoinError::BadAnswer("its certificate is for another key"));
    }
    if !is_signed_by(&answer.certificate, &answer.authority) {
        return Err(JoinError::BadAnswer("its certificate is not signed by its authority"));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests;
