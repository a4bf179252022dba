//! `mesh leave`: this machine's pods go elsewhere, then it gives up its part. The flags and the order are those of
//! `kubectl drain`; what is decided about pods is [`actors::drain`]'s.

use std::collections::BTreeSet;
use std::time::Duration;

use actors::drain::{Options, Pass};
use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

use crate::admin::{Request, client};
use crate::cli::{At, DrainArgs};

/// Between two looks at pods that end.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Before a budget that said no is asked again, as kubectl does.
const RETRY_PERIOD: Duration = Duration::from_secs(5);

/// One pass: a few rounds of evictions, each of which is tried several times by itself.
const PASS_LIMIT: Duration = Duration::from_secs(600);

/// Leaving itself, and the pods that end with the node.
const LEAVE_LIMIT: Duration = Duration::from_secs(90);

/// Empties the node and gives up its part; the running process ends itself afterwards.
pub(crate) async fn run(args: &DrainArgs, at: &At) -> Result<()> {
    if !args.no_drain {
        drain(args, at).await?;
    }
    eprintln!("leaving: handing on this node's part in the quorum");
    let name: String = client::ask_for(&at.data_dir, &Request::Leave, LEAVE_LIMIT).await?;
    println!("node {name} has left the cluster; it ends now, and leaves {} empty", at.data_dir.display());
    Ok(())
}

async fn drain(args: &DrainArgs, at: &At) -> Result<()> {
    let options = Options { force: args.force, delete_emptydir_data: args.delete_emptydir_data };
    let deadline = match args.timeout {
        Some(seconds) => Some(Instant::now() + Duration::from_secs(seconds.try_into()?)),
        None => None,
    };
    let mut progress = Progress::default();
    loop {
        let asked = client::ask_for(&at.data_dir, &Request::Drain { options }, PASS_LIMIT).await;
        let pass: Pass = asked.context("this node has not left, and its pods run on")?;
        progress.tell(&pass).iter().for_each(|line| eprintln!("{line}"));
        if pass.left.is_empty() {
            return Ok(());
        }
        let pause = if pass.refused.is_empty() { LOOK_PERIOD } else { RETRY_PERIOD };
        if deadline.is_some_and(|deadline| Instant::now() + pause > deadline) {
            bail!(
                "this node has not left: after {} s there are still pods here: {}; it is cordoned: ask again, give \
                 --no-drain to leave all the same, or `kubectl uncordon` it",
                args.timeout.unwrap_or_default(),
                pass.left.join(", ")
            );
        }
        sleep(pause).await;
    }
}

/// What was told already.
#[derive(Debug, Default)]
struct Progress {
    going: BTreeSet<String>,
    skipped: BTreeSet<String>,
}

impl Progress {
    /// A line for each pod about which there is news.
    fn tell(&mut self, pass: &Pass) -> Vec<String> {
        let left: BTreeSet<String> = pass.left.iter().cloned().collect();
        let skipped = pass.skipped.iter().filter(|(pod, _)| self.skipped.insert(pod.clone()));
        let mut lines: Vec<String> = skipped.map(|(pod, why)| format!("pod {pod} ends with the node: {why}")).collect();
        lines.extend(self.going.difference(&left).map(|pod| format!("pod {pod} evicted")));
        lines.extend(pass.evicted.iter().map(|pod| format!("evicting pod {pod}")));
        let refused = pass.refused.iter();
        lines.extend(refused.map(|(pod, why)| format!("pod {pod} stays for now, next try in {RETRY_PERIOD:?}: {why}")));
        self.going = left;
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pod_is_told_of_when_something_becomes_of_it() {
        let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let pair = |pod: &str| vec![(pod.to_owned(), "why".to_owned())];
        let mut progress = Progress::default();
        let first =
            Pass { evicted: text(&["n/a"]), refused: pair("n/b"), left: text(&["n/a", "n/b"]), skipped: pair("n/c") };
        let lines =
            ["pod n/c ends with the node: why", "evicting pod n/a", "pod n/b stays for now, next try in 5s: why"];
        assert_eq!(progress.tell(&first), lines);
        let second = Pass { evicted: text(&["n/b"]), left: text(&["n/b"]), skipped: pair("n/c"), ..Pass::default() };
        assert_eq!(progress.tell(&second), ["pod n/a evicted", "evicting pod n/b"]);
        assert_eq!(progress.tell(&Pass { skipped: pair("n/c"), ..Pass::default() }), ["pod n/b evicted"]);
    }
}
