//! The `mesh` binary under test: what `MESH_BIN` names, else one built in the profile of the tests; and what is built beside
//! it. Main functions: [`mesh`], [`hello`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

/// Hexadecimal digits of the hash in the name of a data plane's build.
const BUILD_DIGITS: usize = 16;

/// The binary, built at most once per test process; cargo itself finds nothing to do the next time.
///
/// # Panics
/// Where it cannot be built: no test can go on.
pub fn mesh() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| find().expect("the mesh binary is there or can be built"))
}

/// The example app, which lies beside `mesh` where all of the workspace was built.
///
/// # Errors
/// Where it cannot be built.
pub fn hello() -> Result<PathBuf> {
    let beside = mesh().with_file_name("hello");
    if !beside.is_file() {
        let (target, profile) =
            target_and_profile(&std::env::current_exe()?).context("a test runs in <target>/<profile>/deps")?;
        build(&target, &profile, "hello")?;
        return Ok(target.join(&profile).join("hello"));
    }
    Ok(beside)
}

/// Writes a copy of the binary whose data plane claims to be of another build, so that each replaces the other's.
///
/// # Errors
/// Where the binary does not name its data plane's build, or the copy cannot be written.
pub fn of_another_build(copy: &Path) -> Result<()> {
    let mut bytes = std::fs::read(mesh())?;
    let version = concat!(env!("CARGO_PKG_VERSION"), "-").as_bytes();
    let named: Vec<usize> = (0..bytes.len()).filter(|at| names_build(&bytes[*at..], version)).collect();
    ensure!(!named.is_empty(), "{} does not name the build of its data plane", mesh().display());
    named.into_iter().for_each(|at| bytes[at + version.len()..][..BUILD_DIGITS].rotate_left(1));
    std::fs::write(copy, bytes)?;
    std::fs::set_permissions(copy, std::fs::metadata(mesh())?.permissions())?;
    Ok(())
}

/// Whether the bytes begin with a build's name: the version and a hash.
fn names_build(bytes: &[u8], version: &[u8]) -> bool {
    let hash = bytes.strip_prefix(version).and_then(|rest| rest.get(..BUILD_DIGITS));
    hash.is_some_and(|hash| hash.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
}

fn find() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("MESH_BIN") {
        let path = PathBuf::from(named);
        ensure!(path.is_file(), "MESH_BIN={}: no such file", path.display());
        return Ok(path);
    }
    let test = std::env::current_exe()?;
    let (target, profile) = target_and_profile(&test).context("a test runs in <target>/<profile>/deps")?;
    build(&target, &profile, "mesh")?;
    Ok(target.join(&profile).join("mesh"))
}

/// `<target>/<profile>/deps/<test>` tells both.
fn target_and_profile(test: &Path) -> Option<(PathBuf, OsString)> {
    let profile = test.parent()?.parent()?;
    Some((profile.parent()?.to_owned(), profile.file_name()?.to_owned()))
}

fn build(target: &Path, profile: &std::ffi::OsStr, package: &str) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let name = if profile == "debug" { "dev".into() } else { profile.to_owned() };
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", package, "--target-dir"]).arg(target).arg("--profile").arg(name);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "{package} does not build; set MESH_BIN to use what is built");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_test_tells_target_and_profile() {
        let found = target_and_profile(Path::new("/t/fast/deps/boot-1"));
        assert_eq!(found, Some(("/t".into(), "fast".into())));
    }
}
