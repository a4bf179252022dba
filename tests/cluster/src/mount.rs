//! A disk that is soon full: [`SmallDisk`].

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A tmpfs of a given size, unmounted on drop.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it on a folder, which is made.
    ///
    /// # Errors
    /// Where this user may not mount, or the folder cannot be made.
    pub fn mount(path: &Path, bytes: u64) -> std::io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let options = format!("size={bytes},mode=700");
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))?;
        Ok(Self(path.to_owned()))
    }

    /// Makes it larger or smaller.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn resize(&self, bytes: u64) -> std::io::Result<()> {
        let options = format!("size={bytes}");
        Ok(mount(Some("tmpfs"), &self.0, Some("tmpfs"), MsFlags::MS_REMOUNT, Some(options.as_str()))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a node that is being killed may still hold files.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}
