//! The helpers as a program of their own, as tests of this crate start them. The product's are `mesh logger` and `mesh pause`.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::helper_main().unwrap_or_else(|| {
        eprintln!("usage: container-helper logger CONFIG, or container-helper pause FOLDER");
        ExitCode::FAILURE
    })
}
