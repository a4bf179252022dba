//! `mesh ping NODE`: how far another member is from this one, at both of its endpoints.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep_until};

use super::chaos::interruption;
use crate::admin::ping::{Pinged, Sounding};
use crate::admin::{Request, client};
use crate::cli::At;

/// How long an answer may take; longer is lost.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// What one endpoint answered.
#[derive(Debug, Default)]
struct Tally {
    sent: u32,
    micros: Vec<u64>,
}

impl Tally {
    fn count(&mut self, sounding: &Sounding) {
        self.sent += 1;
        self.micros.extend(sounding.as_ref().ok());
    }

    /// As ping(8) sums up.
    fn line(&self, endpoint: &str) -> String {
        let answered = self.micros.len();
        let lost = f64::from(self.sent) - answered as f64;
        let loss = if self.sent == 0 { 0.0 } else { 100.0 * lost / f64::from(self.sent) };
        let head = format!("{endpoint:7}  {} sent, {answered} answered, {loss:.0} % lost", self.sent);
        let (Some(min), Some(max)) = (self.micros.iter().min(), self.micros.iter().max()) else { return head };
        let mean = self.micros.iter().sum::<u64>() / answered as u64;
        format!("{head}, min/avg/max {}/{}/{} ms", millis(*min), millis(mean), millis(*max))
    }
}

fn millis(micros: u64) -> String {
    format!("{:.2}", micros as f64 / 1000.0)
}

/// Asks until `count` rounds are over or somebody interrupts; fails where an endpoint answered nothing.
pub(crate) async fn run(node: &str, count: Option<u32>, interval: Duration, at: &At) -> Result<()> {
    let (mut control, mut pods) = (Tally::default(), Tally::default());
    let rounds = async {
        let (started, mut round) = (Instant::now(), 0);
        while count.is_none_or(|count| round < count) {
            sleep_until(started + interval * round).await;
            round += 1;
            let limit_millis = u64::try_from(ANSWER_LIMIT.as_millis()).unwrap_or(u64::MAX);
            let request = Request::Ping { node: node.to_owned(), limit_millis };
            let pinged: Pinged = client::ask(&at.data_dir, &request).await?;
            if round == 1 {
                println!("{}", head(&pinged));
            }
            control.count(&pinged.control);
            pinged.pods.iter().for_each(|sounding| pods.count(sounding));
            println!("{}", line(round, &pinged));
        }
        anyhow::Ok(())
    };
    tokio::select! {
        done = rounds => done?,
        () = interruption()? => println!(),
    }
    sum_up(node, &control, &pods)
}

fn head(pinged: &Pinged) -> String {
    let control = pinged.control_address.map_or("an unknown address".into(), |address| address.to_string());
    let pods = pinged
        .pods_address
        .map_or("no pods' endpoint".into(), |(address, inner)| format!("pods at {address} with {inner} behind it"));
    format!("PING {}: control at {control}, {pods}; both direct", pinged.name)
}

fn line(round: u32, pinged: &Pinged) -> String {
    let word = |sounding: &Sounding| match sounding {
        Ok(micros) => format!("{} ms", millis(*micros)),
        Err(why) => why.clone(),
    };
    let pods = pinged.pods.as_ref().map_or(String::new(), |pods| format!("   pods {}", word(pods)));
    format!("seq={round}   control {}{pods}", word(&pinged.control))
}

fn sum_up(node: &str, control: &Tally, pods: &Tally) -> Result<()> {
    println!("--- {node} ---");
    let asked: Vec<_> =
        [("control", control), ("pods", pods)].into_iter().filter(|(_, tally)| tally.sent > 0).collect();
    for (endpoint, tally) in &asked {
        println!("{}", tally.line(endpoint));
    }
    let silent: Vec<_> = asked.iter().filter(|(_, tally)| tally.micros.is_empty()).map(|(name, _)| *name).collect();
    if !silent.is_empty() {
        bail!("nothing came back from {node} ({}): is it running, and is UDP 7443 and 7444 open?", silent.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_what_was_lost_and_an_endpoint_that_is_silent_fails() {
        let mut tally = Tally::default();
        for sounding in [Ok(300), Err("no answer".into()), Ok(500), Ok(100)] {
            tally.count(&sounding);
        }
        assert_eq!(tally.line("pods"), "pods     4 sent, 3 answered, 25 % lost, min/avg/max 0.10/0.30/0.50 ms");
        let silent = Tally { sent: 2, micros: Vec::new() };
        assert_eq!(silent.line("control"), "control  2 sent, 0 answered, 100 % lost");
        assert!(sum_up("n", &tally, &Tally::default()).is_ok());
        assert!(sum_up("n", &tally, &silent).unwrap_err().to_string().contains("(pods)"));
    }
}
