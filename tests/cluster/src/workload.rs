//! Clients that write, read and watch while something is broken, and a judge at the end: [`Workload`].
//!
//! `history` notes what they did, `judge` says what of it may not be. Everything is kept: an hour makes some hundred thousand
//! operations. Leaves out pods and Services: those a test calls itself.

mod api;
mod dice;
mod history;
mod judge;
mod report;
mod start;
mod watcher;
mod writer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

pub use api::Api;
pub use dice::Dice;
pub use history::{Action, Ending, History, Operation, Token};
pub use judge::{Record, judge};
pub use report::{Report, percentile};
pub use watcher::{Event, Told};

use crate::access::Access;
use crate::eventually;
use writer::Writer;

/// The namespace of a run.
const NAMESPACE: &str = "workload";

/// Its ConfigMaps.
const COLLECTION: &str = "/api/v1/namespaces/workload/configmaps";

/// Objects at which writers meet.
const REGISTERS: u64 = 6;

/// How long the cluster may take to serve again at the end, on a busy machine.
const END_LIMIT: Duration = Duration::from_secs(60);

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Clients that write.
    pub writers: usize,
    /// Clients that read.
    pub readers: usize,
    /// Clients that watch.
    pub watchers: usize,
    /// Between two requests of a client.
    pub pause: Duration,
    /// What the clients' choices are drawn from.
    pub seed: u64,
}

impl Default for Load {
    fn default() -> Self {
        Self { writers: 3, readers: 2, watchers: 2, pause: Duration::from_millis(15), seed: 1 }
    }
}

/// Clients at work. Ends them on drop; [`Workload::finish`] judges.
#[derive(Debug)]
pub struct Workload {
    /// What they did so far.
    pub history: Arc<History>,
    access: Access,
    nodes: Arc<[SocketAddr]>,
    stop: Arc<AtomicBool>,
    end: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
    watchers: Vec<JoinHandle<Told>>,
}

impl Workload {
    /// Makes the namespace, lists, watches, and begins to write and read. Clients begin at different nodes.
    ///
    /// # Errors
    /// Where the cluster does not serve, or had a workload before.
    pub fn start(kubeconfig: &str, nodes: &[SocketAddr], load: Load) -> Result<Self> {
        let access = Access::new(kubeconfig)?;
        let (stop, end) = (Arc::default(), Arc::default());
        let (clients, watchers) = Default::default();
        let mut workload = Self { history: Arc::default(), access, nodes: nodes.into(), stop, end, clients, watchers };
        workload.make_namespace()?;
        for number in 0..load.watchers {
            let watcher = watcher::Watcher::new(workload.api(number), workload.end.clone())?;
            workload.watchers.push(std::thread::spawn(move || watcher.run(END_LIMIT)));
        }
        workload.make_registers(load.seed)?;
        for number in 0..load.writers + load.readers {
            let turn = if number < load.writers { Writer::turn } else { Writer::read_one };
            let writer = workload.writer(number, load.seed);
            let stop = workload.stop.clone();
            workload.clients.push(std::thread::spawn(move || work(writer, &stop, turn, load.pause)));
        }
        Ok(workload)
    }

    /// A client of its own for a test's questions, beginning at this node.
    pub fn api(&self, node: usize) -> Api {
        Api::new(self.access.clone(), self.nodes.clone(), node)
    }

    fn writer(&self, number: usize, seed: u64) -> Writer {
        let unlike = u64::try_from(number).unwrap_or(u64::MAX) + 1;
        Writer::new(self.api(number), self.history.clone(), unlike, seed)
    }

    fn make_namespace(&self) -> Result<()> {
        let body = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{NAMESPACE}"}}}}"#);
        let mut api = self.api(0);
        eventually("the workload's namespace", END_LIMIT, || {
            let answer = api.ask("POST", "/api/v1/namespaces", "application/json", &body)?;
            ensure!(matches!(answer.code, 201 | 409), "{}", String::from_utf8_lossy(&answer.body));
            Ok(())
        })
    }

    fn make_registers(&self, seed: u64) -> Result<()> {
        // Beyond the numbers of all clients.
        let mut writer = self.writer(1000, seed);
        for number in 0..REGISTERS {
            let key = writer::register(number);
            eventually("a register", END_LIMIT, || writer.create(&key).map(drop).context("it is not made"))?;
        }
        Ok(())
    }

    /// How long after `since` the first write of those asked after it was acknowledged. Waits for that.
    ///
    /// # Errors
    /// Where none is within `limit`.
    pub fn next_write(&self, since: Instant, limit: Duration) -> Result<Duration> {
        let from = self.history.moment(since);
        eventually("an acknowledged write", limit, || {
            let operations = self.history.lock();
            let later = operations.iter().rev().take_while(|one| one.called >= from).filter(|one| one.writes());
            let first = later.filter_map(Operation::answered).min().context("none yet")?;
            Ok(Duration::from_nanos(first - from))
        })
    }

    /// Writes asked since then that were acknowledged.
    pub fn written_since(&self, since: Instant) -> usize {
        let from = self.history.moment(since);
        let operations = self.history.lock();
        let later = operations.iter().rev().take_while(|one| one.called >= from);
        later.filter(|one| one.writes() && one.answered().is_some()).count()
    }

    /// Stops the clients, lets the watchers be told the rest, asks every node, and judges.
    ///
    /// # Errors
    /// With all breaches; or where the cluster does not serve.
    pub fn finish(self) -> Result<Report> {
        let report = self.report()?;
        ensure!(report.wrong.is_empty(), "{} breaches:\n- {}", report.wrong.len(), report.wrong.join("\n- "));
        Ok(report)
    }

    /// As [`Workload::finish`]; breaches are in the report.
    ///
    /// # Errors
    /// Where the cluster does not serve.
    pub fn report(mut self) -> Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?;
        }
        let mut writer = self.writer(1001, 0);
        let mut number = 0;
        let end = eventually("a last write", END_LIMIT, || {
            number += 1;
            writer.create(&format!("mark-{number}")).context("it is not acknowledged")
        })?;
        self.end.store(end, Ordering::Release);
        let finals = self.finals()?;
        let watchers = self.watchers.drain(..).map(|watcher| watcher.join().unwrap_or_default()).collect();
        let operations = self.history.lock().clone();
        Ok(Report::new(Record { operations, watchers, finals }))
    }

    /// What each node shows that takes connections.
    fn finals(&self) -> Result<Vec<BTreeMap<String, (u64, Token)>>> {
        let mut finals = Vec::new();
        for node in self.nodes.iter() {
            if std::net::TcpStream::connect_timeout(node, Duration::from_secs(1)).is_err() {
                continue;
            }
            let mut api = Api::new(self.access.clone(), Arc::new([*node]), 0);
            finals.push(eventually(&format!("a list by {node}"), END_LIMIT, || shown(&mut api))?);
        }
        ensure!(!finals.is_empty(), "no node serves");
        Ok(finals)
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.end.fetch_max(1, Ordering::Release);
    }
}

fn work(mut writer: Writer, stop: &AtomicBool, turn: fn(&mut Writer), pause: Duration) {
    while !stop.load(Ordering::Relaxed) {
        turn(&mut writer);
        // awaited: nothing; a client that thinks
        std::thread::sleep(pause);
    }
}

/// Revision and token of each of our objects.
fn shown(api: &mut Api) -> Result<BTreeMap<String, (u64, Token)>> {
    let answer = api.ask("GET", COLLECTION, "application/json", "")?;
    let list = answer.json();
    ensure!(answer.code == 200, "{list}");
    let mut shown = BTreeMap::new();
    for item in list["items"].as_array().context("a list has items")? {
        let name = item["metadata"]["name"].as_str().context("a name")?;
        let revision = item["metadata"]["resourceVersion"].as_str().context("a revision")?.parse()?;
        if writer::token(item) != 0 {
            shown.insert(name.to_owned(), (revision, writer::token(item)));
        }
    }
    Ok(shown)
}
