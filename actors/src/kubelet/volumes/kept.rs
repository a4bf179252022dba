//! Folders that outlive their pods: made, given to a group, removed. Main functions: [`prepare`], [`remove`].
//! Spec: <https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods>.
//!
//! Containers may write to them meanwhile: every folder is opened from the root of the volume, through no link.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fchmod};

use super::{OPEN, folder};

/// Bits that a file of the group's has.
const FILE: u32 = 0o660;

/// Bits that a folder of the group's has.
const FOLDER: u32 = 0o2770;

/// Folder of the node's own volumes: nobody else walks into it.
const VOLUMES: u32 = 0o700;

/// Makes a volume's folder where that is wanted, and gives it with all that is in it to a group, once for each pod: `marker`
/// is a folder of the pod's that is there afterwards. Blocks.
///
/// # Errors
/// Where there is no such folder, or the disk refuses.
pub fn prepare(path: &Path, marker: &Path, make: bool, root_only: bool, group: Option<u32>) -> io::Result<()> {
    if marker.is_dir() && path.is_dir() {
        return Ok(());
    }
    if make {
        path.parent().map_or(Ok(()), |parent| folder(parent, VOLUMES))?;
        folder(path, OPEN)?;
    }
    let known = fs::metadata(path).map_err(|_| io::Error::other(format!("path {path:?} does not exist")))?;
    if !known.is_dir() {
        return Err(io::Error::other(format!("path {path:?} is not a directory")));
    }
    if let Some(group) = group {
        let is_given = known.gid() == group && known.permissions().mode() & FOLDER == FOLDER;
        if !(root_only && is_given) {
            give(path, group)?;
        }
    }
    folder(marker, OPEN)
}

/// Removes a volume with all that is in it; that there is none is as good. Blocks.
///
/// # Errors
/// What the disk says.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        told => told,
    }
}

/// Gives all below a folder to a group, the folder itself last: where it is the group's, all is.
fn give(root: &Path, group: u32) -> io::Result<()> {
    let top = fs::OpenOptions::new().read(true).custom_flags(OFlag::O_DIRECTORY.bits()).open(root)?;
    let mut waiting = vec![PathBuf::from(".")];
    while let Some(at) = waiting.pop() {
        give_entries(&top, &at, group, &mut waiting)?;
    }
    own(&top, Path::new("."), group, FOLDER)
}

/// Gives what is right in a folder to a group; its folders wait for theirs.
fn give_entries(top: &File, at: &Path, group: u32, waiting: &mut Vec<PathBuf>) -> io::Result<()> {
    let Some(dir) = gone(open(top, at, OFlag::O_DIRECTORY))? else { return Ok(()) };
    // Leads to this very folder, whatever its path means by now.
    let opened = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    for entry in fs::read_dir(&opened)? {
        let entry = entry?;
        let path = at.join(entry.file_name());
        match gone(entry.file_type())? {
            Some(kind) if kind.is_dir() => {
                own(top, &path, group, FOLDER)?;
                waiting.push(path);
            }
            Some(kind) if kind.is_file() => own(top, &path, group, FILE)?,
            // Links, pipes, devices and sockets have no bits that matter here.
            Some(_) => _ = gone(lchown(opened.join(entry.file_name()), None, Some(group)))?,
            None => {}
        }
    }
    Ok(())
}

/// Gives one file or folder to a group.
fn own(top: &File, path: &Path, group: u32, bits: u32) -> io::Result<()> {
    let Some(file) = gone(open(top, path, OFlag::O_NONBLOCK))? else { return Ok(()) };
    fchown(&file, None, Some(group))?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    Ok(fchmod(file.as_fd(), Mode::from_bits_truncate(mode | bits))?)
}

fn open(top: &File, path: &Path, flags: OFlag) -> io::Result<File> {
    let how = OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | flags);
    let how = how.resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    Ok(openat2(top.as_fd(), path, how)?.into())
}

/// What has gone meanwhile, or is another thing by now, is nobody's.
fn gone<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    let is_gone = |error: &io::Error| {
        let code = error.raw_os_error().map(Errno::from_raw);
        matches!(code, Some(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP))
    };
    match found {
        Err(error) if is_gone(&error) => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another group than the one files have at first.
    const GROUP: u32 = 4711;

    fn facts(path: &Path) -> (u32, u32) {
        let known = fs::symlink_metadata(path).unwrap();
        (known.gid(), known.permissions().mode() & 0o7777)
    }

    #[test]
    fn all_that_is_kept_is_the_groups_and_nothing_outside() {
        if !nix::unistd::geteuid().is_root() {
            return eprintln!("skipped: giving files away needs root");
        }
        let dir = tempfile::tempdir().unwrap();
        let (root, marker, outside) = (dir.path().join("v/pvc"), dir.path().join("marker"), dir.path().join("outside"));
        prepare(&root, &marker, true, false, None).unwrap();
        assert_eq!((facts(&root).1, facts(dir.path().join("v").as_path()).1), (0o777, 0o700));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "").unwrap();
        fs::write(&outside, "").unwrap();
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(root.join("a/b/file"), fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&outside, root.join("a/out")).unwrap();
        prepare(&root, &marker, true, false, Some(GROUP)).unwrap();
        assert_ne!(facts(&root.join("a")).0, GROUP, "this pod has been given it already");
        fs::remove_dir(&marker).unwrap();
        prepare(&root, &marker, true, false, Some(GROUP)).unwrap();
        assert_eq!(facts(&root.join("a/b/file")), (GROUP, 0o660));
        assert_eq!((facts(&root.join("a")).0, facts(&root).1), (GROUP, 0o2777));
        assert_eq!((facts(&outside).1, facts(&root.join("a/out")).0), (0o600, GROUP));
        assert_ne!(facts(&outside).0, GROUP);
        remove(&root).unwrap();
        remove(&root).unwrap();
        assert!(!root.exists() && outside.exists());
    }

    #[test]
    fn what_is_not_there_is_said_unless_it_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let (path, marker) = (dir.path().join("none"), dir.path().join("marker"));
        let error = prepare(&path, &marker, false, false, None).unwrap_err();
        assert_eq!(error.to_string(), format!("path {path:?} does not exist"));
        assert!(!marker.exists());
    }
}
