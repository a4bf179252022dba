//! A dead voter's place is taken by a standby that has the log, and who is never to vote does not: DESIGN, "Voters manage
//! themselves".

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cluster::{Cluster, Launch, Load, Node, Steps, Workload, eventually, named};

/// Silence after which a voter counts as dead here, in seconds; 30 by default, which would make the test wait.
const DEAD_SECONDS: u64 = 6;

/// The node that may never vote.
const NEVER: &str = "n5";

/// How long a replacement may take on a busy machine.
const REPLACED: Duration = Duration::from_secs(60);

#[test]
fn a_dead_voter_is_replaced_by_a_standby_and_who_may_never_vote_does_not() {
    let mut group = Group::start().unwrap();
    let workload = group.cluster.work(Load::default()).unwrap();
    let mut steps = Steps::new();
    steps.step("of five members, one of which may never vote, three vote and one stands by", || {
        group.shows(&["n1", "n2", "n3"], &["n4"])
    });
    steps.step("a follower dies: the standby votes in its place", || {
        let leader = group.cluster.leader()?;
        let dead = (0..3).find(|node| *node != leader).unwrap_or_default();
        group.replaced(dead, 3)?;
        goes_on(&workload)?;
        group.returns(dead)
    });
    steps.step("the leader dies: another leads, and what returned as a standby votes in its place", || {
        let leader = group.cluster.leader()?;
        let standby = group.standby()?;
        group.replaced(leader, standby)?;
        goes_on(&workload)?;
        group.returns(leader)
    });
    steps.step("no write is lost or applied twice, reads are linearizable, watches complete", || {
        println!("    {}", workload.finish()?);
        Ok(())
    });
    steps.end();
}

/// Five nodes with settings of their own.
struct Group {
    cluster: Cluster,
    settings: String,
}

impl Group {
    fn start() -> Result<Self> {
        let root = tempfile::Builder::new().prefix("mesh-").tempdir()?;
        let config = root.path().join("mesh.yaml");
        std::fs::write(&config, format!("voterDeadSeconds: {DEAD_SECONDS}\n"))?;
        let settings = format!("--config {}", config.display());
        let mut cluster = Cluster::start_with(root, 3, &settings)?;
        for (name, more) in [("n4", ""), (NEVER, "--voter never")] {
            let mut node = Node::new(cluster.root(), name)?;
            node.launch(Launch::Join(&cluster.line), &format!("{settings} {more}"))?;
            node.says("joined")?;
            node.ready()?;
            cluster.nodes.push(node);
        }
        Ok(Self { cluster, settings })
    }

    /// All that run come to show these voters and standbys.
    fn shows(&self, voters: &[&str], standbys: &[&str]) -> Result<()> {
        for node in self.cluster.nodes.iter().filter(|node| node.runs()) {
            eventually(&format!("the quorum, as {} sees it", node.name), REPLACED, || {
                let status = node.status()?;
                let (voting, standing) = (named(&status, "voter"), named(&status, "standby"));
                ensure!(voting == voters && standing == standbys, "voters {voting:?}, standbys {standing:?}");
                Ok(())
            })?;
        }
        Ok(())
    }

    fn standby(&self) -> Result<usize> {
        let running = self.cluster.leader()?;
        let standbys = named(&self.cluster.nodes[running].status()?, "standby");
        let found = self.cluster.nodes.iter().position(|node| standbys == [node.name.as_str()]);
        found.ok_or_else(|| anyhow::anyhow!("standbys are {standbys:?}"))
    }

    /// Kills a voter: `next` votes instead, and the dead one has no part any more.
    fn replaced(&mut self, dead: usize, next: usize) -> Result<()> {
        let running = self.cluster.leader()?;
        let gone = self.cluster.nodes[dead].name.clone();
        let mut want = named(&self.cluster.nodes[running].status()?, "voter");
        want.retain(|name| *name != gone);
        want.push(self.cluster.nodes[next].name.clone());
        want.sort();
        self.cluster.nodes[dead].kill9()?;
        let began = Instant::now();
        self.shows(&want.iter().map(String::as_str).collect::<Vec<_>>(), &[])?;
        println!("    {gone} was replaced within {:.1} s", began.elapsed().as_secs_f32());
        Ok(())
    }

    /// It comes back and stands by; the quorum rests as it is.
    fn returns(&mut self, node: usize) -> Result<()> {
        let running = self.cluster.leader()?;
        let before = named(&self.cluster.nodes[running].status()?, "voter");
        let back = &mut self.cluster.nodes[node];
        back.launch(Launch::Up, &self.settings)?;
        back.says("goes on in its cluster")?;
        back.ready()?;
        let name = back.name.clone();
        self.shows(&before.iter().map(String::as_str).collect::<Vec<_>>(), &[&name])
    }
}

/// Writes are acknowledged.
fn goes_on(workload: &Workload) -> Result<()> {
    let since = Instant::now();
    eventually("writes", REPLACED, || {
        ensure!(workload.written_since(since) > 0, "none");
        Ok(())
    })
}
