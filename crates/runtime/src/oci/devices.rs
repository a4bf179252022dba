//! The host's device nodes, as a privileged container has them. Main function: [`of_host`].
//! Spec: <https://github.com/opencontainers/runtime-spec/blob/v1.0.2/config-linux.md#devices>.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
};

use nix::sys::stat::{major, minor};
use serde_json::{Value, json};

use crate::RuntimeError;

/// Not devices of the host, but each container's own.
const OWN: &[&str] = &["console", "fd", "mqueue", "ptmx", "pts", "shm"];

/// Folders below folders that are looked into: devices are three deep at most (`/dev/bus/usb/001`).
const DEPTH_MAX: usize = 8;

/// Device nodes described: a host with more keeps the rest.
const DEVICES_MAX: usize = 8192;

/// Describes every device node below a folder, under its own path; links are made by nobody.
///
/// # Errors
/// Where the folder cannot be read.
pub(crate) fn of_host(folder: &Path) -> Result<Vec<Value>, RuntimeError> {
    let mut all = Vec::new();
    walk(folder, DEPTH_MAX, &mut all).map_err(RuntimeError::host(format!("read {}", folder.display())))?;
    Ok(all)
}

fn walk(folder: &Path, depth: usize, all: &mut Vec<Value>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if all.len() >= DEVICES_MAX || OWN.iter().any(|own| name == *own) {
            continue;
        }
        match entry.metadata() {
            Ok(found) if found.is_dir() && depth > 0 => walk(&entry.path(), depth - 1, all)?,
            Ok(found) => all.extend(describe(&entry.path(), &found)),
            // It was unplugged meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn describe(path: &Path, found: &fs::Metadata) -> Option<Value> {
    let kind = match found.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => return None,
    };
    Some(json!({
        "path": path,
        "type": kind,
        "major": major(found.rdev()),
        "minor": minor(found.rdev()),
        "fileMode": found.mode() & 0o7777,
        "uid": found.uid(),
        "gid": found.gid(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_and_nothing_else() {
        let all = of_host(Path::new("/dev")).expect("there is one everywhere");
        let null = all.iter().find(|one| one["path"] == "/dev/null").expect("as everywhere");
        assert_eq!((&null["type"], &null["major"], &null["minor"]), (&json!("c"), &json!(1), &json!(3)));
        for own in OWN {
            assert!(!all.iter().any(|one| one["path"] == format!("/dev/{own}")), "{own}");
        }
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("file"), "").expect("a file");
        std::os::unix::fs::symlink("/dev/null", dir.path().join("link")).expect("a link");
        assert_eq!(of_host(dir.path()).expect("it is there"), Vec::<Value>::new());
    }
}
