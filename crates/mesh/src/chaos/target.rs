//! Which cluster is broken on purpose, and how its nodes are reached. Main type: [`Target`].

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use super::compose::Compose;
use crate::admin::status::Status;
use crate::admin::{Request, client};
use crate::dev::{Part, Sandbox, processes};

/// How long a node may take to tell its state.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// A cluster that may be broken.
pub(crate) enum Target {
    /// One of `mesh dev`.
    Dev(Sandbox),
    /// One of containers, see [`super::compose`].
    Compose(Compose),
}

/// A node, as faults see it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Its name.
    pub(crate) name: String,
    /// Its address towards the others.
    pub(super) address: IpAddr,
    /// Its network namespace; not there while the node is off.
    pub(super) namespace: PathBuf,
    /// Where it reads [`super::Hooks`].
    pub(super) hooks: PathBuf,
}

/// How a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Ready, and it hears and reaches all others.
    Well,
    /// It works, but not with everybody.
    Partly(String),
    /// It does not work.
    Ill(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dev(sandbox) => write!(f, "the mesh dev cluster {:?}", sandbox.name),
            Self::Compose(compose) => write!(f, "the compose project {:?}", compose.project),
        }
    }
}

impl Target {
    /// What `--name`, or `--compose` means.
    ///
    /// # Errors
    /// Where there is no such cluster, or it is none to be broken.
    pub(crate) fn choose(name: &str, compose: Option<&str>, yes_break_it: bool) -> Result<Self> {
        match compose {
            Some(project) => Ok(Self::Compose(Compose::open(project, yes_break_it)?)),
            None => Ok(Self::Dev(Sandbox::open(name)?)),
        }
    }

    /// Where its faults are kept.
    pub(super) fn folder(&self) -> PathBuf {
        match self {
            Self::Dev(sandbox) => sandbox.run(),
            Self::Compose(compose) => compose.folder(),
        }
    }

    /// Its nodes.
    pub(crate) fn places(&self) -> Result<Vec<Place>> {
        match self {
            Self::Dev(sandbox) => Ok(sandbox
                .nodes()
                .map(|node| Place {
                    name: node.name(),
                    address: node.address().into(),
                    namespace: node.namespace_file(),
                    hooks: node.hooks(),
                })
                .collect()),
            Self::Compose(compose) => compose.places(),
        }
    }

    /// The full name of a node; for one of `mesh dev` its number will do.
    pub(crate) fn name_of(&self, node: &str) -> Result<String> {
        match self {
            Self::Dev(sandbox) => Ok(sandbox.node(node)?.name()),
            Self::Compose(compose) => Ok(compose.place(node)?.name),
        }
    }

    /// Ends a node, or one program of it.
    pub(super) fn power_off(&self, node: &str, only: Option<Part>) -> Result<()> {
        match (self, only) {
            (Self::Dev(sandbox), Some(part)) => sandbox.node(node)?.kill(part).map(drop),
            (Self::Dev(sandbox), None) => sandbox.node(node)?.kill_all().map(drop),
            (Self::Compose(_), Some(_)) => self.signal(node, only, Signal::SIGKILL).map(drop),
            (Self::Compose(compose), None) => compose.kill(node),
        }
    }

    /// Starts what of a node does not run.
    pub(super) fn power_on(&self, node: &str) -> Result<()> {
        match self {
            Self::Dev(sandbox) => sandbox.node(node)?.start(None),
            Self::Compose(compose) => compose.start(node),
        }
    }

    /// Sends a signal to a program of a node, or to all it runs; returns how many processes got it.
    pub(super) fn signal(&self, node: &str, only: Option<Part>, signal: Signal) -> Result<usize> {
        let found = match self {
            Self::Dev(sandbox) => sandbox.node(node)?.processes()?,
            Self::Compose(compose) => {
                let namespace = processes::namespace(&compose.place(node)?.namespace);
                processes::within(&BTreeSet::from_iter(namespace))?
            }
        };
        let chosen: Vec<_> = found.into_iter().filter(|one| only.is_none_or(|part| part.is(one))).collect();
        processes::signal(&chosen, signal);
        Ok(chosen.len())
    }

    /// How a node is.
    pub(crate) async fn health(&self, node: &str) -> Health {
        match self.status(node).await {
            Err(error) => Health::Ill(error.to_string()),
            Ok(Status { why_not_ready: Some(why), .. }) => Health::Ill(why),
            Ok(status) => partly(&status).map_or(Health::Well, Health::Partly),
        }
    }

    async fn status(&self, node: &str) -> Result<Status> {
        let request = Request::Status { wait_seconds: None };
        match self {
            Self::Dev(sandbox) => client::ask_for(&sandbox.node(node)?.data_dir(), &request, ANSWER_LIMIT).await,
            Self::Compose(compose) => client::ask_for(&compose.data_dir(node)?, &request, ANSWER_LIMIT).await,
        }
    }
}

fn partly(status: &Status) -> Option<String> {
    use crate::admin::status::DataplaneStatus::{Down, Up};
    let deaf: Vec<_> =
        status.members.iter().filter(|member| !member.heard).map(|member| member.name.as_str()).collect();
    if !deaf.is_empty() {
        return Some(format!("does not hear {}", deaf.join(", ")));
    }
    match &status.dataplane {
        Some(Down(why)) => Some(format!("its data plane is down: {why}")),
        Some(Up(state)) if state.peers_reached < state.peers => {
            Some(format!("its pods reach {} of {} peers", state.peers_reached, state.peers))
        }
        _ => None,
    }
}

/// Checks that commands of this family may break a cluster at all.
pub(super) fn root() -> Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "faults are made in the nodes' network namespaces: run this as root");
    Ok(())
}
