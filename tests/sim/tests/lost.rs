//! What was acknowledged stays, whatever fails. Raft §5.4, leader completeness.

use sim::{Plan, judge};

#[test]
fn every_acknowledged_write_is_there() {
    for seed in sim::seeds() {
        let report = sim::run(seed, &Plan { nodes: 5, clients: 2, ..Plan::default() });
        if let Err(found) = judge::nothing_lost(&report) {
            panic!("seed {seed}: {found}");
        }
        println!("seed {seed}: {} operations, {:?} in {:?}", report.operations.len(), report.simulated, report.real);
    }
}
