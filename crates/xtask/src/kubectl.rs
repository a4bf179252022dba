//! A kubectl of the releases that people use today: this machine's own, else Debian's, unpacked under `target/`. Main function: [`folder`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::system::{self, Need};

/// The client that drives real nodes. Only unpacked: a machine may have a better one of its own.
pub(crate) const KUBECTL: Need =
    Need { program: "kubectl", package: "kubectl", reason: "drives a node, as its users do" };

/// Oldest minor version whose words are known: what README promises.
const OLDEST: u32 = 27;

/// The first Debian release that has one.
const RELEASE: &str = "trixie";

/// Signs what all of Debian's releases offer.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The folder to put before the `PATH`, if one is needed for a kubectl that is new enough; made in `tools`.
///
/// # Errors
/// Where there is none and none can be had; the message says how to provide one.
pub(crate) fn folder(tools: &Path) -> Result<Option<PathBuf>> {
    let is_new = |program: &Path| minor(program).is_ok_and(|minor| minor >= OLDEST);
    if is_new(Path::new(KUBECTL.program)) {
        return Ok(None);
    }
    let unpacked = tools.join("usr/bin");
    let program = unpacked.join(KUBECTL.program);
    if !is_new(&program) {
        let why = format!("no kubectl of 1.{OLDEST} or newer ({}) is on the PATH", KUBECTL.reason);
        println!("{why}: unpacking that of Debian's {RELEASE} into {}", tools.display());
        let hint = || format!("{why}: put one there");
        let apt = of_release(&tools.join("apt")).with_context(hint)?;
        system::unpack(&KUBECTL, tools, &apt).with_context(hint)?;
        ensure!(is_new(&program), hint());
    }
    Ok(Some(unpacked))
}

/// Options that let apt see that release alone, with lists of its own, beside what the machine's own apt knows.
fn of_release(state: &Path) -> Result<Vec<String>> {
    let state = std::path::absolute(state)?;
    for folder in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(state.join(folder)).with_context(|| format!("cannot make {}", state.display()))?;
    }
    let known = output(Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]))?;
    let archive = known.lines().find(|uri| uri.trim_end_matches('/').ends_with("/debian"));
    let archive = archive.context("this machine's apt knows no archive of Debian")?;
    let sources = state.join("sources.list");
    fs::write(&sources, format!("deb [signed-by={KEYS}] {archive} {RELEASE} main\n"))?;
    let settings = [
        format!("Dir::Etc::SourceList={}", sources.display()),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        format!("Dir::State::Lists={}", state.join("lists").display()),
        format!("Dir::Cache={}", state.join("cache").display()),
        "APT::Sandbox::User=root".to_owned(), // the folders are ours, and nobody else's
    ];
    Ok(settings.into_iter().flat_map(|setting| ["-o".to_owned(), setting]).collect())
}

/// Minor version of a kubectl: 27 is Kubernetes 1.27.
fn minor(program: &Path) -> Result<u32> {
    let said = output(Command::new(program).args(["version", "--client", "-o", "json"]))?;
    let said: serde_json::Value = serde_json::from_str(&said)?;
    let minor = said["clientVersion"]["minor"].as_str().context("kubectl tells no minor version")?;
    minor.trim_end_matches('+').parse().with_context(|| format!("{minor:?} is no minor version"))
}

fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    ensure!(output.status.success(), "{name} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
