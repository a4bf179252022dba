//! Programs outside of the Rust toolchain: whether they are there, and running them.
//!
//! Main type: [`Need`], one row per program. Installing is Debian's `apt-get`, as root; elsewhere the user gets the one
//! line to run.

use anyhow::{Context, Result, bail, ensure};
use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// A program that a command needs, and the Debian package that has it.
#[derive(Debug)]
pub(crate) struct Need {
    /// What is looked for on the `PATH`.
    pub(crate) program: &'static str,
    /// Where it comes from.
    pub(crate) package: &'static str,
    /// What it is for.
    pub(crate) reason: &'static str,
}

/// Installs what is missing.
///
/// # Errors
/// With the line to run, where this machine has no apt or we are not root.
pub(crate) fn install(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| find(need.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        println!("missing: {} ({}), from the package {}", need.program, need.reason, need.package);
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let line = format!("sudo apt-get install --no-install-recommends -y {}", packages.join(" "));
    if find("apt-get").is_none() || !is_root() {
        bail!("system packages are missing; install them and run this again:\n  {line}");
    }
    apt_get(&["update", "-qq"])?;
    let mut arguments = vec!["install", "--no-install-recommends", "-y", "-qq"];
    arguments.extend(packages);
    apt_get(&arguments)
}

/// Unpacks a program's Debian package into `folder`, without installing anything. `apt`: options for apt, with lists that we may write.
///
/// # Errors
/// Where apt is missing or cannot find the package.
pub(crate) fn unpack(need: &Need, folder: &Path, apt: &[String]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let update: Vec<&str> = apt.iter().map(String::as_str).chain(["update", "-qq"]).collect();
    apt_get(&update)?;
    let mut download = Command::new("apt-get");
    download.args(apt).args(["download", "-qq", need.package]).current_dir(folder);
    run(&mut download)?;
    let archive = archive(folder, need.package)?;
    run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(folder))?;
    ensure!(folder.join("usr/bin").join(need.program).is_file(), "{} has no {}", need.package, need.program);
    Ok(())
}

fn archive(folder: &Path, package: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_archive = |path: &PathBuf| {
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        name.starts_with(&format!("{package}_")) && name.ends_with(".deb")
    };
    let mut found: Vec<PathBuf> = entries.filter(is_archive).collect();
    found.sort();
    found.pop().context("apt-get downloaded nothing")
}

/// The file that a program's name means, as the shell would find it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Runs a command in view of the user.
///
/// # Errors
/// When it cannot be started or fails; names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    let status = command.status().with_context(|| format!("cannot run `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    run(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Whether we may do anything.
pub(crate) fn is_root() -> bool {
    // The owner of our own process directory is who we are.
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }

    #[test]
    fn a_failing_command_is_named() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).expect_err("it fails");
        assert!(error.to_string().contains("sh -c exit 3"), "{error}");
    }
}
