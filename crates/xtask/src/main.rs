//! Builds, checks and tests the workspace: `cargo xtask <command>`.
//!
//! One file per command; each says what it needs and what to do when that is missing.

mod bench;
mod build;
mod codegen;
mod demo;
mod fuzz;
mod kubectl;
mod soak;
mod system;
mod test;
mod tidy;
mod verify;
mod workspace;

use anyhow::Result;
use clap::Parser;
use std::process::ExitCode;
use workspace::{Features, Workspace};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Builds, checks and tests the workspace")]
enum Xtask {
    /// Check everything that CI checks, writing nothing: tidy, codegen, format, clippy, docs, licences
    Verify,
    /// Write what `verify` would complain of, where that can be done by a program: codegen, format, clippy's sure fixes
    Fix,
    /// Run the tests, after installing the system packages they need
    Test {
        /// Only tests whose name contains one of these
        filters: Vec<String>,
    },
    /// Show what works: three nodes on this machine run a Deployment behind a Service and survive the death of the leading
    /// one; leaves them running
    Demo {
        /// End what a former demo left running and remove every trace of it
        #[arg(long)]
        down: bool,
    },
    /// Measure nodes: requests, scheduling, memory, starts, pods, fail-over, traffic; one row each, beside references
    Bench(bench::Options),
    /// Break five nodes on this machine for hours while clients write, read and watch, and judge what they saw
    Soak(soak::Options),
    /// Feed every parser of strangers' bytes with what reaches more and more of it, and tell what breaks
    Fuzz(fuzz::Options),
    /// Check the rules of this code base: layers, file headers and sizes, tests without sleeps (under two seconds)
    Tidy,
    /// Write the tables derived from dependencies (type facts)
    Codegen {
        /// Only compare with the checked-in tables
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Xtask::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Xtask) -> Result<()> {
    match command {
        Xtask::Verify => verify::verify(),
        Xtask::Fix => verify::fix(),
        Xtask::Test { filters } => test::run(&filters),
        Xtask::Demo { down } => demo::run(down),
        Xtask::Bench(options) => bench::run(&options),
        Xtask::Soak(options) => soak::run(&options),
        Xtask::Fuzz(options) => fuzz::run(&options),
        Xtask::Tidy => tidy::run(&Workspace::load(Features::Default)?),
        Xtask::Codegen { check } => codegen::run(&Workspace::load(Features::All)?, check),
    }
}
