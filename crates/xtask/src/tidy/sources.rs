//! What source files and documents look like. Main type: [`Source`].

use super::{Rule, layers::PURE};
use anyhow::{Context, Result};
use std::{fs, path::Path};

/// Lines of a file past which it has to be split.
const LINES_REFUSED: usize = 500;

/// Lines of a file past which the seam should be looked for.
const LINES_WARNED: usize = 300;

/// How deep folders are followed. Ours are six deep; this only ends a loop of links.
const FOLDER_DEPTH: usize = 12;

/// A file of the repository.
#[derive(Debug)]
pub(super) struct Source {
    /// Path from the root.
    path: String,
    text: String,
}

/// The rules about files.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "header",
        reason: "a reader wants to know a file's duty before its contents",
        remedy: "open the file with //!: duty, main type, spec, what it leaves out",
        refuse: true,
        find: |_, sources| {
            rust(sources).filter(|one| !one.text.starts_with("//!")).map(|one| one.path.clone()).collect()
        },
    },
    Rule {
        name: "length",
        reason: "a file of more than 500 lines has two duties",
        remedy: "split it at the seam",
        refuse: true,
        find: |_, sources| long(sources, LINES_REFUSED, usize::MAX),
    },
    Rule {
        name: "length",
        reason: "a file of more than 300 lines begins to have two duties",
        remedy: "look for the seam",
        refuse: false,
        find: |_, sources| long(sources, LINES_WARNED, LINES_REFUSED),
    },
    Rule {
        name: "ignored tests",
        reason: "a test that does not run proves nothing and rots",
        remedy: "make it run, or delete it",
        refuse: true,
        find: |_, sources| lines(sources, |_, line, _| line.trim_start().starts_with(concat!("#[ign", "ore"))),
    },
    Rule {
        name: "unfinished code",
        reason: "nothing poses as finished",
        remedy: "finish it, or leave the feature out",
        refuse: true,
        find: |_, sources| {
            let words = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("dbg", "!(")];
            lines(sources, move |_, line, _| words.iter().any(|word| code(line).contains(word)))
        },
    },
    Rule {
        name: "sleeping tests",
        reason: "a sleep is too short on a slow machine and too long on a fast one",
        remedy: "await the event, or say on the line above why none exists: `// awaited: ...`",
        refuse: true,
        find: |_, sources| {
            lines(sources, |source, line, before| {
                source.is_test(before)
                    && !source.is_simulated()
                    && code(line).contains("sleep(")
                    && !excused(line, before)
            })
        },
    },
    Rule {
        name: "pure crates",
        reason: "crates that decide have no clock, environment or I/O",
        remedy: "take the value as an argument",
        refuse: true,
        find: |_, sources| lines(sources, |source, line, before| source.is_pure(before) && impure(code(line))),
    },
    Rule {
        name: "one clock",
        reason: "all of a process goes by one wall clock, which tests can set off",
        remedy: "ask `clock`: `clock::now()`, `clock::system()`, `clock::unix_seconds()`",
        refuse: true,
        find: |_, sources| {
            lines(sources, |source, line, before| {
                source.is_product(before) && !source.path.starts_with("crates/clock/") && reads_wall_clock(code(line))
            })
        },
    },
    Rule {
        name: "machine paths",
        reason: "documents are read on other machines",
        remedy: "name the place relative to the repository or in general terms",
        refuse: true,
        find: |_, sources| lines(sources, |source, line, _| source.is_document(line) && machine_path(line)),
    },
];

/// Reads what the rules look at: Rust, Markdown, TOML and scripts below the root.
///
/// # Errors
/// When a folder or file cannot be read.
pub(super) fn read(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    read_folder(root, root, FOLDER_DEPTH, &mut sources)?;
    sources.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(sources)
}

fn read_folder(root: &Path, folder: &Path, depth: usize, sources: &mut Vec<Source>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let skipped = name.starts_with("target") || (name.starts_with('.') && name != ".ci");
        let read = [".rs", ".md", ".toml"].iter().any(|end| name.ends_with(end))
            || folder.file_name().is_some_and(|name| name == ".ci");
        if path.is_dir() && !skipped && depth > 0 {
            read_folder(root, &path, depth - 1, sources)?;
        } else if path.is_file() && read {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            sources.push(Source { path, text });
        }
    }
    Ok(())
}

fn rust(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| source.path.ends_with(".rs"))
}

fn long(sources: &[Source], over: usize, upto: usize) -> Vec<String> {
    let counted = rust(sources).map(|source| (source, source.text.lines().count()));
    let found = counted.filter(|(_, lines)| *lines > over && *lines <= upto);
    found.map(|(source, lines)| format!("{}: {lines} lines", source.path)).collect()
}

/// `path:line` of the lines for which `breaks` is true, given the file, the line and the lines before it.
fn lines(sources: &[Source], breaks: impl Fn(&Source, &str, &[&str]) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let all: Vec<&str> = source.text.lines().collect();
        let broken = (0..all.len()).filter(|number| breaks(source, all[*number], &all[..*number]));
        found.extend(broken.map(|number| format!("{}:{}", source.path, number + 1)));
    }
    found
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn excused(line: &str, before: &[&str]) -> bool {
    let said = |line: &str| line.contains("// awaited: ");
    said(line) || before.last().is_some_and(|line| said(line))
}

fn impure(code: &str) -> bool {
    let words =
        ["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "std::fs", "std::env", "std::net::Tcp"];
    words.iter().any(|word| code.contains(word))
}

fn reads_wall_clock(code: &str) -> bool {
    ["SystemTime::now", "Timestamp::now", "Zoned::now", "Utc::now"].iter().any(|word| code.contains(word))
}

fn machine_path(line: &str) -> bool {
    ["/work/", "/root/.", "/home/"].iter().any(|path| line.contains(path))
}

impl Source {
    /// Whether what follows these lines is test code.
    fn is_test(&self, before: &[&str]) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let file = name == "tests.rs" || self.path.starts_with("tests/") || self.path.contains("/tests/");
        self.path.ends_with(".rs") && (file || before.contains(&"mod tests {"))
    }

    /// Whether it is built into the binary: Rust, and neither a test, nor what tests share, nor an example.
    fn is_product(&self, before: &[&str]) -> bool {
        let tool = self.path.starts_with("crates/xtask/");
        let shared = self.path.ends_with("/testing.rs") || self.path.contains("/testing/");
        self.path.ends_with(".rs") && self.path.contains("/src/") && !tool && !shared && !self.is_test(before)
    }

    /// Whether time is virtual there: a sleep takes no time and ends in the same order on every machine.
    fn is_simulated(&self) -> bool {
        self.path.starts_with("tests/sim/")
    }

    fn is_pure(&self, before: &[&str]) -> bool {
        let mut parts = self.path.split('/');
        let product = parts.next() == Some("crates")
            && parts.next().is_some_and(|package| PURE.contains(&package))
            && parts.next() == Some("src");
        product && self.path.ends_with(".rs") && !self.is_test(before)
    }

    /// Whether the line is written for readers: Markdown, or a doc comment.
    fn is_document(&self, line: &str) -> bool {
        self.path.ends_with(".md") || ["//!", "///"].iter().any(|mark| line.trim_start().starts_with(mark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    /// Names of the rules that a file breaks.
    fn check(path: &str, text: &str, expect: &[&str]) {
        let workspace = Workspace::from_metadata(
            br#"{"packages":[],"workspace_members":[],"workspace_root":"/","resolve":{"nodes":[]}}"#,
        )
        .expect("metadata");
        let sources = [Source { path: path.to_owned(), text: text.to_owned() }];
        let broken = RULES.iter().filter(|rule| !(rule.find)(&workspace, &sources).is_empty());
        assert_eq!(broken.map(|rule| rule.name).collect::<Vec<_>>(), expect, "{path}: {text}");
    }

    #[test]
    fn files_are_held_to_the_rules() {
        check("net/src/a.rs", "//! Duty.\nfn f() {}\n", &[]);
        check("net/src/a.rs", "fn f() {}\n", &["header"]);
        check("net/src/a.rs", &format!("//! Duty.\n{}", "\n".repeat(400)), &["length"]);
        check("net/src/a.rs", &format!("//! Duty.\n{}", "\n".repeat(600)), &["length"]);
        check("net/src/a.rs", concat!("//! Duty.\n#[ign", "ore]\n"), &["ignored tests"]);
        check("net/src/a.rs", concat!("//! Duty.\nfn f() { todo", "!() }\n"), &["unfinished code"]);
        check("README.md", "see /home/me/notes\n", &["machine paths"]);
    }

    #[test]
    fn tests_await_events() {
        let sleeping = |excuse: &str| format!("//! Duty.\n#[cfg(test)]\nmod tests {{\n{excuse}\nsleep(1);\n}}\n");
        check("net/src/a.rs", &sleeping(""), &["sleeping tests"]);
        check("net/src/a.rs", &sleeping("// awaited: the kernel tells no event"), &[]);
        check("net/src/a.rs", "//! Duty.\nfn product() { sleep(1); }\n", &[]);
    }

    #[test]
    fn one_crate_reads_the_wall_clock() {
        let reads = |clock: &str| format!("//! Duty.\nlet now = {clock}::now();\n#[cfg(test)]\nmod tests {{\n}}\n");
        for clock in ["SystemTime", "jiff::Timestamp", "Utc"] {
            check("net/src/a.rs", &reads(clock), &["one clock"]);
            check("crates/clock/src/lib.rs", &reads(clock), &[]);
            check("net/src/testing.rs", &reads(clock), &[]);
            check("crates/wal/examples/a.rs", &reads(clock), &[]);
            check("tests/cluster/src/a.rs", &reads(clock), &[]);
        }
        check("actors/src/a.rs", &reads("Instant"), &[]);
        check("actors/src/a.rs", "//! Duty.\n// not SystemTime::now\n", &[]);
        check("actors/src/a.rs", "//! Duty.\n#[cfg(test)]\nmod tests {\nSystemTime::now();\n}\n", &[]);
    }

    #[test]
    fn deciders_read_no_clock() {
        let reads = "//! Duty.\nlet now = Instant::now();\n";
        check("crates/store/src/a.rs", reads, &["pure crates"]);
        check("crates/store/src/tests.rs", reads, &[]);
        check("crates/store/examples/throughput.rs", reads, &[]);
        check("net/src/a.rs", reads, &[]);
    }
}
