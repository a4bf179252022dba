//! The same seed is the same run, to the last message, in another process too; another seed is another.

use std::path::Path;

use sim::{child, plan::Scenario};

#[test]
fn the_same_seed_leaves_the_same_trace() {
    let run = |seed| child::run(Path::new(env!("CARGO_BIN_EXE_sim")), seed, Scenario::Sound).trace;
    let first = run(1);
    assert!(!first.is_empty(), "the run did not end");
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
}
