//! A README's commands and what it says they print: both are tested, so that neither can drift. Main function: [`commands`].
//!
//! In ```` ```console ```` blocks a line after `$ ` is for the shell; those below it, up to the next, are its output. There `...` stands
//! for any text, alone on a line for any lines, and blanks for any number of blanks. Nothing below it: whatever it prints.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{Kubectl, eventually};

/// How long until a cluster is what a README says of it, on a busy machine.
const BECOMES: Duration = Duration::from_secs(90);

/// What a command line that only looks has in it; it is run until it prints what it should.
const LOOKS: &[&str] = &[" get ", " describe ", " logs ", " exec ", "curl "];

/// How the output of a command that is to fail begins.
const COMPLAINTS: &[&str] = &["Error from server", "error: "];

/// All that one says that fails because the answer is no.
const NO: &str = "no";

/// How it ends where the command ran in a pod.
const FAILED_THERE: &str = "command terminated with exit code";

/// What stands for any text.
const ANY: &str = "...";

/// A line for the shell, and what it prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// As it stands there.
    pub line: String,
    output: Vec<String>,
}

/// The commands of a README, in order.
pub fn commands(readme: &str) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    let mut within = false;
    for line in readme.lines() {
        match (line.strip_prefix("```"), line.strip_prefix("$ ")) {
            (Some(kind), _) => within = kind == "console",
            (None, Some(line)) if within => commands.push(Command { line: line.to_owned(), output: Vec::new() }),
            (None, None) if within => {
                commands.iter_mut().last().into_iter().for_each(|last| last.output.push(line.to_owned()))
            }
            _ => {}
        }
    }
    commands
}

impl Command {
    /// Runs it in this folder; one that only looks, until it prints what it should.
    ///
    /// # Errors
    /// Where it does not.
    pub fn run(&self, kubectl: &Kubectl, folder: &Path) -> Result<()> {
        if LOOKS.iter().any(|look| self.line.contains(look)) {
            return eventually("what the README shows", BECOMES, || self.once(kubectl, folder));
        }
        self.once(kubectl, folder)
    }

    fn fails(&self) -> bool {
        let first = self.output.first().map_or("", String::as_str);
        let last = self.output.last().map_or("", String::as_str);
        first == NO || COMPLAINTS.iter().any(|words| first.starts_with(words)) || last.starts_with(FAILED_THERE)
    }

    fn once(&self, kubectl: &Kubectl, folder: &Path) -> Result<()> {
        // Both outputs, as people see them.
        let line = format!("cd {} && {{ {} 2>&1; }}", folder.display(), self.line);
        let ended = kubectl.shell(&line)?.limit(BECOMES * 2).run()?;
        let fails = self.fails();
        ensure!(
            fails == (ended.code != Some(0)),
            "`{}` should {}: {ended}",
            self.line,
            if fails { "fail" } else { "succeed" }
        );
        let said: Vec<&str> = ended.stdout.lines().collect();
        let shown: Vec<&str> = self.output.iter().map(String::as_str).collect();
        ensure!(shown.is_empty() || lines_fit(&shown, &said), "`{}` should print {shown:#?}: {ended}", self.line);
        Ok(())
    }
}

fn lines_fit(shown: &[&str], said: &[&str]) -> bool {
    match (shown, said) {
        ([], []) => true,
        ([ANY, shown @ ..], _) => (0..=said.len()).any(|skipped| lines_fit(shown, &said[skipped..])),
        ([first, shown @ ..], [line, said @ ..]) => fits(first, line) && lines_fit(shown, said),
        _ => false,
    }
}

fn fits(shown: &str, said: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (shown, said) = (words(shown), words(said));
    let mut parts = shown.split(ANY);
    let Some(mut rest) = parts.next().and_then(|start| said.strip_prefix(start)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((end, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_in_console_blocks() {
        let found = commands("# a\n```console\n$ one\nsays\n...\n$ two\n```\n$ no\n```sh\n$ no\n```\n");
        let one = Command { line: "one".into(), output: vec!["says".into(), "...".into()] };
        assert_eq!(found, [one, Command { line: "two".into(), output: vec![] }]);
    }

    #[test]
    fn dots_stand_for_any_text() {
        let check = |shown: &str, said: &str, expect: bool| {
            let (shown, said): (Vec<_>, Vec<_>) = (shown.lines().collect(), said.lines().collect());
            assert_eq!(lines_fit(&shown, &said), expect, "{shown:?} {said:?}");
        };
        check("a b", "a    b ", true);
        check("web-...  1/1  ...", "web-1 1/1 Running 3s", true);
        check("web-...", "other", false);
        check("...\nlast", "one\ntwo\nlast", true);
        check("...\nlast", "last", true);
        check("first\n...", "first", true);
        check("first", "first\nsecond", false);
        check("a...b...c", "a1b2c", true);
        check("a...b...c", "a1c", false);
    }
}
