//! A program that runs, says something and ends, within a limit. Main types: [`Program`] and [`Ended`].

use std::ffi::OsStr;
use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How long a program may run unless said otherwise: several times what the slowest takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Most of an output that a message shows, in bytes.
const SHOWN: usize = 4000;

/// What is to be run.
#[derive(Debug)]
pub struct Program {
    command: Command,
    input: Vec<u8>,
    limit: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Ended {
    line: String,
    /// Exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Program {
    /// A program and its arguments, which `words` splits.
    pub fn new(path: &Path, arguments: &str) -> Self {
        let mut command = Command::new(path);
        command.args(words(arguments));
        without_settings(&mut command);
        Self { command, input: Vec::new(), limit: LIMIT }
    }

    /// One more argument, as it stands.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What it reads from standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// How long it may run.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts it with its output going to the caller.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn spawn(mut self) -> Result<Child> {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = PathBuf::from(self.command.get_program());
        self.command.spawn().with_context(|| format!("cannot run {}", program.display()))
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// Where it does not start, or runs past its limit; it is killed then.
    pub fn run(mut self) -> Result<Ended> {
        let line = self.line();
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().with_context(|| format!("cannot run `{line}`"))?;
        let (mut stdin, input) = (child.stdin.take(), std::mem::take(&mut self.input));
        std::thread::spawn(move || {
            // A program that does not read its input closes it: nothing to tell.
            stdin.as_mut().map(|stdin| stdin.write_all(&input))
        });
        let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
        let Ok(stdout) = stdout.recv_timeout(self.limit) else {
            child.kill()?;
            child.wait()?;
            let said = stderr.recv_timeout(LIMIT).unwrap_or_default();
            bail!("`{line}` ran longer than {:?}; it said: {}", self.limit, shown(&said));
        };
        let stderr = stderr.recv_timeout(self.limit).with_context(|| format!("`{line}` kept its error output open"))?;
        let code = child.wait()?.code();
        Ok(Ended { line, code, stdout, stderr })
    }

    fn line(&self) -> String {
        let program = Path::new(self.command.get_program()).file_name().unwrap_or_default();
        let words = std::iter::once(program).chain(self.command.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }
}

/// Reads a pipe to its end on a thread of its own.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        // Nobody waits any longer for a program past its limit.
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

impl Ended {
    /// What a program that succeeded printed, when that holds all of `parts`; `!part` must be missing.
    ///
    /// # Errors
    /// Telling what ran and what it said.
    pub fn prints(self, parts: &[&str]) -> Result<String> {
        ensure!(self.code == Some(0), "failed: {self}");
        let missing = missing(&self.stdout, parts);
        ensure!(missing.is_empty(), "its output should hold {missing:?}: {self}");
        Ok(self.stdout)
    }

    /// What a program that failed complained of, when that holds all of `parts`; `!part` must be missing.
    ///
    /// # Errors
    /// Telling what ran and what it said.
    pub fn refuses(self, parts: &[&str]) -> Result<String> {
        ensure!(self.code.is_some_and(|code| code != 0), "should have failed: {self}");
        let missing = missing(&self.stderr, parts);
        ensure!(missing.is_empty(), "its error should hold {missing:?}: {self}");
        Ok(self.stderr)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, code, stdout, stderr } = self;
        write!(f, "`{}` ended with {code:?}", shown(line))?;
        write!(f, "\n--- stdout\n{}\n--- stderr\n{}", shown(stdout), shown(stderr))
    }
}

/// Takes from a program's environment what would set a node: `MESH_BIN` and whatever a developer's shell has; and what
/// tells it that its output goes to systemd's journal, as it does not.
pub(crate) fn without_settings(command: &mut Command) {
    let settings = std::env::vars_os().map(|(name, _)| name);
    let ours = settings.filter(|name| name.to_string_lossy().starts_with("MESH_") || *name == "JOURNAL_STREAM");
    ours.for_each(|name| {
        command.env_remove(name);
    });
}

fn missing<'a>(text: &str, parts: &[&'a str]) -> Vec<&'a str> {
    let holds = |part: &str| match part.strip_prefix('!') {
        Some(unwanted) => !text.contains(unwanted),
        None => text.contains(part),
    };
    parts.iter().copied().filter(|part| !holds(part)).collect()
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// Splits at blanks, but not within single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted) = (None::<String>, false);
    for letter in line.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            _ if letter.is_whitespace() && !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_at_blanks_outside_of_quotes() {
        assert_eq!(words("get  cm a --x='b c' ''"), ["get", "cm", "a", "--x=b c", ""]);
    }

    #[test]
    fn output_is_read_and_judged() {
        let run = |script: &str| Program::new(Path::new("sh"), "-c").arg(script).input("in").run().unwrap();
        assert_eq!(run("cat").prints(&["in", "!out"]).unwrap(), "in");
        run("echo bad >&2; exit 3").refuses(&["bad"]).unwrap();
        assert!(run("exit 3").prints(&[]).is_err() && run("true").refuses(&[]).is_err());
    }

    #[test]
    fn a_program_past_its_limit_is_killed() {
        let late = Program::new(Path::new("cat"), "/dev/zero").limit(Duration::from_millis(10));
        let never = Program::new(Path::new("tail"), "-f /dev/null").limit(Duration::from_millis(10));
        drop(late);
        assert!(never.run().unwrap_err().to_string().contains("ran longer"));
    }
}
