//! The socket's both sides and what is remembered, without a kernel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use net::NodeId;
use net::dataplane::wire::ObjectRef;
use net::dataplane::{DataplaneListener, Link, ObjectKind, Order, Report, connect};
use net::overlay::PathState;
use tokio::sync::watch;
use tokio::time::timeout;

use super::knowledge::{Follower, Knowledge};
use super::memory::{self, Memory};
use super::server::{End, Server};
use super::{build, launch};
use crate::home::{DISK_KEY, Home};
use crate::host::{Next, Work};

/// No event in these tests takes nearly so long, but for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct Fixture {
    dir: tempfile::TempDir,
    knowledge: Arc<Knowledge>,
    end: watch::Receiver<Option<End>>,
    _server: tokio::task::JoinSet<()>,
}

impl Fixture {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let knowledge = Arc::new(Knowledge::new(None));
        let (ended, end) = watch::channel(None);
        let server = Arc::new(Server { knowledge: knowledge.clone(), end: ended });
        let listener = DataplaneListener::open(dir.path()).unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { drop(server.run(listener).await) });
        Self { dir, knowledge, end, _server: tasks }
    }

    async fn link(&self) -> Link {
        connect(self.dir.path(), build()).await.unwrap()
    }

    /// Waits until all orders so far were taken up.
    async fn settled(&self, link: &mut Link) -> net::dataplane::Status {
        match link.ask(Order::Observe).await.unwrap() {
            Report::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    fn names(&self) -> Vec<String> {
        self.knowledge.kept().objects.into_keys().map(|object| object.name).collect()
    }
}

fn service(name: &str, json: Option<&str>) -> Order {
    let object = ObjectRef { kind: ObjectKind::Service, namespace: "default".into(), name: name.into() };
    Order::Object { object, json: json.map(|json| json.as_bytes().to_vec()) }
}

async fn give(link: &mut Link, orders: impl IntoIterator<Item = Order>) {
    for order in orders {
        link.send(order).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_list_replaces_what_was_known_and_changes_add_to_it() {
    let fixture = Fixture::start();
    let mut link = fixture.link().await;
    give(&mut link, [Order::Begin, service("a", Some("1")), service("b", Some("1"))]).await;
    fixture.settled(&mut link).await;
    assert!(!*fixture.knowledge.whole.borrow(), "half a list is not the whole");
    give(&mut link, [Order::Synced, service("c", Some("1")), service("a", None)]).await;
    fixture.settled(&mut link).await;
    assert!(*fixture.knowledge.whole.borrow());
    assert_eq!(fixture.names(), ["b", "c"]);
    drop(link);
    // The control process was restarted, and much has changed meanwhile.
    let mut link = fixture.link().await;
    give(&mut link, [Order::Begin, service("c", Some("2")), service("d", Some("1")), Order::Synced]).await;
    fixture.settled(&mut link).await;
    assert_eq!(fixture.names(), ["c", "d"]);
    assert_eq!(fixture.knowledge.take_changed(Follower::Services).len(), 4, "each changed object once");
}

#[tokio::test]
async fn a_list_that_breaks_off_takes_nothing_away() {
    let fixture = Fixture::start();
    let mut link = fixture.link().await;
    give(&mut link, [Order::Begin, service("a", Some("1")), service("b", Some("1")), Order::Synced]).await;
    fixture.settled(&mut link).await;
    let mut broken = fixture.link().await;
    give(&mut broken, [Order::Begin, service("a", Some("2"))]).await;
    fixture.settled(&mut broken).await;
    drop(broken);
    assert_eq!(fixture.names(), ["a", "b"]);
}

#[tokio::test]
async fn whoever_feeds_hears_which_nodes_are_reached() {
    let fixture = Fixture::start();
    let mut link = fixture.link().await;
    assert!(!fixture.settled(&mut link).await.fed);
    let node = net::dataplane::NodeFacts {
        id: NodeId(1),
        name: "n1".into(),
        zone: String::new(),
        pod_ranges: Vec::new(),
        all_pod_ranges: Vec::new(),
        service_ranges: Vec::new(),
        dns: Vec::new(),
        domain: "cluster.local".into(),
        listen: "127.0.0.1:7444".parse().unwrap(),
        mtu: 1280,
    };
    link.send(Order::Node(node)).await.unwrap();
    assert_eq!(link.next().await.unwrap(), Some(Report::Paths(Vec::new())));
    let states = [(NodeId(2), PathState::Alive), (NodeId(3), PathState::Dead), (NodeId(4), PathState::Unknown)];
    fixture.knowledge.paths.send_replace(BTreeMap::from(states));
    let paths = timeout(PATIENCE, link.next()).await.unwrap().unwrap();
    assert_eq!(paths, Some(Report::Paths(vec![(NodeId(2), true), (NodeId(3), false)])));
    let status = fixture.settled(&mut link).await;
    assert!(status.fed && status.peers_reached == 1, "{status:?}");
}

#[tokio::test]
async fn what_was_told_to_the_end_is_remembered() {
    let fixture = Fixture::start();
    let data_dir = fixture.dir.path().to_path_buf();
    Home::open(&data_dir).unwrap().save_key(DISK_KEY, &[7; 32]).unwrap();
    let memory = Memory::new(fixture.knowledge.clone(), data_dir.clone());
    let mut link = fixture.link().await;
    give(&mut link, [Order::Begin, service("a", Some("1"))]).await;
    fixture.settled(&mut link).await;
    assert_eq!(memory.run(()).await.unwrap(), Next::Done);
    let file = memory::file(&data_dir).unwrap().unwrap();
    assert_eq!(file.load().unwrap(), None, "half a list");
    give(&mut link, [Order::Synced]).await;
    fixture.settled(&mut link).await;
    assert_eq!(memory.run(()).await.unwrap(), Next::Done);
    assert_eq!(file.load().unwrap(), Some(fixture.knowledge.kept()));
    give(&mut link, [service("b", Some("1"))]).await;
    fixture.settled(&mut link).await;
    assert!(matches!(memory.run(()).await.unwrap(), Next::After(_)), "written again, but not at once");
}

#[tokio::test]
async fn who_asks_it_to_end_says_what_becomes_of_the_kernels_part() {
    for (remove, expect) in [(false, End::Replaced), (true, End::Removed)] {
        let mut fixture = Fixture::start();
        let link = fixture.link().await;
        let Fixture { dir, end, _server, .. } = &mut fixture;
        let process = async {
            assert_eq!(*end.wait_for(Option::is_some).await.unwrap(), Some(expect));
            _server.shutdown().await;
            std::fs::remove_file(dir.path().join(net::dataplane::socket::SOCKET)).unwrap();
        };
        let asked = launch::end(link, dir.path(), remove);
        let (_, asked) = timeout(PATIENCE, async { tokio::join!(process, asked) }).await.unwrap();
        asked.unwrap();
    }
}
