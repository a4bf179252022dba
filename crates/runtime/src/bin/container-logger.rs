//! The logger as a program of its own, as tests of this crate start it. The product's is `mesh logger`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, config] = arguments.as_slice() else {
        eprintln!("usage: container-logger logger CONFIG");
        return ExitCode::FAILURE;
    };
    if command != "logger" {
        eprintln!("{command:?} is not logger");
        return ExitCode::FAILURE;
    }
    match runtime::logger_main(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
