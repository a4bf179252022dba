//! A node's second process, and the control process's side of it.
//!
//! The data plane keeps packets going: pods' tunnels to other nodes, Services, the cluster's DNS. It is fed by the control process
//! over a socket, remembers what it was told, and works on alone while there is none: [`process`]. The control
//! process starts it where none runs ([`launch`]) and feeds it ([`feeder`]).

mod dns;
pub mod feeder;
mod knowledge;
pub mod launch;
mod memory;
mod overlay;
pub mod process;
mod server;
mod services;
mod takeover;
#[cfg(test)]
mod tests;

pub use feeder::Feeder;
pub use process::{Process, Settings};

/// Which code the data plane is: changes with its sources, and only with them. A data plane of another build is replaced.
///
/// Read from the program's own bytes at run time, never folded into a comparison: a copy with other bytes is another build.
#[must_use]
pub fn build() -> &'static str {
    std::hint::black_box(concat!(env!("CARGO_PKG_VERSION"), "-", env!("DATAPLANE_BUILD")))
}

/// An error and what caused it.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
