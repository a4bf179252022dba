//! No run of any seed violates an invariant; which there are is in `sim::judge`.

use std::path::Path;

use sim::child;

#[test]
fn all_invariants_hold_whatever_fails() {
    for seed in sim::seeds() {
        let findings = child::run(Path::new(env!("CARGO_BIN_EXE_sim")), seed, None);
        println!("seed {seed}: {}", findings.summary);
        assert!(findings.violated.is_empty(), "seed {seed}: {:#?}", findings.violated);
    }
}
