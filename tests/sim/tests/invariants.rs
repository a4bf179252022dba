//! No run of any seed violates an invariant; which there are is in `sim::judge`.

use std::path::Path;

use sim::child;

#[test]
fn all_invariants_hold_whatever_fails() {
    let all = child::run_all(Path::new(env!("CARGO_BIN_EXE_sim")), &sim::seeds(), None);
    let bad: Vec<_> = all.iter().filter(|(_, findings)| !findings.violated.is_empty()).collect();
    assert!(bad.is_empty(), "{} of {} seeds: {bad:#?}", bad.len(), all.len());
}
