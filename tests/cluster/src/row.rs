//! Tests as tables: a command line of kubectl and what it must print. Main type: [`Row`].

use std::time::Duration;

use anyhow::{Context, Result};

use crate::{Kubectl, eventually};

/// How long what a row waits for may take on a busy machine.
const BECOMES: Duration = Duration::from_secs(60);

/// One command. `NS` in its texts stands for the namespace of the run.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    arguments: &'static str,
    input: &'static str,
    parts: &'static [&'static str],
    since: u32,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Prints,
    Becomes,
    Refuses,
}

/// A command that prints these parts.
pub const fn row(arguments: &'static str, parts: &'static [&'static str]) -> Row {
    Row { arguments, input: "", parts, since: 0, how: How::Prints }
}

/// Clients before this minor version ask for what Kubernetes serves no longer.
pub const fn since(minor: u32, arguments: &'static str, parts: &'static [&'static str]) -> Row {
    Row { since: minor, ..row(arguments, parts) }
}

/// A command that reads this.
pub const fn with(arguments: &'static str, input: &'static str, parts: &'static [&'static str]) -> Row {
    Row { input, ..row(arguments, parts) }
}

/// A command that prints these parts sooner or later.
pub const fn becomes(arguments: &'static str, parts: &'static [&'static str]) -> Row {
    Row { how: How::Becomes, ..row(arguments, parts) }
}

/// A command that fails, and complains of these parts.
pub const fn refuses(arguments: &'static str, input: &'static str, parts: &'static [&'static str]) -> Row {
    Row { input, how: How::Refuses, ..row(arguments, parts) }
}

impl Row {
    /// Runs it in this namespace, where the client's release can do it.
    ///
    /// # Errors
    /// Where it does not do what it must.
    pub fn run(&self, kubectl: &Kubectl, namespace: &str) -> Result<()> {
        if kubectl.minor() < self.since {
            return Ok(());
        }
        let fill = |text: &str| text.replace("NS", namespace);
        let (arguments, input) = (fill(self.arguments), fill(self.input));
        let parts: Vec<_> = self.parts.iter().map(|part| fill(part)).collect();
        let parts: Vec<_> = parts.iter().map(String::as_str).collect();
        let done = match self.how {
            How::Prints => kubectl.prints(&arguments, &input, &parts),
            How::Refuses => kubectl.refuses(&arguments, &input, &parts),
            How::Becomes => eventually("its output", BECOMES, || kubectl.prints(&arguments, &input, &parts)),
        };
        done.map(drop).with_context(|| self.arguments)
    }
}
