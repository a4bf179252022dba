//! A watch misses nothing and repeats nothing, over crashes and snapshots: what informers rely on.

use sim::{Plan, judge};

#[test]
fn watchers_see_every_change_once_and_in_order() {
    for seed in sim::seeds() {
        let report = sim::run(seed, &Plan::default());
        if let Err(found) = judge::watchers_agree(&report) {
            panic!("seed {seed}: {found}");
        }
        println!("seed {seed}: {} operations, {:?} in {:?}", report.operations.len(), report.simulated, report.real);
    }
}
