//! What a test does to a node of a [`Sandbox`]: it stands still, hears nobody, or loses packets. Main type: [`Direction`].
//! Cuts are nftables rules in the node's own network namespace, so that the machine still reaches its API.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Access, Program, Sandbox, eventually, mesh};

/// Which packets a cut node loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// All.
    Both,
    /// Those to it: it is heard, and hears nothing.
    In,
    /// Those from it: it hears all, and is not heard.
    Out,
}

impl Sandbox {
    /// Where a node serves the API.
    ///
    /// # Errors
    /// Where there is no such node.
    pub fn access(&self, node: &str) -> Result<Access> {
        let path = self.root().join(format!("{node}.kubeconfig"));
        Access::new(&fs::read_to_string(&path).with_context(|| path.display().to_string())?)
    }

    /// The node that leads, as this one sees it.
    ///
    /// # Errors
    /// Where it knows none, or does not run.
    pub fn leader(&self, asked: &str) -> Result<String> {
        let said = self.on(asked, "status -o json").run()?.prints(&[])?;
        let status: serde_json::Value = serde_json::from_str(&said)?;
        Ok(status["leader"].as_str().context("there is no leader")?.to_owned())
    }

    /// `mesh chaos <arguments>` about this cluster; returns what it prints.
    ///
    /// # Errors
    /// Where it fails.
    pub fn chaos(&self, arguments: &str) -> Result<String> {
        Program::new(mesh(), &format!("chaos {arguments} --name {}", self.name)).run()?.prints(&[])
    }

    /// The control process of a node stands still.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn pause(&self, node: &str) -> Result<()> {
        Ok(kill(self.control(node)?, Signal::SIGSTOP)?)
    }

    /// It goes on.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn resume(&self, node: &str) -> Result<()> {
        Ok(kill(self.control(node)?, Signal::SIGCONT)?)
    }

    /// The control process of a node is killed, at once; what it started lives on.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn control_kill(&self, node: &str) -> Result<()> {
        Ok(kill(self.control(node)?, Signal::SIGKILL)?)
    }

    /// SIGTERM to the control process of a node, and waits until it has ended.
    ///
    /// # Errors
    /// Where it does not run, or does not end within `limit`.
    pub fn stop(&self, node: &str, limit: Duration) -> Result<()> {
        kill(self.control(node)?, Signal::SIGTERM)?;
        eventually(&format!("the end of {node}"), limit, || {
            ensure!(self.control(node).is_err(), "it runs");
            Ok(())
        })
    }

    /// Cuts a node off from these others. Packets vanish where they arrive, so that nobody's sending fails.
    ///
    /// # Errors
    /// Where nft refuses.
    pub fn cut(&self, node: &str, others: &[String], direction: Direction) -> Result<()> {
        if direction != Direction::Out {
            let addresses: Vec<String> = others.iter().map(|other| self.ip(other)).collect::<Result<_>>()?;
            self.drop(node, &format!("ip saddr {{ {} }}", addresses.join(", ")))?;
        }
        if direction != Direction::In {
            let address = self.ip(node)?;
            others.iter().try_for_each(|other| self.drop(other, &format!("ip saddr {address}")))?;
        }
        Ok(())
    }

    /// A node loses this share of the packets that reach it.
    ///
    /// # Errors
    /// Where nft refuses.
    pub fn lose(&self, node: &str, percent: u8) -> Result<()> {
        self.drop(node, &format!("numgen random mod 100 < {percent}"))
    }

    /// Takes all cuts and losses away; no matter where there are none.
    ///
    /// # Errors
    /// Where nft refuses.
    pub fn mend(&self) -> Result<()> {
        self.names().iter().try_for_each(|node| self.nft(node, "table inet fault {}\ndelete table inet fault\n"))
    }

    /// One more rule about what reaches a node.
    fn drop(&self, node: &str, which: &str) -> Result<()> {
        self.nft(
            node,
            &format!("table inet fault {{ chain inward {{ type filter hook input priority raw; {which} drop; }}\n}}\n"),
        )
    }

    fn nft(&self, node: &str, lines: &str) -> Result<()> {
        let program = Program::new(Path::new("ip"), &format!("netns exec mesh-{}-{node} nft -f -", self.name));
        program.input(lines).run()?.prints(&[]).map(drop)
    }

    fn ip(&self, node: &str) -> Result<String> {
        let ip: IpAddr = self.access(node)?.server.ip();
        Ok(ip.to_string())
    }

    /// The process that runs on this node's data directory.
    fn control(&self, node: &str) -> Result<Pid> {
        let dir = self.home(node).join("data").display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
            let runs = words.get(1).is_some_and(|word| matches!(word.as_ref(), "up" | "join"));
            if runs && words.iter().any(|word| *word == dir) {
                found.push(Pid::from_raw(pid));
            }
        }
        ensure!(found.len() == 1, "{node} has {} control processes", found.len());
        Ok(found[0])
    }
}
