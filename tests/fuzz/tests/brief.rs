//! Every fuzz target, for a moment. `FUZZ_SECONDS` gives each that long, `FUZZ_START` begins elsewhere.

use std::time::Duration;

use fuzz::{TARGETS, run};

/// What each target gets: enough for what breaks at once, some seconds for all.
const MOMENT: Duration = Duration::from_millis(300);

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn no_input_breaks_a_parser() {
    let time = setting("FUZZ_SECONDS").map_or(MOMENT, Duration::from_secs);
    for target in TARGETS {
        let count = run(target, setting("FUZZ_START").unwrap_or_default(), time);
        println!("{:>10} executions  {}", count, target.name);
        assert!(count > 1, "{} ran", target.name);
    }
}
