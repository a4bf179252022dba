//! `cargo xtask bench`: what nodes do under load, what they cost, and how fast they are there; one row each of `bench/rows.rs`.
//!
//! The load is `examples/load`. Everything is on one machine, client included: compare processor time for an operation
//! before rates, which fall when a neighbour computes. Leaves out the reference itself: its figures are in the rows.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{
    build::build,
    system,
    test::PACKAGES,
    workspace::{Features, Workspace},
};

mod costs;
mod lab;
mod node;
mod pods;
mod row;
mod rows;
mod sample;
mod sandbox;
mod times;
mod traffic;

use lab::{Lab, Programs};
use row::Row;
use rows::ROWS;

/// What is built besides the binary under test: the load, and the scheduler's own bench.
const BUILT: &[&str] = &["-p", "mesh", "-p", "xtask", "-p", "scheduler", "--example", "load", "--example", "bench"];

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only rows whose name begins so; several by commas [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Measure the release profile (its build takes many minutes) instead of `fast`
    #[arg(long)]
    release: bool,
    /// Measure this binary instead of building one: another release, say
    #[arg(long, value_name = "FILE")]
    mesh: Option<PathBuf>,
    /// How long a rate is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// How often starts are repeated; pods, containers and kills four times as often
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: u16,
}

/// Builds, measures, prints.
///
/// # Errors
/// Where a build, a node or a request fails; rows that can be measured are, all the same.
pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen = chosen(&options.only)?;
    system::install(PACKAGES)?;
    let workspace = Workspace::load(Features::Default)?;
    let profile = if options.release { "release" } else { "fast" };
    let binary: &[&str] = if options.mesh.is_some() { &[] } else { &["--bin", "mesh"] };
    let built = build(&workspace.root, profile, &[BUILT, binary].concat())?;
    let program = |name: &str| built.get(name).cloned().with_context(|| format!("cargo built no {name}"));
    let programs = Programs {
        mesh: options.mesh.clone().map_or_else(|| program("mesh"), Ok)?,
        load: program("load")?,
        scheduler: program("bench")?,
        folder: workspace.root.join("target/bench"),
    };
    let mut lab = Lab::open(programs, options.seconds, options.repeats)?;
    if options.output == Output::Table {
        println!("profile {profile}; TLS, RBAC and fsync on; client on the same machine; ConfigMaps of 1 KiB\n");
        row::print_head();
    }
    let failed = measure(&chosen, &mut lab, options.output);
    lab.close()?;
    if failed.is_empty() { Ok(()) } else { bail!("{} rows failed:\n{}", failed.len(), failed.join("\n")) }
}

fn chosen(only: &[String]) -> Result<Vec<&'static Row>> {
    let names = || ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    if let Some(unknown) = only.iter().find(|name| !ROWS.iter().any(|row| row.name.starts_with(name.as_str()))) {
        bail!("--only {unknown}: no row's name begins so; there are {}", names());
    }
    Ok(ROWS.iter().filter(|row| only.is_empty() || only.iter().any(|name| row.name.starts_with(name))).collect())
}

/// Prints each row as soon as it is measured; returns what failed.
fn measure(rows: &[&Row], lab: &mut Lab, output: Output) -> Vec<String> {
    let mut failed = Vec::new();
    for row in rows {
        let load = load_average().unwrap_or_default();
        match ((row.run)(lab), output) {
            (Ok(measured), Output::Table) => row.print(&measured, load),
            (Ok(measured), Output::Json) => println!("{}", row.json(&measured, load)),
            (Err(error), _) => {
                eprintln!("{:<16} {error:#}", row.name);
                failed.push(format!("{}: {error:#}", row.name));
            }
        }
    }
    failed
}

/// Of the last minute: who else computes, slows rows down.
fn load_average() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").context("cannot read the load average")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_the_beginning_of_their_names() {
        let names = |only: &str| -> Vec<&str> {
            let only: Vec<String> = only.split(',').map(Into::into).collect();
            chosen(&only).expect("known names").iter().map(|row| row.name).collect()
        };
        assert_eq!(names("net-,list"), ["list", "net-pods", "net-veth"]);
        assert_eq!(chosen(&[]).expect("all").len(), ROWS.len());
        let error = chosen(&["nothing".into()]).expect_err("no such row").to_string();
        assert!(error.contains("nothing") && error.contains("create-1"), "{error}");
    }
}
