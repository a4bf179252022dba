//! Builds, checks and tests the workspace: `cargo xtask <command>`.
//!
//! One file per command; each says what it needs and what to do when that is missing.

mod codegen;
mod workspace;

use anyhow::Result;
use clap::Parser;
use workspace::{Features, Workspace};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Builds, checks and tests the workspace")]
enum Xtask {
    /// Write the tables derived from dependencies (type facts)
    Codegen {
        /// Only compare with the checked-in tables
        #[arg(long)]
        check: bool,
    },
}

fn main() -> Result<()> {
    match Xtask::parse() {
        Xtask::Codegen { check } => codegen::run(&Workspace::load(Features::All)?, check),
    }
}
