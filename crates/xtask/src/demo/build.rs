//! Builds programs of this workspace with cargo's own progress in view, and tells where they are.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
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
    let mut command =
        cargo(&["build", "--locked", "--profile", profile, "--message-format", "json-render-diagnostics"]);
    let mut child = command.args(what).current_dir(root).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
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
