//! Is it well, and if not, what helps? Main type: [`Finding`]. Facts are gathered first, by the running node ([`gather`]) or on the
//! machine that is to become one ([`machine`]); rows judge them, one file a group, and nothing is changed.

mod agreement;
pub(crate) mod facts;
pub(crate) mod gather;
mod here;
pub(crate) mod machine;
mod pods;
pub(crate) mod pre;
mod sync;

use serde::Serialize;

use facts::Facts;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// It works, and may not for long or not well.
    Warn,
    /// It does not work.
    Fail,
}

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    /// How it is.
    pub(crate) state: State,
    /// In figures.
    pub(crate) figure: String,
    /// What helps; empty where all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) remedy: String,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) name: &'static str,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
}

/// What is looked at, and how it is judged. `None` where it does not concern this node.
pub(crate) struct Row<F> {
    /// What its line is called.
    pub(crate) name: &'static str,
    /// How it is.
    pub(crate) judge: fn(&F) -> Option<Verdict>,
}

/// All groups of a running node, in the order of their lines.
const GROUPS: &[&[Row<Facts>]] = &[agreement::ROWS, pods::ROWS, here::ROWS];

/// Every row's line about a running node.
pub(crate) fn running(facts: &Facts) -> Vec<Finding> {
    GROUPS.iter().flat_map(|rows| judge(rows, facts)).collect()
}

/// These rows' lines.
pub(crate) fn judge<F>(rows: &'static [Row<F>], facts: &F) -> Vec<Finding> {
    let found = rows.iter().filter_map(|row| Some(Finding { name: row.name, verdict: (row.judge)(facts)? }));
    found.collect()
}

/// All is well.
fn ok(figure: impl Into<String>) -> Option<Verdict> {
    Some(Verdict { state: State::Ok, figure: figure.into(), remedy: String::new() })
}

/// It works still.
fn warn(figure: impl Into<String>, remedy: impl Into<String>) -> Option<Verdict> {
    Some(Verdict { state: State::Warn, figure: figure.into(), remedy: remedy.into() })
}

/// It does not work.
fn fail(figure: impl Into<String>, remedy: impl Into<String>) -> Option<Verdict> {
    Some(Verdict { state: State::Fail, figure: figure.into(), remedy: remedy.into() })
}

/// Judges a figure that is worse the higher it is.
fn high(value: u64, limits: (u64, u64), figure: String, remedy: &str) -> Option<Verdict> {
    match value {
        value if value >= limits.1 => fail(figure, remedy),
        value if value >= limits.0 => warn(figure, remedy),
        _ => ok(figure),
    }
}

/// Judges a figure that is worse the lower it is.
fn low(value: u64, limits: (u64, u64), figure: String, remedy: &str) -> Option<Verdict> {
    match value {
        value if value < limits.1 => fail(figure, remedy),
        value if value < limits.0 => warn(figure, remedy),
        _ => ok(figure),
    }
}

/// Bytes as people read them.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests;
