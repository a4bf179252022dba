//! `mesh logger`: what containerd starts beside each container to keep its output. Not for people, and so not in the
//! help: it starts before anything else of the binary does.

use std::process::ExitCode;

/// The word that containerd calls it by.
const NAME: &str = "logger";

/// Runs the logger, if that is what the command line says.
pub(crate) fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != NAME {
        return None;
    }
    let config = arguments.next().unwrap_or_default();
    match runtime::logger_main(&config.to_string_lossy()) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("error: {error}");
            Some(ExitCode::FAILURE)
        }
    }
}
