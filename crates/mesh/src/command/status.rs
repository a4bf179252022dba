//! `mesh status`.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::admin::{
    Request, client,
    status::{DataplaneStatus, Status},
};
use crate::cli::{At, Output};

/// Prints the status; with `wait`, once the node is ready.
pub(crate) async fn run(wait: Option<u64>, output: Output, at: &At) -> Result<()> {
    let request = Request::Status { wait_seconds: wait };
    let status: Status = match wait {
        Some(seconds) => client::ask_within(&at.data_dir, &request, Duration::from_secs(seconds)).await?,
        None => client::ask(&at.data_dir, &request).await?,
    };
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&status)?),
        Output::Table => print(&status),
    }
    match (wait, status.why_not_ready) {
        (Some(seconds), Some(why)) => bail!("not ready after {seconds} s: {why}"),
        _ => Ok(()),
    }
}

fn print(status: &Status) {
    let ready = status.why_not_ready.as_ref().map_or("ready".into(), |why| format!("not ready: {why}"));
    println!("Node     {} ({}), {ready}", status.name, status.id);
    println!("Cluster  {}, {} of {} members heard", status.cluster, status.heard(), status.members.len());
    println!("Leader   {}, term {}, entry {}", status.leader.as_deref().unwrap_or("none"), status.term, status.applied);
    if let Some(dataplane) = &status.dataplane {
        println!("Pods     {}", words(dataplane));
    }
    println!();
    let rows = status.members.iter().map(|member| {
        let lag = member.lag.map_or(String::new(), |lag| lag.to_string());
        let heard = if member.heard { "yes" } else { "no" };
        let address = member.addresses.first().map(ToString::to_string).unwrap_or_default();
        let pods: Vec<_> = member.pod_ranges.iter().map(ToString::to_string).collect();
        let role = format!("{:?}", member.role).to_lowercase();
        vec![member.name.clone(), role, heard.into(), lag, address, pods.join(","), member.id.to_string()]
    });
    println!("{}", table(&["NAME", "ROLE", "HEARD", "LAG", "ADDRESS", "PODS", "ID"], rows));
}

fn words(dataplane: &DataplaneStatus) -> String {
    let state = match dataplane {
        DataplaneStatus::Up(state) => state,
        DataplaneStatus::Down(why) => return format!("data plane down: {why}"),
    };
    let fed = if state.fed { "" } else { ", not fed" };
    let troubles = state.troubles.iter().map(|trouble| format!("; {trouble}")).collect::<String>();
    format!(
        "data plane up{fed}, {} of {} peers reached, {} Services{troubles}",
        state.peers_reached, state.peers, state.services
    )
}

/// Columns as kubectl prints them: as wide as their widest cell, three spaces apart.
pub(crate) fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let header = header.iter().map(|&cell| cell.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0) + 3).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Seconds as kubectl prints an age.
pub(crate) fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..120 => format!("{s}s"),
        s @ 120..7200 => format!("{}m", s / 60),
        s @ 7200..172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}
