//! `cargo xtask verify` and `fix`: the gate, and what can be repaired by a program. `verify` only reads; CI runs it.

use crate::{
    codegen,
    system::{find, run},
    test::cargo,
    tidy,
    workspace::{Features, Workspace},
};
use anyhow::{Result, bail};
use std::time::Instant;

/// A check: what it is called and what it does.
struct Step {
    name: &'static str,
    run: fn() -> Result<()>,
}

/// Cheapest first.
const CHECKS: &[Step] = &[
    Step { name: "tidy", run: || tidy::run(&Workspace::load(Features::Default)?) },
    Step { name: "codegen", run: || codegen::run(&Workspace::load(Features::All)?, true) },
    Step { name: "format", run: || run(&mut cargo(&["fmt", "--all", "--check"])) },
    Step { name: "clippy", run: || run(cargo(CLIPPY).args(["--", "-D", "warnings"])) },
    Step { name: "docs", run: docs },
    Step { name: "licences and advisories", run: deny },
];

const FIXES: &[Step] = &[
    Step { name: "codegen", run: || codegen::run(&Workspace::load(Features::All)?, false) },
    Step { name: "clippy", run: || run(cargo(CLIPPY).args(["--fix", "--allow-dirty", "--allow-staged"])) },
    Step { name: "format", run: || run(&mut cargo(&["fmt", "--all"])) },
];

/// In the tests' profile, so that build scripts and macros are built once for both.
const CLIPPY: &[&str] = &["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--profile", "fast"];

/// Runs all checks, also after one failed, and sums up.
///
/// # Errors
/// When a check fails.
pub(crate) fn verify() -> Result<()> {
    all(CHECKS)
}

/// Writes what a program can repair.
///
/// # Errors
/// When a tool fails.
pub(crate) fn fix() -> Result<()> {
    all(FIXES)
}

fn all(steps: &[Step]) -> Result<()> {
    let mut failed = Vec::new();
    for step in steps {
        println!("{} ...", step.name);
        let start = Instant::now();
        let outcome = (step.run)();
        let seconds = start.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => println!("{} ok, {seconds:.1} s", step.name),
            Err(error) => {
                eprintln!("{} FAILED, {seconds:.1} s: {error:#}", step.name);
                failed.push(step.name);
            }
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => bail!("failed: {} (`cargo xtask fix` repairs format and codegen)", failed.join(", ")),
    }
}

fn docs() -> Result<()> {
    run(cargo(&["doc", "--workspace", "--no-deps", "--locked", "--quiet", "--profile", "fast"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny() -> Result<()> {
    if find("cargo-deny").is_none() {
        println!("skipped: cargo-deny is not installed (`cargo install --locked cargo-deny`)");
        return Ok(());
    }
    run(&mut cargo(&["deny", "--workspace", "check"]))
}
