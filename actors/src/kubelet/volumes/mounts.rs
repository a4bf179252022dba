//! Mounts below a pod's folder: tmpfs, and taking away whatever is mounted there. Main functions: [`tmpfs`], [`unmount_below`].

use std::fs;
use std::io;
use std::os::unix::{ffi::OsStrExt, fs::MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tracing::debug;

/// Rounds of unmounting: what is mounted over a mount shows only once that is gone.
const ROUNDS_MAX: usize = 8;

/// Mounts a tmpfs on a folder, unless one is there. Where the system does not let us, the folder itself serves.
///
/// # Errors
/// What the system says, but for a refusal.
pub fn tmpfs(path: &Path, size_bytes_max: Option<i64>, mode: u32) -> io::Result<()> {
    if is_file_system(path)? {
        return Ok(());
    }
    let mut options = format!("mode={mode:o}");
    if let Some(size) = size_bytes_max {
        options.push_str(&format!(",size={size}"));
    }
    match mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options.as_str())) {
        Err(Errno::EPERM) => {
            debug!(path = %path.display(), "no tmpfs is permitted here; the volume is on disk");
            Ok(())
        }
        mounted => Ok(mounted?),
    }
}

/// Whether a folder is the root of a file system other than its parent's, as tmpfs always is.
fn is_file_system(path: &Path) -> io::Result<bool> {
    let device = |path: &Path| Ok::<_, io::Error>(fs::symlink_metadata(path)?.dev());
    Ok(device(path)? != device(&path.join(".."))?)
}

/// Unmounts all below a folder, the folder itself included.
///
/// # Errors
/// Where something stays mounted.
pub fn unmount_below(folder: &Path) -> io::Result<()> {
    let mounted =
        || -> io::Result<Vec<PathBuf>> { Ok(points()?.into_iter().filter(|at| at.starts_with(folder)).collect()) };
    for _ in 0..ROUNDS_MAX {
        let mut found = mounted()?;
        if found.is_empty() {
            return Ok(());
        }
        // The deepest first.
        found.sort_by_key(|at| std::cmp::Reverse(at.as_os_str().len()));
        for at in found {
            match umount2(&at, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
                Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
                Err(error) => return Err(io::Error::other(format!("cannot unmount {}: {error}", at.display()))),
            }
        }
    }
    match mounted()?.first() {
        Some(at) => Err(io::Error::other(format!("{} stays mounted", at.display()))),
        None => Ok(()),
    }
}

/// All mount points.
fn points() -> io::Result<Vec<PathBuf>> {
    Ok(fs::read("/proc/self/mountinfo")?.split(|byte| *byte == b'\n').filter_map(point).collect())
}

/// The fifth field; blanks in it are written as octal numbers.
fn point(line: &[u8]) -> Option<PathBuf> {
    let field = line.split(|byte| *byte == b' ').nth(4)?;
    let mut path = Vec::with_capacity(field.len());
    let mut at = 0;
    while at < field.len() {
        let octal = (field[at] == b'\\').then(|| field.get(at + 1..at + 4)).flatten();
        match octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
        {
            Some(byte) => {
                path.push(byte);
                at += 4;
            }
            None => {
                path.push(field[at]);
                at += 1;
            }
        }
    }
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(&path)))
}

/// Runs what may wait for the disk on a thread for such things.
///
/// # Errors
/// Its error's text.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(panic) => Err(panic.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_blanks() {
        let check = |line: &str, expect: Option<&str>| assert_eq!(point(line.as_bytes()), expect.map(PathBuf::from));
        check("36 35 98:0 / /mnt/a\\040b rw shared:1 - ext3 /dev/root rw", Some("/mnt/a b"));
        check("36 35 98:0 / /mnt\\x rw - a b c", Some("/mnt\\x"));
        check("", None);
    }

    #[test]
    fn nothing_is_mounted_below_a_new_folder() {
        let dir = tempfile::tempdir().unwrap();
        unmount_below(dir.path()).unwrap();
        if tmpfs(&dir.path().join("no"), None, 0o700).is_err() {
            let folder = dir.path().join("t");
            fs::create_dir(&folder).unwrap();
            tmpfs(&folder, Some(4096), 0o777).unwrap();
            let mounts = || points().unwrap().into_iter().filter(|point| *point == folder).count();
            let once = mounts();
            tmpfs(&folder, Some(4096), 0o777).unwrap();
            assert_eq!(mounts(), once, "what is there serves");
            unmount_below(dir.path()).unwrap();
            assert!(!points().unwrap().contains(&folder));
        }
    }
}
