//! What `cargo metadata` says about this workspace. Main type: [`Workspace`].

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf, process::Command};

/// The workspace, its packages and how they depend on each other, as resolved in `Cargo.lock`.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub root: PathBuf,
    /// All packages by id, ours and foreign.
    pub packages: BTreeMap<String, Package>,
    /// Ids of our own packages.
    pub members: Vec<String>,
    /// Resolved dependencies by package id.
    pub nodes: BTreeMap<String, Node>,
}

/// One package.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its `Cargo.toml`.
    pub manifest_path: PathBuf,
}

/// What one package resolves to.
#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    /// The package's id.
    pub id: String,
    /// Packages it uses.
    pub deps: Vec<Dependency>,
    /// Its features that are on.
    pub features: Vec<String>,
}

/// One use of a package.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The used package's id.
    pub pkg: String,
    /// How it is used.
    pub dep_kinds: Vec<DependencyKind>,
}

/// How a package is used: normally (`None`), in tests (`dev`), in build scripts (`build`).
#[derive(Debug, Deserialize)]
pub(crate) struct DependencyKind {
    /// `None` for a normal dependency.
    pub kind: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    workspace_root: PathBuf,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

/// Which features the answer covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Features {
    /// What a build of the workspace uses.
    Default,
    /// Also what is optional: the source crates of `codegen`.
    All,
}

impl Workspace {
    /// Asks cargo. Downloads sources that are missing.
    ///
    /// # Errors
    /// When cargo fails; its own message went to stderr.
    pub(crate) fn load(features: Features) -> Result<Self> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(["metadata", "--format-version", "1", "--locked"]);
        if features == Features::All {
            command.arg("--all-features");
        }
        let output = command.stderr(std::process::Stdio::inherit()).output().context("cannot run cargo metadata")?;
        ensure!(output.status.success(), "cargo metadata failed ({})", output.status);
        Self::from_metadata(&output.stdout)
    }

    /// Reads what `cargo metadata` wrote.
    ///
    /// # Errors
    /// When it is not of the form we know.
    pub(crate) fn from_metadata(json: &[u8]) -> Result<Self> {
        let metadata: Metadata = serde_json::from_slice(json).context("cargo metadata is not as expected")?;
        Ok(Self {
            root: metadata.workspace_root,
            packages: metadata.packages.into_iter().map(|package| (package.id.clone(), package)).collect(),
            members: metadata.workspace_members,
            nodes: metadata.resolve.nodes.into_iter().map(|node| (node.id.clone(), node)).collect(),
        })
    }

    /// The folder with the sources of the package `name`.
    ///
    /// # Errors
    /// When no such package is in the resolved graph.
    pub(crate) fn source_of(&self, name: &str) -> Result<PathBuf> {
        let package = self.packages.values().find(|package| package.name == name);
        let manifest = package.with_context(|| format!("{name} is not among the dependencies"))?.manifest_path.clone();
        manifest.parent().map(PathBuf::from).context("a manifest has a folder")
    }
}
