//! `sim SEED [SCENARIO]`: one simulated cluster, the same in every run of one seed. Exits with 1 where an invariant did not hold.

use std::process::ExitCode;

use sim::plan::Scenario;

fn main() -> ExitCode {
    if let Ok(filter) = std::env::var("SIM_LOG") {
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .without_time()
            .with_ansi(false)
            .init();
    }
    if std::env::var_os("SIM_LOG").is_none() {
        // Without any, each span and event looks for one, and for a logger.
        let _ = tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::default());
    }
    let mut arguments = std::env::args().skip(1);
    let seed = arguments.next().and_then(|seed| seed.parse().ok());
    let scenario = arguments.next().map_or(Some(Scenario::Sound), |name| Scenario::named(&name));
    let (Some(seed), Some(scenario)) = (seed, scenario) else {
        let names: Vec<&str> = Scenario::all().map(Scenario::name).collect();
        eprintln!("usage: sim SEED [SCENARIO], a number and one of: {}", names.join(", "));
        return ExitCode::from(2);
    };
    if sim::child::print(seed, scenario) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
