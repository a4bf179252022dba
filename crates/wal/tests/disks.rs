//! One suite over both disks, and what only a real directory has.

use std::os::unix::fs::PermissionsExt;
use wal::{Disk, DiskError, FileDisk, MemoryDisk};

fn check(disk: &dyn Disk) {
    disk.create("a").expect("new");
    assert!(matches!(disk.create("a"), Err(DiskError::Exists { .. })));
    disk.write_at("a", 0, b"hello").expect("room");
    disk.write_at("a", 3, b"p!!").expect("room");
    let mut buffer = [0; 10];
    assert_eq!(disk.read_at("a", 1, &mut buffer).expect("there"), 5);
    assert_eq!(&buffer[..5], b"elp!!");
    assert_eq!(disk.read_at("a", 99, &mut buffer).expect("there"), 0);
    assert_eq!(disk.length("a").expect("there"), 6);
    disk.sync("a").expect("works");
    disk.create("b").expect("new");
    disk.rename("a", "b").expect("there");
    disk.sync_directory().expect("works");
    assert_eq!(disk.length("b").expect("there"), 6, "the new name leads to the old content");
    assert!(matches!(disk.length("a"), Err(DiskError::NotFound { .. })));
    disk.remove("b").expect("there");
    assert!(matches!(disk.remove("b"), Err(DiskError::NotFound { .. })));
    assert!(matches!(disk.write_at("b", 0, b"x"), Err(DiskError::NotFound { .. })));
}

#[test]
fn both_disks_behave_alike() {
    check(&MemoryDisk::new(1));
    let directory = tempfile::tempdir().expect("a directory");
    check(&FileDisk::open(directory.path()).expect("free"));
}

#[test]
fn a_directory_is_locked_private_and_closed_to_paths() {
    let parent = tempfile::tempdir().expect("a directory");
    let root = parent.path().join("x/raft");
    let disk = FileDisk::open(&root).expect("free");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    disk.create("a").expect("new");
    assert_eq!((mode(&root), mode(&root.join("a")), mode(&root.join("lock"))), (0o700, 0o600, 0o600));
    let error = FileDisk::open(&root).expect_err("locked");
    assert!(matches!(error, DiskError::Locked { .. }));
    assert!(error.to_string().contains(&root.display().to_string()), "{error}");
    for name in ["../a", "/etc/passwd", "", ".", "..", "a/b", "a/"] {
        assert!(matches!(disk.length(name), Err(DiskError::BadName { .. })), "{name:?}");
    }
    drop(disk);
    FileDisk::open(&root).expect("free again");
}
