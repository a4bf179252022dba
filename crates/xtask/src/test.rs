//! `cargo xtask test`: all tests, or those that a filter names. Installs what they need, then streams their progress.

use crate::{
    kubectl,
    system::{self, Need},
    workspace::{Features, Workspace},
};
use anyhow::{Context, Result};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// What the demo runs beside our own code, and tests too. Installed where missing.
pub(crate) const PACKAGES: &[Need] = &[
    Need { program: "cc", package: "gcc", reason: "builds ring and links" },
    Need { program: "protoc", package: "protobuf-compiler", reason: "builds containerd's client" },
    Need { program: "containerd", package: "containerd", reason: "runs containers" },
    Need { program: "runc", package: "runc", reason: "runs containers" },
    Need { program: "nft", package: "nftables", reason: "leads Services to pods" },
    Need { program: "ip", package: "iproute2", reason: "joins nodes of one machine" },
    Need { program: "busybox", package: "busybox-static", reason: "is in the image that tests run" },
];

/// What only tests run.
const TEST_PACKAGES: &[Need] = &[
    Need { program: "dockerd", package: "docker.io", reason: "runs nodes as containers" },
    Need { program: "iptables", package: "iptables", reason: "is what dockerd joins containers with" },
    Need { program: "docker-compose", package: "docker-compose", reason: "reads docker-compose.yml" },
    Need { program: "debootstrap", package: "debootstrap", reason: "makes the base image without a registry" },
    Need { program: "python3", package: "python3", reason: "runs the Python client" },
    Need { program: "pip3", package: "python3-pip", reason: "fetches the Python client" },
    Need { program: "curl", package: "curl", reason: "calls an example from outside of its cluster" },
    Need { program: "docker-registry", package: "docker-registry", reason: "serves the images that tests pull" },
];

/// The Python client that tests drive a node with. 36 gives logs as the text of a Python literal: kubernetes-client/python#2596.
const PYTHON_CLIENT: &str = "kubernetes==35.0.0";

/// Runs the tests with the `fast` profile.
///
/// # Errors
/// When something needed is missing and cannot be installed, or a test fails.
pub(crate) fn run(filters: &[String]) -> Result<()> {
    system::install(PACKAGES)?;
    system::install(TEST_PACKAGES)?;
    let workspace = Workspace::load(Features::Default)?;
    let tools = kubectl::folder(&workspace.root.join("target/tools"))?;
    python_client(&workspace.root.join("target/tools/python"))?;
    // Tests with real nodes use one build of the binary, not each its own. Built together with the tests: alone it would
    // have other features, and all it depends on would be built twice.
    let all = ["build", "--locked", "--profile", "fast", "--workspace", "--bins", "--tests"];
    system::run(cargo(&all).current_dir(&workspace.root))?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.root.join("target"), PathBuf::from);
    let mut command = match system::find("cargo-nextest") {
        Some(_) => {
            // What was built just now, and no examples.
            let what = ["nextest", "run", "--workspace", "--bins", "--tests", "--locked", "--cargo-profile", "fast"];
            let mut command = cargo(&what);
            command.args(["--test-threads", &threads().to_string()]);
            command
        }
        None => {
            println!("cargo-nextest is not installed, using cargo test (slower: one test binary after the other)");
            // The harness takes several filters, cargo itself only one.
            cargo(&["test", "--workspace", "--locked", "--profile", "fast", "--no-fail-fast", "--"])
        }
    };
    command.args(filters).current_dir(&workspace.root).env("MESH_BIN", target.join("fast/mesh"));
    if let Some(tools) = tools {
        let old = env::var_os("PATH").unwrap_or_default();
        command.env("PATH", env::join_paths(std::iter::once(tools).chain(env::split_paths(&old)))?);
    }
    system::run(&mut command)
}

/// Tests at a time: half as many again as there are cores, for those with real nodes mostly wait.
fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores + cores.div_ceil(2)
}

/// Puts the Python client into a folder of its own, where it is missing: what the machine's Python has stays as it is.
fn python_client(folder: &Path) -> Result<()> {
    if folder.join("kubernetes").is_dir() {
        return Ok(());
    }
    println!("missing: {PYTHON_CLIENT} (tests drive a node with it), fetching it into {}", folder.display());
    // A folder that appears whole, or not at all.
    let begun = folder.with_extension("begun");
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", "--target"]);
    command.arg(&begun).arg(PYTHON_CLIENT);
    system::run(&mut command).with_context(|| format!("{PYTHON_CLIENT} comes from a Python package index"))?;
    std::fs::rename(&begun, folder).with_context(|| format!("cannot move {} to {}", begun.display(), folder.display()))
}

/// The cargo that runs us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}
