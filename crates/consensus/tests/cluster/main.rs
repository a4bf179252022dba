//! Whole nodes in one process, in real time: the ways through which everything above uses this crate.

mod switchboard;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use consensus::{Config, Media, Node};
use net::NodeId;
use store::{Body, Command, Freshness, Guard, Op, Outcome, Refusal, RequestId, Storage};
use switchboard::Switchboard;
use wal::{Key, KeyId, KeyRing, MemoryDisk};

/// How long any one thing may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct Cluster {
    board: Switchboard,
    nodes: Vec<Node>,
}

impl Cluster {
    async fn start(count: u64) -> Self {
        let mut cluster = Self { board: Switchboard::default(), nodes: Vec::new() };
        for id in 1..=count {
            let node = start_node(&cluster.board, NodeId(id)).await;
            cluster.nodes.push(node);
        }
        let founder = &cluster.nodes[0];
        founder.initialize().await.expect("an empty node founds a cluster");
        wait_leader(founder).await;
        for id in 2..=count {
            founder.add_learner(NodeId(id)).await.expect("the leader takes learners");
        }
        wait(|| founder.status().followers.iter().filter(|follower| follower.caught_up).count() as u64 == count - 1)
            .await;
        let voters: BTreeSet<_> = (1..=count).map(NodeId).collect();
        founder.change_voters(voters).await.expect("learners that caught up become voters");
        cluster
    }

    fn leader(&self) -> Option<usize> {
        self.nodes.iter().position(|node| node.leadership().borrow().own_first_entry_applied)
    }
}

async fn start_node(board: &Switchboard, id: NodeId) -> Node {
    let keys = KeyRing::new(KeyId(1), Key::new([7; 32]));
    let media = Media::new(Arc::new(MemoryDisk::new(id.0)), keys);
    let node = Node::start(id, Config::default(), media, board.line(id)).await;
    let node = node.expect("an empty disk is a good start");
    board.plug(&node);
    node
}

async fn wait_leader(node: &Node) {
    let mut leadership = node.leadership();
    let led = leadership.wait_for(|now| now.own_first_entry_applied);
    tokio::time::timeout(PATIENCE, led).await.expect("a leader in time").expect("the node lives");
}

async fn wait(mut until: impl FnMut() -> bool) {
    let poll = async {
        while !until() {
            // awaited: a predicate over several nodes' states, of which no single event tells.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.expect("in time");
}

fn put(request: u128, key: &str, value: &str, guards: Vec<Guard>) -> Command {
    let body = Body { head: Bytes::from(value.to_owned()), tail: Bytes::new() };
    let (labels, fields, indexes) = Default::default();
    let ops = vec![Op::Put { key: key.into(), body, labels, fields, indexes }];
    Command { request: RequestId(request), guards, ops }
}

async fn value(node: &Node, key: &str) -> Option<Bytes> {
    let view = node.read(Freshness::Linearizable).await.expect("a quorum");
    view.get(key).map(|record| record.body.head.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_takes_writes_and_reads_the_newest() {
    let cluster = Cluster::start(3).await;
    for round in 0..30_u128 {
        let writer = &cluster.nodes[(round % 3) as usize];
        let reader = &cluster.nodes[((round + 1) % 3) as usize];
        let written = format!("value {round}");
        let outcome = writer.propose(put(round, "key", &written, vec![])).await.expect("a quorum");
        assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
        assert_eq!(value(reader, "key").await, Some(Bytes::from(written)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_a_storage_like_any_other() {
    store::suite::run(|| async {
        let board = Switchboard::default();
        let node = start_node(&board, NodeId(1)).await;
        node.initialize().await.expect("an empty node founds a cluster");
        wait_leader(&node).await;
        node
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_is_applied_once() {
    let cluster = Cluster::start(3).await;
    let command = put(7, "key", "value", vec![Guard::Absent("key".into())]);
    let first = cluster.nodes[1].propose(command.clone()).await.expect("a quorum");
    let again = cluster.nodes[2].propose(command).await.expect("a quorum");
    assert_eq!(first, again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_when_the_leader_is_gone_and_its_term_is_fenced() {
    let cluster = Cluster::start(3).await;
    let old = cluster.leader().expect("it was founded");
    let old_term = cluster.nodes[old].leadership().borrow().term;
    cluster.board.unplug(cluster.nodes[old].id());
    let survivor = &cluster.nodes[(old + 1) % 3];
    survivor.propose(put(1, "key", "after", vec![])).await.expect("two of three are a quorum");
    assert!(survivor.leadership().borrow().term > old_term);
    let fenced = survivor.propose(put(2, "key", "late", vec![Guard::Term(old_term)])).await;
    assert_eq!(fenced, Ok(Outcome::Refused(Refusal::Guard(0))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_quorum_reads_nothing_linearizable_but_has_its_own_state() {
    let cluster = Cluster::start(3).await;
    cluster.nodes[2].propose(put(1, "key", "value", vec![])).await.expect("a quorum");
    let alone = &cluster.nodes[2];
    cluster.board.unplug(alone.id());
    wait(|| alone.behind().is_some()).await;
    let refused = alone.read(Freshness::Linearizable).await;
    assert!(matches!(refused, Err(store::ReadError::NoQuorum(_))), "{refused:?}");
    let stale = alone.read(Freshness::Any).await.expect("its own state needs nobody");
    assert!(stale.get("key").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_shuts_down_hands_over_first() {
    let mut cluster = Cluster::start(3).await;
    let old = cluster.leader().expect("it was founded");
    let leaving = cluster.nodes.swap_remove(old);
    let began = std::time::Instant::now();
    leaving.shutdown().await;
    let other = &cluster.nodes[0];
    let remaining: Vec<_> = cluster.nodes.iter().map(Node::id).collect();
    wait(|| other.leadership().borrow().leader.is_some_and(|leader| remaining.contains(&leader))).await;
    assert!(began.elapsed() < Duration::from_secs(1), "took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_at_once_all_get_their_own_outcome() {
    let cluster = Arc::new(Cluster::start(3).await);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..64_u128 {
        let cluster = cluster.clone();
        writers.spawn(async move {
            for round in 0..20_u128 {
                let node = &cluster.nodes[(writer % 3) as usize];
                let key = format!("key/{writer}/{round}");
                node.propose(put(writer << 64 | round, &key, "v", vec![])).await.expect("a quorum");
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("no writer fails");
    }
    let view = cluster.nodes[1].read(Freshness::Linearizable).await.expect("a quorum");
    assert_eq!(view.len(), 64 * 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_voter_is_asked_no_more() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().expect("it was founded");
    let gone = cluster.nodes[(leader + 1) % 3].id();
    cluster.nodes[leader].remove(gone).await.expect("two remain");
    let status = cluster.nodes[leader].status();
    assert!(!status.voters.contains(&gone) && !status.learners.contains(&gone), "{status:?}");
}
