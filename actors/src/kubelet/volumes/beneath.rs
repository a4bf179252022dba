//! Folders within a folder that containers can write to: opened step by step, so that no link leads out.
//! Main functions: [`make_folders`], [`open_file`]. See `openat2(2)`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, mkdirat};

/// Folders of a path; the kernel's own bound of a path's length allows no more.
const DEPTH_MAX: usize = 2048;

/// Makes the folders of a relative path below `root` where they are missing. Links within are followed only while they stay
/// below it. A file at the end is as good as a folder.
///
/// # Errors
/// Where the path leads out of `root` (`EXDEV`), or the disk refuses.
pub fn make_folders(root: &Path, path: &Path, mode: u32) -> io::Result<()> {
    let parts: Vec<_> = path.components().take(DEPTH_MAX).collect();
    if !parts.iter().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(io::Error::other(format!("{}: subpath must be relative and without '..'", path.display())));
    }
    let top = File::open(root)?;
    let mut so_far = std::path::PathBuf::new();
    for part in parts {
        let above = so_far.clone();
        so_far.push(part);
        match open(&top, &so_far) {
            Ok(_) => continue,
            Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let folder = if above.as_os_str().is_empty() { top.try_clone()?.into() } else { open(&top, &above)? };
        match mkdirat(folder.as_fd(), part.as_os_str(), Mode::from_bits_truncate(mode)) {
            Ok(()) => {
                let made = open_to_change(&top, &so_far)?;
                nix::sys::stat::fchmod(made.as_fd(), Mode::from_bits_truncate(mode))?;
            }
            Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        open(&top, &so_far)?;
    }
    Ok(())
}

/// Opens a file below `root` for reading.
///
/// # Errors
/// Where there is none, or its path leads out of `root` (`EXDEV`).
pub fn open_file(root: &Path, path: &Path) -> io::Result<File> {
    let how = OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK);
    let how = how.resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    Ok(openat2(File::open(root)?.as_fd(), path, how)?.into())
}

fn open(top: &File, path: &Path) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC);
    openat2(top.as_fd(), path, how.resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS))
}

fn open_to_change(top: &File, path: &Path) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC);
    openat2(top.as_fd(), path, how.resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_and_links_lead_nowhere_out() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        std::fs::create_dir(&root).unwrap();
        std::fs::create_dir(&outside).unwrap();
        make_folders(&root, Path::new("a/b"), 0o750).unwrap();
        make_folders(&root, Path::new("a/b"), 0o750).unwrap();
        assert!(root.join("a/b").is_dir());
        std::os::unix::fs::symlink(&outside, root.join("out")).unwrap();
        std::os::unix::fs::symlink("a", root.join("within")).unwrap();
        make_folders(&root, Path::new("within/c"), 0o750).unwrap();
        assert!(root.join("a/c").is_dir());
        assert!(make_folders(&root, Path::new("out/d"), 0o750).is_err());
        assert!(make_folders(&root, Path::new("../d"), 0o750).is_err());
        assert!(std::fs::read_dir(&outside).unwrap().next().is_none());
    }
}
