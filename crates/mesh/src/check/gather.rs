//! Gathers [`Facts`] on a running node: asks the quorum, every member, the DNS, containerd and the disk.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use actors::Node;
use actors::context::{Context, unix_now};
use actors::secrets::Secrets;
use anyhow::{Result, bail, ensure};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use membership::{Member, Role};
use store::{Freshness, Storage};
use tokio::net::UdpSocket;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::facts::Facts;
use super::machine::Machine;
use super::sync;
use crate::admin::ping::Pinged;
use crate::admin::{ping, status};
use crate::telemetry::chain;

/// How long anybody may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Members asked at once.
const ASKED_AT_ONCE: usize = 32;

/// The DNS address is this one of the Services' range, as everywhere in Mesh: .10.
const DNS_ADDRESS: usize = 9;

/// Largest DNS answer over UDP without EDNS (RFC 1035 §4.2.1), in bytes.
const DNS_ANSWER: usize = 512;

/// Everything; takes as long as the slowest answer.
pub(crate) async fn gather(node: &Node) -> Result<Facts> {
    let context = node.context();
    let status = status::of(node, None).await?;
    let votes = status.members.iter().any(|member| member.id == status.id && member.role == Role::Voter);
    let members = ping::members(context);
    let asking = futures::stream::iter(questions(context, &members));
    let peers = asking.buffer_unordered(ASKED_AT_ONCE).collect::<Vec<_>>();
    let (quorum_read, mut peers, dns, containerd, syncs) =
        tokio::join!(quorum_read(context, votes), peers, dns(context), containerd(context), syncs(context));
    peers.sort_by(|a, b| a.name.cmp(&b.name));
    let machine = Machine::look(&context.config.data_dir);
    let certificates = certificates(context).await;
    Ok(Facts { status, quorum_read, peers, certificates, now: unix_now(), dns, containerd, syncs, machine })
}

/// Boxed, since closures that borrow would keep the whole future from being sent between threads.
fn questions<'a>(context: &'a Context, members: &'a [Member]) -> Vec<BoxFuture<'a, Pinged>> {
    let others = members.iter().filter(|member| member.id != context.id());
    others.map(|member| ping::sound(context, member, ANSWER_LIMIT).boxed()).collect()
}

async fn quorum_read(context: &Context, votes: bool) -> Option<Result<u64, String>> {
    if !votes {
        return None;
    }
    let asked = Instant::now();
    let read = timeout(ANSWER_LIMIT, context.raft.read(Freshness::Linearizable)).await;
    Some(match read {
        Ok(Ok(_)) => Ok(u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX)),
        Ok(Err(error)) => Err(chain(&error.into())),
        Err(_) => Err(format!("no answer within {ANSWER_LIMIT:?}")),
    })
}

async fn certificates(context: &Context) -> Vec<(String, i64)> {
    let view = context.view().await.ok();
    let mut found = Vec::new();
    let mut add =
        |name: &str, der: &[u8]| found.extend(net::key::end_of_certificate(der).map(|end| (name.into(), end)));
    if let Ok(Some(known)) = context.home.membership() {
        add("this node's", &known.certificate);
        add("the nodes' authority", &known.authority);
    }
    let key = context.cluster_key.borrow().clone();
    if let Some(Ok(secrets)) = key.zip(view).map(|(key, view)| Secrets::open(&view, &key)) {
        add("the API's authority", secrets.api.certificate());
        add("the front proxy's authority", secrets.front_proxy.certificate());
    }
    found
}

async fn containerd(context: &Context) -> Option<Result<String, String>> {
    let runtime = context.runtime.clone()?;
    Some(match timeout(ANSWER_LIMIT, runtime.version()).await {
        Ok(Ok(version)) => Ok(format!("{} {}", version.name, version.version)),
        Ok(Err(error)) => Err(chain(&error.into())),
        Err(_) => Err(format!("no answer within {ANSWER_LIMIT:?}")),
    })
}

async fn syncs(context: &Context) -> Result<Vec<u64>, String> {
    let folder = context.config.data_dir.clone();
    spawn_blocking(move || sync::measure(&folder)).await.map_err(|error| error.to_string())?
}

async fn dns(context: &Context) -> Option<Result<u64, String>> {
    let cluster =
        context.feed.borrow().as_ref().and_then(|feed| feed.cluster.clone()).filter(|_| context.config.pods)?;
    let server: IpAddr = cluster.service_ranges.iter().find_map(|range| range.hosts().nth(DNS_ADDRESS))?;
    let name = format!("kubernetes.default.svc.{}", cluster.domain);
    let asked = Instant::now();
    Some(match timeout(ANSWER_LIMIT, ask(SocketAddr::new(server, 53), &name)).await {
        Ok(Ok(())) => Ok(u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX)),
        Ok(Err(error)) => Err(format!("{server}: {}", chain(&error))),
        Err(_) => Err(format!("{server} gave no answer within {ANSWER_LIMIT:?}")),
    })
}

/// One question for an address (RFC 1035 §4.1), and whether it was answered with one.
async fn ask(server: SocketAddr, name: &str) -> Result<()> {
    let socket =
        UdpSocket::bind(SocketAddr::new(if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() }, 0)).await?;
    socket.connect(server).await?;
    let id: [u8; 2] = rand::random();
    socket.send(&question(id, name, server.is_ipv4())).await?;
    let mut answer = [0; DNS_ANSWER];
    loop {
        let length = socket.recv(&mut answer).await?;
        if let Some(judged) = judge(&answer[..length], id) {
            return judged;
        }
    }
}

fn question(id: [u8; 2], name: &str, ipv4: bool) -> Vec<u8> {
    // Recursion desired, one question.
    let mut question = [id.as_slice(), &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.trim_end_matches('.').split('.') {
        question.push(u8::try_from(label.len()).unwrap_or(0));
        question.extend(label.as_bytes());
    }
    // The root; A or AAAA; IN.
    question.extend([0, 0, if ipv4 { 1 } else { 28 }, 0, 1]);
    question
}

/// What an answer says; `None` where it is to another question.
fn judge(answer: &[u8], id: [u8; 2]) -> Option<Result<()>> {
    let header = answer.get(..12).filter(|header| header[..2] == id && header[2] & 0x80 != 0)?;
    let (code, answers) = (header[3] & 0xf, u16::from_be_bytes([header[6], header[7]]));
    let judged = || {
        if code != 0 {
            bail!("it answered with code {code} (RFC 1035 §4.1.1)");
        }
        ensure!(answers > 0, "it knows no address for it");
        Ok(())
    };
    Some(judged())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dns_question_is_well_formed_and_answers_are_told_apart() {
        let asked = question([1, 2], "a.bc.", true);
        assert_eq!(asked, [1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 2, b'b', b'c', 0, 0, 1, 0, 1]);
        let check = |answer: &[u8]| judge(answer, [1, 2]).map(|judged| judged.is_ok());
        assert_eq!(check(&[1, 2, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]), Some(true));
        assert_eq!(check(&[1, 2, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0]), Some(false), "no such name");
        assert_eq!(check(&[1, 2, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]), Some(false), "no address");
        assert_eq!(check(&[9, 2, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]), None, "another question's");
        assert_eq!([check(&asked), check(&[])], [None, None], "no answer");
    }
}
