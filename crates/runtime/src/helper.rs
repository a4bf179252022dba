//! What this crate starts as processes of their own, which outlive us: the program that uses it runs them in its own binary.
//! Main function: [`helper_main`].

use std::{ffi::OsString, path::Path, process::ExitCode};

use crate::{log, pause};

/// Runs a helper, if that is what the command line says; to be called before anything else. For containerd and us, not for people.
#[must_use]
pub fn helper_main() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let (name, word) = (words.next()?, words.next());
    let argument = words.next().unwrap_or_default();
    match run(&name, word, &argument)? {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("error: {error}");
            Some(ExitCode::FAILURE)
        }
    }
}

fn run(name: &OsString, word: Option<OsString>, argument: &OsString) -> Option<Result<(), String>> {
    if name == pause::NAME {
        return Some(pause::first().map_err(|error| error.to_string()));
    }
    match word?.to_str()? {
        log::WORD => Some(log::logger_main(&argument.to_string_lossy()).map_err(|error| error.to_string())),
        pause::WORD => Some(pause::hold(Path::new(argument)).map_err(|error| error.to_string())),
        _ => None,
    }
}
