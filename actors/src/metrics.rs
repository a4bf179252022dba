//! What an API server's `/metrics` tells of elections, replication, gossip and paths. Main type: `Reading`.
//!
//! Read when somebody asks; only what happens in between is counted ([`Counts`]). Names are etcd's where it has one
//! (<https://etcd.io/docs/v3.6/metrics/>). A node that is no voter has no API server, so what it sees is told by `mesh status`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use consensus::Leadership;
use net::NodeId;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge};
use tokio::sync::watch;

use crate::context::Context;

/// What has happened since this process started.
#[derive(Debug, Default)]
pub struct Counts {
    leader_changes: AtomicU64,
    silences: AtomicU64,
    paths_lost: AtomicU64,
}

/// Counts until all that it follows has ended.
pub(crate) async fn count(context: Arc<Context>, live: watch::Receiver<BTreeSet<NodeId>>) {
    let counts = &context.counts;
    tokio::join!(
        tally(context.raft.leadership(), &counts.leader_changes, leader_changes),
        tally(live, &counts.silences, fallen_silent),
        tally(context.paths.subscribe(), &counts.paths_lost, paths_lost),
    );
}

/// Adds what each change counts for.
async fn tally<T: Clone>(mut news: watch::Receiver<T>, into: &AtomicU64, worth: fn(&T, &T) -> usize) {
    let mut before = news.borrow_and_update().clone();
    while news.changed().await.is_ok() {
        let now = news.borrow_and_update().clone();
        into.fetch_add(number(worth(&before, &now)), Ordering::Relaxed);
        before = now;
    }
}

/// As etcd counts: a leader is known who was not, also where nobody was.
fn leader_changes(before: &Leadership, now: &Leadership) -> usize {
    usize::from(now.leader.is_some() && now.leader != before.leader)
}

fn fallen_silent(before: &BTreeSet<NodeId>, now: &BTreeSet<NodeId>) -> usize {
    before.difference(now).count()
}

type Paths = Option<BTreeMap<NodeId, bool>>;

fn paths_lost(before: &Paths, now: &Paths) -> usize {
    let (Some(before), Some(now)) = (before, now) else { return 0 };
    before.iter().filter(|(id, reached)| **reached && now.get(id) == Some(&false)).count()
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// How things are at one moment.
#[derive(Debug, Default)]
struct Reading {
    has_leader: bool,
    is_leader: bool,
    term: u64,
    applied: u64,
    /// On the leader: how many entries each other member is behind.
    lags: Vec<(String, u64)>,
    heard: u64,
    reached: u64,
    leader_changes: u64,
    silences: u64,
    paths_lost: u64,
}

impl Reading {
    fn of(context: &Context) -> Self {
        let (status, peers) = (context.raft.status(), context.peers.load());
        let name = |id: NodeId| peers.get(id).map(|peer| peer.name.clone());
        let lags = status.followers.iter().filter_map(|follower| Some((name(follower.id)?, follower.lag)));
        let paths = context.paths.borrow();
        let others = peers.iter().filter(|peer| peer.id != context.id());
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            has_leader: status.leader.is_some(),
            is_leader: status.leader == Some(context.id()),
            term: status.term,
            applied: status.last_applied,
            lags: lags.collect(),
            heard: number(others.filter(|peer| context.liveness.silence(peer.id).is_none()).count()),
            reached: number(paths.iter().flatten().filter(|(_, reached)| **reached).count()),
            leader_changes: count(&context.counts.leader_changes),
            silences: count(&context.counts.silences),
            paths_lost: count(&context.counts.paths_lost),
        }
    }
}

/// A metric without labels.
struct Row {
    /// Its name; the text format appends `_total` to a counter's.
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    value: fn(&Reading) -> u64,
}

/// All metrics but [`LAG`].
const ROWS: &[Row] = &[
    Row {
        name: "etcd_server_has_leader",
        help: "Whether a leader is known",
        kind: MetricType::Gauge,
        value: |reading| reading.has_leader.into(),
    },
    Row {
        name: "etcd_server_is_leader",
        help: "Whether this node leads",
        kind: MetricType::Gauge,
        value: |reading| reading.is_leader.into(),
    },
    Row {
        name: "etcd_server_leader_changes_seen",
        help: "Leaders that came to be known",
        kind: MetricType::Counter,
        value: |reading| reading.leader_changes,
    },
    Row {
        name: "etcd_server_proposals_applied_total",
        help: "Last entry applied",
        kind: MetricType::Gauge,
        value: |reading| reading.applied,
    },
    Row {
        name: "mesh_consensus_term",
        help: "Newest term seen; rises with every election",
        kind: MetricType::Gauge,
        value: |reading| reading.term,
    },
    Row {
        name: "mesh_gossip_members_heard",
        help: "Other members that are heard",
        kind: MetricType::Gauge,
        value: |reading| reading.heard,
    },
    Row {
        name: "mesh_gossip_silences",
        help: "Members that fell silent",
        kind: MetricType::Counter,
        value: |reading| reading.silences,
    },
    Row {
        name: "mesh_dataplane_peers_reached",
        help: "Other members whose pods are reached",
        kind: MetricType::Gauge,
        value: |reading| reading.reached,
    },
    Row {
        name: "mesh_dataplane_withdrawals",
        help: "Paths that died: endpoints there left this node's Services, unless none or most would have",
        kind: MetricType::Counter,
        value: |reading| reading.paths_lost,
    },
];

/// How far each other member is behind; on the leader only.
const LAG: (&str, &str) =
    ("mesh_consensus_lag_entries", "Entries that a member has not got yet, as its leader sees it");

/// Reads whenever it is asked.
struct Told(Box<dyn Fn() -> Reading + Send + Sync>);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Told").finish_non_exhaustive()
    }
}

/// What this node tells on its API server's `/metrics`.
pub(crate) fn collector(context: Arc<Context>) -> Box<dyn Collector> {
    Box::new(Told(Box::new(move || Reading::of(&context))))
}

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let reading = (self.0)();
        for row in ROWS {
            let metric = encoder.encode_descriptor(row.name, row.help, None, row.kind)?;
            match row.kind {
                MetricType::Counter => ConstCounter::new((row.value)(&reading)).encode(metric)?,
                _ => gauge((row.value)(&reading)).encode(metric)?,
            }
        }
        let mut family = encoder.encode_descriptor(LAG.0, LAG.1, None, MetricType::Gauge)?;
        for (member, lag) in &reading.lags {
            gauge(*lag).encode(family.encode_family(&[("member", member.as_str())])?)?;
        }
        Ok(())
    }
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    #[test]
    fn every_metric_is_told_under_its_name() {
        let lags = vec![("node-2".to_owned(), 3), ("node-3".to_owned(), 0)];
        let reading = move || Reading {
            has_leader: true,
            is_leader: true,
            term: 7,
            applied: 40,
            lags: lags.clone(),
            heard: 2,
            reached: 1,
            leader_changes: 5,
            silences: 6,
            paths_lost: 8,
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Told(Box::new(reading))));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let found: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expect = [
            "etcd_server_has_leader 1",
            "etcd_server_is_leader 1",
            "etcd_server_leader_changes_seen_total 5",
            "etcd_server_proposals_applied_total 40",
            "mesh_consensus_term 7",
            "mesh_gossip_members_heard 2",
            "mesh_gossip_silences_total 6",
            "mesh_dataplane_peers_reached 1",
            "mesh_dataplane_withdrawals_total 8",
            r#"mesh_consensus_lag_entries{member="node-2"} 3"#,
            r#"mesh_consensus_lag_entries{member="node-3"} 0"#,
        ];
        assert_eq!(found, expect);
    }

    #[test]
    fn a_leader_counts_when_it_comes_to_be_known() {
        let led_by = |leader| Leadership { leader, ..Leadership::default() };
        for (before, now, expect) in
            [(None, Some(A), 1), (Some(A), Some(B), 1), (Some(A), Some(A), 0), (Some(A), None, 0), (None, None, 0)]
        {
            assert_eq!(leader_changes(&led_by(before), &led_by(now)), expect, "{before:?} {now:?}");
        }
    }

    #[test]
    fn members_and_paths_count_when_they_are_lost() {
        assert_eq!([fallen_silent(&[A, B].into(), &[A].into()), fallen_silent(&[A].into(), &[A, B].into())], [1, 0]);
        let paths = |reached: &[(NodeId, bool)]| Some(reached.iter().copied().collect());
        let both = paths(&[(A, true), (B, true)]);
        assert_eq!(paths_lost(&both, &paths(&[(A, false), (B, true)])), 1);
        // A member that is gone, and a data plane that does not tell, are no dead paths.
        assert_eq!(
            [paths_lost(&both, &paths(&[(A, true)])), paths_lost(&both, &None), paths_lost(&None, &both)],
            [0; 3]
        );
    }
}
