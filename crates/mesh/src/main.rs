//! The `mesh` binary: reads the command line and hands over to one file per command.

mod admin;
mod cli;
mod command;
mod config;
mod dev;
mod telemetry;

use clap::Parser;

fn main() -> std::process::ExitCode {
    if let Some(code) = command::logger::run() {
        return code;
    }
    let cli = cli::Cli::parse();
    telemetry::install(&cli.log);
    match command::run(cli) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", telemetry::chain(&error));
            std::process::ExitCode::FAILURE
        }
    }
}
