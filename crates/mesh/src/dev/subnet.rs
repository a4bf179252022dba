//! Which /24 of 10.89.0.0/16 a sandbox has: a file for each that is taken, so that two that start at once differ.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

fn files(run: &Path) -> PathBuf {
    run.join(".subnets")
}

/// Takes a free one for a sandbox.
pub(super) fn take(run: &Path, name: &str) -> Result<u8> {
    let folder = files(run);
    for subnet in 1..=u8::MAX {
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let path = folder.join(subnet.to_string());
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(name.as_bytes())?;
                return Ok(subnet);
            }
            // Left by a sandbox of this name whose description is gone.
            Err(_) if fs::read_to_string(&path).is_ok_and(|holder| holder == name) => return Ok(subnet),
            // Another sandbox's; or the last one just left and took the folder with it.
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
    bail!("all subnets are taken: `mesh dev down --all` frees them")
}

/// Gives it back.
pub(super) fn free(run: &Path, subnet: u8) -> Result<()> {
    match fs::remove_file(files(run).join(subnet.to_string())) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    // Only the last sandbox leaves it empty.
    let _ = fs::remove_dir(files(run));
    Ok(())
}

/// The host's address in it, and the nodes' gateway.
pub(super) fn gateway(subnet: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 89, subnet, 1)
}

/// The address of a node, from .11 on.
pub(super) fn address(subnet: u8, node: u16) -> Ipv4Addr {
    let last = u8::try_from(10 + node).unwrap_or(u8::MAX);
    Ipv4Addr::new(10, 89, subnet, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sandboxes_never_share_a_subnet_and_a_freed_one_comes_back() {
        let run = tempfile::tempdir().expect("a folder");
        let take = |name| take(run.path(), name).expect("one is free");
        assert_eq!([take("a"), take("b"), take("a")], [1, 2, 1]);
        free(run.path(), 1).expect("freed");
        free(run.path(), 1).expect("freed twice is no matter");
        assert_eq!(take("c"), 1);
        assert_eq!((gateway(7), address(7, 1)), (Ipv4Addr::new(10, 89, 7, 1), Ipv4Addr::new(10, 89, 7, 11)));
    }
}
