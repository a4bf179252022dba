//! `cargo xtask fuzz`: the parsers of `tests/fuzz`, each for a while, guided by what the inputs reach.
//!
//! libFuzzer does it, with everything instrumented; that needs no other compiler than ours. Inputs that reached something
//! new stay in `target/fuzz/corpus/TARGET`, those that broke something in `target/fuzz/broken`.
//! See <https://llvm.org/docs/LibFuzzer.html>.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    system::{self, Need},
    test::{self, cargo},
    workspace::{Features, Workspace},
};

/// What building libFuzzer takes.
const PACKAGES: &[Need] = &[Need { program: "g++", package: "g++", reason: "builds libFuzzer" }];

/// Counts edges and tells comparisons' operands, as libFuzzer wants it.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions=on --cfg fuzzing";

/// MiB that one input may make a parser take.
const MEMORY_MAX: u32 = 1024;

/// Seconds that one input may take.
const PATIENCE: u32 = 20;

/// Bytes of an input.
const INPUT_MAX: u32 = 1 << 16;

/// What is fed, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Names of targets; all if none is given
    targets: Vec<String>,
    /// How long each is fed
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Builds, feeds, tells what broke.
///
/// # Errors
/// Where the build fails, a target is not there, or an input broke one.
pub(crate) fn run(options: &Options) -> Result<()> {
    system::install(test::PACKAGES)?;
    system::install(PACKAGES)?;
    let workspace = Workspace::load(Features::Default)?;
    let place = workspace.root.join("target/fuzz");
    let program = build(&workspace.root, &place)?;
    let listed = Command::new(&program).env("FUZZ_LIST", "1").output().context("cannot ask for the targets")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let known: Vec<&str> = listed.lines().collect();
    let named: Vec<&str> = options.targets.iter().map(String::as_str).collect();
    if let Some(stranger) = named.iter().find(|name| !known.contains(name)) {
        bail!("there is no target {stranger:?}; there are: {}", known.join(", "));
    }
    let mut broken = Vec::new();
    for name in if named.is_empty() { &known } else { &named } {
        if !feed(&program, &place, name, options.seconds)? {
            broken.push(*name);
        }
    }
    ensure!(broken.is_empty(), "broken: {}; the inputs are in {}", broken.join(", "), place.join("broken").display());
    Ok(())
}

/// The program that feeds them. Named by its target, so that build scripts stay without counters.
fn build(root: &Path, place: &Path) -> Result<PathBuf> {
    let own = root.join("tests/fuzz/fuzz");
    // What it depends on is what the workspace does.
    fs::copy(root.join("Cargo.lock"), own.join("Cargo.lock")).context("cannot copy Cargo.lock")?;
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = cargo(&["build", "--release", "--target", &target, "--target-dir"]);
    system::run(command.arg(place).env("RUSTFLAGS", FLAGS).current_dir(&own))?;
    Ok(place.join(target).join("release/guided"))
}

/// Whether no input broke the target.
fn feed(program: &Path, place: &Path, name: &str, seconds: u32) -> Result<bool> {
    let folder = |kind: &str| place.join(kind).join(name.replace(' ', "-"));
    let (corpus, broken) = (folder("corpus"), folder("broken"));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&broken)?;
    println!("== {name}, {seconds} s");
    let mut command = Command::new(program);
    command.env("FUZZ_TARGET", name).env("FUZZ_CORPUS", &corpus).arg(&corpus);
    command.arg(format!("-artifact_prefix={}/", broken.display())).arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-rss_limit_mb={MEMORY_MAX}")).arg(format!("-timeout={PATIENCE}"));
    command.args([format!("-max_len={INPUT_MAX}"), "-print_final_stats=1".to_owned(), "-verbosity=0".to_owned()]);
    Ok(command.status().context("cannot run the fuzzer")?.success())
}
