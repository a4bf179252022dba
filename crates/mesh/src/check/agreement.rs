//! Rows about agreement: quorum, replication, the other members, clocks, certificates.

use super::facts::Facts;
use super::{Row, State, Verdict, fail, high, ok, warn};
use crate::command::status::age;
use membership::Role;

/// A read that a quorum confirms takes a round trip and a sync, in ms. An election takes about a second.
const READ_LIMITS: (u64, u64) = (1_000, 5_000);

/// Entries a follower is behind: a busy cluster writes so many in a second; ten times that is a follower that does not keep up.
const LAG_LIMITS: (u64, u64) = (5_000, 50_000);

/// Milliseconds between clocks. Agreement uses none; tokens, certificates and people's logs do. kube-apiserver allows tokens a few seconds.
const SKEW_LIMITS: (u64, u64) = (1_000, 60_000);

/// Seconds until a certificate ends: a month's notice.
const NOTICE: i64 = 30 * 86_400;

/// In the order of their lines.
pub(super) const ROWS: &[Row<Facts>] = &[
    Row { name: "ready", judge: ready },
    Row { name: "quorum", judge: quorum },
    Row { name: "voters", judge: voters },
    Row { name: "replication", judge: replication },
    Row { name: "members", judge: members },
    Row { name: "clock", judge: clock },
    Row { name: "certificates", judge: certificates },
];

fn ready(facts: &Facts) -> Option<Verdict> {
    match &facts.status.why_not_ready {
        None => ok(format!("{} is ready", facts.status.name)),
        Some(why) => {
            fail(why.clone(), "start the voters that are down, or mend the network to them; `mesh status` lists them")
        }
    }
}

fn quorum(facts: &Facts) -> Option<Verdict> {
    let leader = facts.status.leader.as_deref().unwrap_or("nobody");
    let remedy = "a majority of the voters must run and hear each other: start those that `mesh status` does not hear";
    match facts.quorum_read.as_ref()? {
        Ok(millis) => high(*millis, READ_LIMITS, format!("{leader} leads; a confirmed read took {millis} ms"), remedy),
        Err(why) => fail(format!("no read was confirmed: {why}"), remedy),
    }
}

fn voters(facts: &Facts) -> Option<Verdict> {
    let voters: Vec<_> = facts.status.members.iter().filter(|member| member.role == Role::Voter).collect();
    let silent: Vec<_> = voters.iter().filter(|voter| !voter.heard).map(|voter| voter.name.as_str()).collect();
    let spare = (voters.len().saturating_sub(1) / 2).saturating_sub(silent.len());
    let figure = format!("{} of {} heard, {spare} more may fail", voters.len() - silent.len(), voters.len());
    match (silent.is_empty(), voters.len()) {
        (true, 1) if facts.status.members.len() > 1 => {
            warn(figure, "with two members the loss of the voter stops writes: add a third")
        }
        (true, _) => ok(figure),
        (false, _) => {
            warn(figure, format!("start {}; gone for good, it is to be removed or replaced", silent.join(", ")))
        }
    }
}

/// By what each member has applied, and on the leader also by what it knows to be on their disks.
fn replication(facts: &Facts) -> Option<Verdict> {
    let here = (facts.status.applied, facts.status.name.as_str());
    let applied = facts.peers.iter().filter_map(|peer| Some((peer.applied?, peer.name.as_str()))).chain([here]);
    let newest = applied.clone().map(|(entry, _)| entry).max()?;
    let kept = facts.status.members.iter().filter_map(|member| Some((member.lag?, member.name.as_str())));
    let (lag, name) = applied.map(|(entry, name)| (newest - entry, name)).chain(kept).max()?;
    let figure = match lag {
        0 => format!("all that answer have entry {newest}"),
        _ => format!("{name} is {lag} entries behind, nobody more"),
    };
    high(lag, LAG_LIMITS, figure, "see whether its disk or the way to it is slow: `mesh check` there, `mesh ping` here")
}

fn members(facts: &Facts) -> Option<Verdict> {
    if facts.peers.is_empty() {
        return ok("no other member");
    }
    let silent: Vec<_> =
        facts.peers.iter().filter(|peer| peer.control.is_err()).map(|peer| peer.name.as_str()).collect();
    let slowest = facts.peers.iter().filter_map(|peer| peer.control.as_ref().ok()).max().copied().unwrap_or(0);
    let figure = format!("{} of {} answer", facts.peers.len() - silent.len(), facts.peers.len());
    if silent.is_empty() {
        return ok(format!("{figure}, the slowest in {:.1} ms", slowest as f64 / 1000.0));
    }
    let remedy = "see whether mesh runs there and UDP 7443 is open both ways; `mesh ping NODE` tells when it is back";
    fail(format!("{figure}; silent: {}", silent.join(", ")), remedy)
}

fn clock(facts: &Facts) -> Option<Verdict> {
    let farthest = facts.peers.iter().filter_map(|peer| Some((peer.ahead_millis?, peer)));
    let (ahead, peer) = farthest.max_by_key(|(ahead, _)| ahead.unsigned_abs())?;
    // Half of the way there and back is not known to be the clock's.
    let unsure = peer.control.as_ref().map_or(0, |micros| micros / 2000);
    let figure = format!("{} is {ahead:+} ms from here, nobody more", peer.name);
    let remedy =
        "run a time service (chrony, systemd-timesyncd) on both: tokens and certificates are judged by the clock";
    high(ahead.unsigned_abs().saturating_sub(unsure), SKEW_LIMITS, figure, remedy)
}

fn certificates(facts: &Facts) -> Option<Verdict> {
    let (name, end) = facts.certificates.iter().min_by_key(|(_, end)| *end)?;
    let left = end - facts.now;
    let figure = format!("{name} ends in {}, the others later", age(left));
    match left {
        // Between members dates do not count (ADR 011), so a cluster goes on; clients of the API do look.
        ..0 => Some(Verdict {
            state: State::Fail,
            figure: format!("{name} ended {} ago", age(-left)),
            remedy: "see whether this machine's clock is right; if it is, restart mesh here so that it makes new ones"
                .into(),
        }),
        0..NOTICE => warn(figure, "restart mesh here before that, so that it makes new ones"),
        _ => ok(figure),
    }
}
