//! A request is applied once, however often it is sent. Raft §8.

use sim::{Plan, judge};

#[test]
fn no_write_is_applied_twice() {
    for seed in sim::seeds() {
        let report = sim::run(seed, &Plan::default());
        if let Err(found) = judge::nothing_twice(&report) {
            panic!("seed {seed}: {found}");
        }
        println!("seed {seed}: {} operations, {:?} in {:?}", report.operations.len(), report.simulated, report.real);
    }
}
