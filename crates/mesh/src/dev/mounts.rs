//! Mounts below a folder: containers' root filesystems, pods' volumes and namespaces that a node left behind.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, umount2};

/// Unmounts all that is mounted below a folder, newest first.
pub(super) fn unmount_below(folder: &Path) -> Result<()> {
    let mut below = below(folder)?;
    below.reverse();
    for path in below {
        // Lazily: whoever still holds it open was killed and is about to let go.
        if let Err(error) = umount2(&path, MntFlags::MNT_DETACH)
            && error != nix::Error::EINVAL
        {
            return Err(error).with_context(|| format!("unmount {}", path.display()));
        }
    }
    Ok(())
}

/// Unmounts all below a folder and removes it.
pub(super) fn remove_all(folder: &Path) -> Result<()> {
    unmount_below(folder)?;
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| folder.display().to_string()),
        _ => Ok(()),
    }
}

/// Mount points at or below a folder, in the order they were mounted. See proc(5), mountinfo.
pub(super) fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(|path| PathBuf::from(unescape(path)));
    Ok(points.filter(|path| path.starts_with(folder)).collect())
}

/// Blanks, tabs, line ends and backslashes are three octal digits there.
fn unescape(path: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(path.to_owned(), |path, (escape, plain)| path.replace(escape, plain))
}
