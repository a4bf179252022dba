//! `sim SEED [FLAW]`: one simulated cluster, the same in every run of one seed. Exits with 1 where an invariant did not hold.

use std::process::ExitCode;

use sim::flaw::Flaw;

fn main() -> ExitCode {
    if let Ok(filter) = std::env::var("SIM_LOG") {
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .without_time()
            .with_ansi(false)
            .init();
    }
    let mut arguments = std::env::args().skip(1);
    let seed = arguments.next().and_then(|seed| seed.parse().ok());
    let flaw = arguments.next().map(|name| Flaw::named(&name));
    let (Some(seed), Some(flaw)) = (seed, flaw.map_or(Some(None), |flaw| flaw.map(Some))) else {
        let flaws: Vec<&str> = Flaw::ALL.iter().map(|flaw| flaw.name()).collect();
        eprintln!("usage: sim SEED [FLAW], a number and one of: {}", flaws.join(", "));
        return ExitCode::from(2);
    };
    if sim::child::print(seed, flaw) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
