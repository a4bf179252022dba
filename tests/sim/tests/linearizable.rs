//! Reads and writes are linearizable, whatever fails. Herlihy and Wing, "Linearizability" (1990); Raft §8.

use sim::{Plan, linearizable};

#[test]
fn one_order_explains_all_answers() {
    for seed in sim::seeds() {
        let report = sim::run(seed, &Plan::default());
        if let Err(violation) = linearizable::check(&report.operations) {
            panic!("seed {seed}: no order explains register {}: {violation:#?}", violation.key);
        }
        println!("seed {seed}: {} operations, {:?} in {:?}", report.operations.len(), report.simulated, report.real);
    }
}
