//! `cargo xtask soak`: hours of faults on five nodes under load, and a judge at the end.
//!
//! What breaks and judges is `examples/soak` of `tests/cluster`; this builds it with the binary under test. Its exit code is
//! a failure where anything was lost or wrong.

use anyhow::{Context, Result};
use std::process::Command;

use crate::{
    build::build,
    system,
    test::PACKAGES,
    workspace::{Features, Workspace},
};

/// How long, and which faults.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long faults follow each other, one about every minute; parts of hours will do
    #[arg(long, default_value_t = 1.0)]
    hours: f64,
    /// What the faults are drawn from: the same seed draws the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often the leader is killed before that, for the figures of fail-over
    #[arg(long, default_value_t = 32)]
    kills: u32,
    /// How often a machine loses power after that, for the figures of withdrawal
    #[arg(long, default_value_t = 20)]
    machines: u32,
}

/// Builds, breaks, judges.
///
/// # Errors
/// Where the build fails, or anything was lost, applied twice, read stale or not told.
pub(crate) fn run(options: &Options) -> Result<()> {
    system::install(PACKAGES)?;
    let workspace = Workspace::load(Features::Default)?;
    let built = build(&workspace.root, "fast", &["-p", "mesh", "-p", "cluster", "--bin", "mesh", "--example", "soak"])?;
    let program = |name: &str| built.get(name).with_context(|| format!("cargo built no {name}"));
    let mut command = Command::new(program("soak")?);
    command.args(["--hours", &options.hours.to_string(), "--seed", &options.seed.to_string()]);
    command.args(["--kills", &options.kills.to_string()]);
    command.args(["--machines", &options.machines.to_string()]).env("MESH_BIN", program("mesh")?);
    system::run(&mut command)
}
