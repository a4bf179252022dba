//! Clusters of containers, as `docker compose up` makes them: found by the project's label and reached through `docker` and
//! this machine's `/proc`, so the engine must be this machine's. Main type: [`Compose`].
//!
//! A container may be broken if it carries the label `mesh.chaos=allowed`; others only if asked for twice.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::target::{Place, root};

/// Where faults of projects are kept; a reboot ends both.
const RUN: &str = "/run/mesh-chaos";

/// The label of containers that are there to be broken.
const CONSENT: (&str, &str) = ("mesh.chaos", "allowed");

/// Where a node in a container keeps its data: `mesh`'s default.
const DATA_DIR: &str = "var/lib/mesh";

/// Where a node in a container reads its hooks (`chaosHooks`).
const HOOKS: &str = "run/mesh/chaos-hooks.json";

/// A project of containers.
pub(crate) struct Compose {
    /// Its name.
    pub(crate) project: String,
}

/// One container.
struct Container {
    id: String,
    name: String,
    /// 0 while it does not run.
    pid: i64,
    address: IpAddr,
    consents: bool,
}

impl Compose {
    /// The project of this name, which must have containers that may be broken.
    pub(super) fn open(project: &str, yes_break_it: bool) -> Result<Self> {
        root()?;
        let compose = Self { project: project.to_owned() };
        let containers = compose.containers()?;
        ensure!(!containers.is_empty(), "there is no compose project {project:?}: `docker compose up` makes one");
        let unwilling: Vec<_> = containers.iter().filter(|one| !one.consents).map(|one| one.name.as_str()).collect();
        let (label, value) = CONSENT;
        ensure!(
            yes_break_it || unwilling.is_empty(),
            "{} of {project:?} carry no label {label}={value}, so they may be somebody's real nodes: add the label, or say \
             --yes-break-it",
            unwilling.join(", ")
        );
        Ok(compose)
    }

    pub(super) fn folder(&self) -> PathBuf {
        PathBuf::from(RUN).join(&self.project)
    }

    fn containers(&self) -> Result<Vec<Container>> {
        let filter = format!("label=com.docker.compose.project={}", self.project);
        let ids = docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter])?;
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let told: Vec<Value> = serde_json::from_str(&docker(&[["inspect"].as_slice(), &ids].concat())?)?;
        let mut containers: Vec<_> = told.iter().map(container).collect::<Result<_>>()?;
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(containers)
    }

    fn container(&self, node: &str) -> Result<Container> {
        let found = self.containers()?.into_iter().find(|one| one.name == node);
        found.with_context(|| format!("the compose project {:?} has no service {node:?}", self.project))
    }

    pub(super) fn places(&self) -> Result<Vec<Place>> {
        Ok(self.containers()?.iter().map(Container::place).collect())
    }

    pub(super) fn place(&self, node: &str) -> Result<Place> {
        Ok(self.container(node)?.place())
    }

    /// Its data directory, as this machine sees it.
    pub(super) fn data_dir(&self, node: &str) -> Result<PathBuf> {
        Ok(self.container(node)?.root().join(DATA_DIR))
    }

    pub(super) fn kill(&self, node: &str) -> Result<()> {
        let container = self.container(node)?;
        if container.pid == 0 {
            return Ok(());
        }
        docker(&["kill", &container.id]).map(drop)
    }

    pub(super) fn start(&self, node: &str) -> Result<()> {
        docker(&["start", &self.container(node)?.id]).map(drop)
    }
}

impl Container {
    /// Its files, as this machine sees them.
    fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid))
    }

    fn place(&self) -> Place {
        Place {
            name: self.name.clone(),
            address: self.address,
            namespace: PathBuf::from(format!("/proc/{}/ns/net", self.pid)),
            hooks: self.root().join(HOOKS),
        }
    }
}

/// What `docker inspect` tells of one.
fn container(told: &Value) -> Result<Container> {
    let labels = &told["Config"]["Labels"];
    let name = labels["com.docker.compose.service"].as_str().context("a container of compose has a service")?;
    let networks = told["NetworkSettings"]["Networks"].as_object();
    // While it does not run only the address it was promised is known.
    let addresses = networks.into_iter().flat_map(|networks| networks.values()).flat_map(|network| {
        [network["IPAddress"].as_str(), network["IPAMConfig"]["IPv4Address"].as_str()].into_iter().flatten()
    });
    let address = addresses.filter_map(|text| text.parse().ok()).next();
    let (label, value) = CONSENT;
    Ok(Container {
        id: told["Id"].as_str().context("a container has an id")?.to_owned(),
        name: name.to_owned(),
        pid: told["State"]["Pid"].as_i64().unwrap_or(0),
        address: address.with_context(|| format!("{name} has no address: give it one with ipv4_address"))?,
        consents: labels[label] == value,
    })
}

fn docker(words: &[&str]) -> Result<String> {
    let output = Command::new("docker").args(words).output().context("cannot run docker")?;
    if !output.status.success() {
        bail!("docker {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(pid: i64, address: &str, promised: &str, label: &str) -> Option<(i64, String, bool)> {
        let told = json!({
            "Id": "abc",
            "State": { "Pid": pid },
            "Config": { "Labels": { "com.docker.compose.service": "node-1", "mesh.chaos": label } },
            "NetworkSettings": { "Networks": { "mesh": {
                "IPAddress": address, "IPAMConfig": { "IPv4Address": promised },
            } } },
        });
        container(&told).ok().map(|one| (one.pid, one.address.to_string(), one.consents))
    }

    #[test]
    fn a_container_is_read_running_or_not_and_only_its_label_consents() {
        assert_eq!(check(7, "10.0.0.2", "10.0.0.3", "allowed"), Some((7, "10.0.0.2".into(), true)));
        assert_eq!(check(0, "", "10.0.0.3", "yes"), Some((0, "10.0.0.3".into(), false)));
        assert_eq!(check(0, "", "", "allowed"), None);
    }
}
