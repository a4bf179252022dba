//! `mesh check [--pre]`: one line for each thing that was looked at; fails where one of them does.

use std::time::Duration;

use anyhow::{Result, bail};

use super::status::table;
use crate::admin::{Request, client};
use crate::check::facts::Facts;
use crate::check::{Finding, State, pre, running};
use crate::cli::{NodeArgs, Output};
use crate::config;

/// How long the running node may take: its members' answers take seconds where they do not come.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Looks at the running node, or at the machine before it becomes one.
pub(crate) async fn run(before: bool, output: Output, node: &NodeArgs) -> Result<()> {
    let config = config::load(node)?;
    let findings = if before {
        pre::before(&config)
    } else {
        let facts: Facts = client::ask_for(&config.data_dir, &Request::Check, ANSWER_LIMIT).await?;
        running(&facts)
    };
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&findings)?),
        Output::Table => print(&findings),
    }
    let failed: Vec<_> = findings.iter().filter(|one| one.verdict.state == State::Fail).map(|one| one.name).collect();
    if !failed.is_empty() {
        bail!("{} of {} checks failed: {}", failed.len(), findings.len(), failed.join(", "));
    }
    Ok(())
}

fn print(findings: &[Finding]) {
    let word = |state| match state {
        State::Ok => "ok",
        State::Warn => "warn",
        State::Fail => "FAIL",
    };
    let rows = findings.iter().flat_map(|Finding { name, verdict }| {
        let line = vec![word(verdict.state).to_owned(), (*name).to_owned(), verdict.figure.clone()];
        let remedy =
            (!verdict.remedy.is_empty()).then(|| vec![String::new(), String::new(), format!("-> {}", verdict.remedy)]);
        std::iter::once(line).chain(remedy)
    });
    println!("{}", table(&["STATE", "CHECK", "FOUND"], rows));
}
