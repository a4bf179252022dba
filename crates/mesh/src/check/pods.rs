//! Rows about what pods need: the data plane, the ways to other nodes' pods, names, containerd.

use super::facts::Facts;
use super::{Row, Verdict, fail, high, ok, warn};
use crate::admin::status::DataplaneStatus::{Down, Up};

/// Microseconds until a name is answered: it comes from memory, over loopback.
const DNS_LIMITS: (u64, u64) = (50_000, 2_000_000);

/// In the order of their lines.
pub(super) const ROWS: &[Row<Facts>] = &[
    Row { name: "dataplane", judge: dataplane },
    Row { name: "paths", judge: paths },
    Row { name: "dns", judge: dns },
    Row { name: "containerd", judge: containerd },
];

fn dataplane(facts: &Facts) -> Option<Verdict> {
    let state = match facts.status.dataplane.as_ref()? {
        Up(state) => state,
        Down(why) => {
            let remedy = "mesh starts it anew within seconds; if it does not stay up, its log tells why (`mesh dataplane` starts it by \
                          hand, a stopped one goes on with `kill -CONT`)";
            return fail(format!("it does not answer: {why}"), remedy);
        }
    };
    let figure = format!(
        "runs for {}, {} Services",
        crate::command::status::age(state.uptime_seconds.try_into().unwrap_or(i64::MAX)),
        state.services
    );
    match (state.fed, state.troubles.as_slice()) {
        (_, [trouble, ..]) => fail(
            format!("{figure}; {trouble}"),
            "`mesh check --pre` tells what the kernel lacks; the log of the data plane has more",
        ),
        (false, []) => {
            warn(format!("{figure}; not fed with news"), "it goes on with what it knows; restart mesh if this lasts")
        }
        (true, []) => ok(figure),
    }
}

fn paths(facts: &Facts) -> Option<Verdict> {
    let asked: Vec<_> = facts.peers.iter().filter_map(|peer| Some((peer, peer.pods.as_ref()?))).collect();
    if asked.is_empty() {
        return None;
    }
    let silent: Vec<_> = asked.iter().filter(|(_, pods)| pods.is_err()).map(|(peer, _)| peer.name.as_str()).collect();
    let slowest = asked.iter().filter_map(|(_, pods)| pods.as_ref().ok()).max().copied().unwrap_or(0);
    let figure = format!("{} of {} nodes' pods answer", asked.len() - silent.len(), asked.len());
    if silent.is_empty() {
        return ok(format!("{figure}, the slowest in {:.1} ms", slowest as f64 / 1000.0));
    }
    let remedy = "see whether `mesh dataplane` runs there and UDP 7444 is open both ways: `mesh ping NODE`";
    fail(format!("{figure}; silent: {}", silent.join(", ")), remedy)
}

fn dns(facts: &Facts) -> Option<Verdict> {
    let remedy = "the data plane answers names: see its line above, and whether another program has port 53 of the cluster's DNS address";
    match facts.dns.as_ref()? {
        Ok(micros) => high(*micros, DNS_LIMITS, format!("answered in {:.1} ms", *micros as f64 / 1000.0), remedy),
        Err(why) => fail(format!("kubernetes.default is not answered: {why}"), remedy),
    }
}

fn containerd(facts: &Facts) -> Option<Verdict> {
    match facts.containerd.as_ref()? {
        Ok(version) => ok(version.clone()),
        Err(why) => fail(
            format!("it does not answer: {why}"),
            "start it (`systemctl start containerd`); mesh connects by itself, and containers run on",
        ),
    }
}
