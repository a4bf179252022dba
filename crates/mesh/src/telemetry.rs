//! Logs to standard error; standard output is for what was asked.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Levels unless said otherwise: our own news, and warnings of the libraries beneath.
const DEFAULT: &str =
    "warn,mesh=info,actors=info,apiserver=info,consensus=info,net=info,store=info,wal=info,openraft=error";

/// Installs the log. A filter that cannot be read falls back to the default, loudly.
pub(crate) fn install(filter: &str) {
    let chosen = if filter.is_empty() { DEFAULT } else { filter };
    let parsed = EnvFilter::try_new(chosen);
    if let Err(error) = &parsed {
        eprintln!("warning: --log {filter:?} is not a filter ({error}); using {DEFAULT:?}");
    }
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
}

/// An error and what caused it, without saying the same twice.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    text
}
