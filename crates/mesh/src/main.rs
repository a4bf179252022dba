//! The `mesh` binary: reads the command line and hands over to one file per command.

// First: its macros stand in for std's in all that follows.
#[macro_use]
mod out;

mod admin;
mod chaos;
mod check;
mod cli;
mod command;
mod config;
mod dev;
mod telemetry;

use clap::Parser;

fn main() -> std::process::ExitCode {
    if let Some(code) = runtime::helper_main() {
        return code;
    }
    let cli = cli::Cli::parse();
    telemetry::install(&cli.log);
    let written = || out::failure().map_or(Ok(()), |error| Err(anyhow::anyhow!("standard output: {error}")));
    match command::run(cli).and_then(|()| written()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", telemetry::chain(&error));
            std::process::ExitCode::FAILURE
        }
    }
}
