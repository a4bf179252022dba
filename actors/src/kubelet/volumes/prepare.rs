//! What has to be there before a container is made: small files, and folders within volumes.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ::kubelet::step::Prepare;

use super::{beneath, mounts::blocking};

/// Prepares, in order.
///
/// # Errors
/// The first that cannot be.
pub async fn all(prepare: Vec<Prepare>) -> Result<(), String> {
    blocking(move || prepare.iter().try_for_each(one)).await
}

fn one(prepare: &Prepare) -> io::Result<()> {
    match prepare {
        Prepare::File { path, text, mode } => file(path, text, *mode),
        // As the volume itself, so that who may write there may write here.
        Prepare::SubPath { root, path, .. } => {
            beneath::make_folders(root, path, fs::metadata(root)?.permissions().mode() & 0o7777)
        }
    }
}

/// Written in place, not beside: containers that have it mounted see the change.
fn file(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
