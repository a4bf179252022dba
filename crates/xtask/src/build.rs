//! Builds programs of this workspace with cargo's own progress in view, and tells where they are.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::test::cargo;

/// Message of `cargo build --message-format json`, as far as we look at it.
#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Builds these (`cargo build`'s own arguments choose them) and returns each executable by its name.
///
/// # Errors
/// When the build fails; the compiler's words went to standard error.
pub(crate) fn build(root: &Path, profile: &str, what: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
    run(cargo(&["build", "--profile", profile]).args(what).current_dir(root))
}

/// Builds one program that needs no library of the system, so that it runs in an image of its own.
///
/// # Errors
/// As [`build`].
pub(crate) fn build_static(root: &Path, package: &str) -> Result<PathBuf> {
    // A target named on the command line keeps build scripts, which cannot be static, out of the flag's reach.
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = cargo(&["build", "--profile", "fast", "--target-dir", "target/static", "--target", &target]);
    command.env("RUSTFLAGS", "-C target-feature=+crt-static").current_dir(root);
    let mut built = run(command.args(["-p", package]))?;
    built.remove(package).with_context(|| format!("cargo built no {package}"))
}

fn run(command: &mut Command) -> Result<BTreeMap<String, PathBuf>> {
    command.args(["--locked", "--message-format", "json-render-diagnostics"]);
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut built = BTreeMap::new();
    for line in BufReader::new(output).lines() {
        let Ok(message) = serde_json::from_str::<Message>(&line?) else { continue };
        if let (Some(target), Some(executable)) = (message.target, message.executable) {
            built.insert(target.name, executable);
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "cargo build failed ({status})");
    Ok(built)
}
