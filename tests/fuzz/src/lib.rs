//! Fuzz targets: every parser that reads what anybody may send, or what a disk may have damaged. Each is a plain function of bytes that must
//! return, whatever they are: [`TARGETS`].
//!
//! [`run`] feeds a target with mutations of its seeds, the same for the same start. It follows no coverage: a fuzzer that does takes the functions
//! as they are. Leaves out what is others' own: TLS, QUIC and HTTP below our handlers (rustls, quinn, hyper), and gossip's messages (chitchat).

mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

pub use targets::TARGETS;

/// Executions between two looks at the clock.
const STRIDE: usize = 16;

/// Bytes of a bad input that are shown.
const SHOWN: usize = 4096;

/// One parser.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Reads the bytes. It may refuse them, not panic, hang, or take memory without bound.
    pub run: fn(&[u8]),
    /// Sound inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Runs the seeds, then mutations of them for this time. Returns the number of executions.
///
/// # Panics
/// As the target does, after telling the input.
pub fn run(target: &Target, start: u64, time: Duration) -> u64 {
    let (seeds, began) = ((target.seeds)(), Instant::now());
    let mut count = 0;
    let mut once = |input: &[u8]| {
        count += 1;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
            let shown = &input[..input.len().min(SHOWN)];
            eprintln!("{}: start {start}, execution {count}, {} bytes: {shown:02x?}", target.name, input.len());
            resume_unwind(panic);
        }
    };
    seeds.iter().for_each(|seed| once(seed));
    let mut mutations = mutate::Mutations::new(start, seeds);
    while began.elapsed() < time {
        (0..STRIDE).for_each(|_| once(mutations.next()));
    }
    count
}
