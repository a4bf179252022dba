//! Files of a volume that change all at once, as upstream's atomic writer does it: into a new folder `..<time>`, to which the
//! link `..data` is swapped; each first element of a path is a link to `..data/<element>`. Main function: [`write()`].
//! Spec: <https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter>.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Component, Path};

use super::Payload;

/// The link that is swapped.
pub const DATA: &str = "..data";

/// The link before it is swapped in.
const NEXT: &str = "..data_tmp";

/// Writes files into a volume's folder; nothing changes where they are there already. Blocks.
///
/// # Errors
/// What the disk says; what was there before stays.
pub fn write(root: &Path, files: &[Payload], group: Option<u32>) -> io::Result<()> {
    files.iter().try_for_each(|file| check(&file.path))?;
    let old = fs::read_link(root.join(DATA)).ok();
    if old.is_some() && files.iter().all(|file| same(root, file, group)) && count(&root.join(DATA))? == files.len() {
        return link_all(root, files);
    }
    let name = format!("..{}.{}", clock::now().strftime("%Y_%m_%d_%H_%M_%S"), rand::random::<u32>());
    let folder = root.join(&name);
    make_folder(&folder, group)?;
    for file in files {
        write_one(&folder, file, group)?;
    }
    let next = root.join(NEXT);
    forget(&next)?;
    symlink(&name, &next)?;
    fs::rename(&next, root.join(DATA))?;
    link_all(root, files)?;
    match old {
        // Only a folder of ours, right here.
        Some(old) if old.components().count() == 1 => fs::remove_dir_all(root.join(old)).or_else(gone),
        _ => Ok(()),
    }
}

fn gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn forget(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(gone)
}

/// A relative path of plain names, none of which could be taken for ours.
fn check(path: &str) -> io::Result<()> {
    let parts = Path::new(path).components();
    let plain = parts.clone().all(|part| matches!(part, Component::Normal(_))) && parts.clone().next().is_some();
    match plain && !path.starts_with("..") {
        true => Ok(()),
        false => Err(io::Error::other(format!("invalid path {path:?}: must be relative, without '..'"))),
    }
}

/// Whether a file is there as wanted.
fn same(root: &Path, file: &Payload, group: Option<u32>) -> bool {
    let path = root.join(DATA).join(&file.path);
    let Ok(known) = fs::metadata(&path) else { return false };
    known.is_file()
        && known.permissions().mode() & 0o7777 == mode(file, group)
        && known.len() == file.bytes.len() as u64
        && fs::read(&path).is_ok_and(|bytes| bytes == file.bytes)
}

/// Files below a folder, links not followed.
fn count(folder: &Path) -> io::Result<usize> {
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(files)
}

/// The group reads what it owns.
fn mode(file: &Payload, group: Option<u32>) -> u32 {
    if group.is_some() { file.mode | 0o440 } else { file.mode }
}

fn make_folder(path: &Path, group: Option<u32>) -> io::Result<()> {
    DirBuilder::new().mode(0o755).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    match group {
        Some(group) => {
            chown(path, None, Some(group))?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o2775))
        }
        None => Ok(()),
    }
}

fn write_one(folder: &Path, file: &Payload, group: Option<u32>) -> io::Result<()> {
    let path = folder.join(&file.path);
    let mut at = folder.to_owned();
    for part in Path::new(&file.path).parent().into_iter().flat_map(Path::components) {
        at.push(part);
        if !at.is_dir() {
            make_folder(&at, group)?;
        }
    }
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    to.write_all(&file.bytes)?;
    let (owner, known) = (file.owner, to.metadata()?);
    if group.is_some() || owner.is_some_and(|owner| owner != known.uid()) {
        chown(&path, owner, group)?;
    }
    to.set_permissions(fs::Permissions::from_mode(mode(file, group)))
}

/// The names people see, and no others.
fn link_all(root: &Path, files: &[Payload]) -> io::Result<()> {
    let wanted: BTreeSet<&str> = files.iter().filter_map(|file| file.path.split('/').next()).collect();
    for name in &wanted {
        let (link, to) = (root.join(name), Path::new(DATA).join(name));
        if fs::read_link(&link).is_ok_and(|points| points == to) {
            continue;
        }
        symlink(&to, &link)?;
    }
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = fs::read_link(entry.path()).is_ok_and(|points| points == Path::new(DATA).join(&name));
        if ours && name.to_str().is_some_and(|name| !wanted.contains(name)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Payload {
        Payload { path: path.into(), mode: 0o640, owner: None, bytes: text.into() }
    }

    #[test]
    fn files_change_all_at_once_and_stay_where_they_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let points = || fs::read_link(root.join(DATA)).unwrap();
        write(root, &[file("a", "1"), file("sub/b", "2")], None).unwrap();
        let first = points();
        assert_eq!(fs::read_to_string(root.join("sub/b")).unwrap(), "2");
        assert_eq!(fs::read_link(root.join("a")).unwrap(), Path::new("..data/a"));
        assert_eq!(fs::metadata(root.join("a")).unwrap().permissions().mode() & 0o7777, 0o640);
        write(root, &[file("a", "1"), file("sub/b", "2")], None).unwrap();
        assert_eq!(points(), first);
        write(root, &[file("a", "3")], None).unwrap();
        assert_ne!(points(), first);
        assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "3");
        assert!(!root.join("sub").exists() && !root.join(&first).exists());
        write(root, &[], None).unwrap();
        assert!(fs::read_link(root.join("a")).is_err() && root.join(DATA).is_dir());
    }

    #[test]
    fn no_path_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["/etc/passwd", "../x", "a/../../x", "", "..data/x"] {
            assert!(write(dir.path(), &[file(path, "")], None).is_err(), "{path}");
        }
    }
}
