//! What is remembered of a pod, on disk: `<dataDir>/pods/<uid>/history.json`, written beside and renamed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use ::kubelet::History;
use tracing::warn;

/// Name of the file in a pod's folder.
pub const NAME: &str = "history.json";

/// Largest file read, in bytes: a history holds a pod's status twice at most.
const FILE_LIMIT: u64 = 4 << 20;

/// Reads it; the default where there is none. One that is damaged is told of and begins anew: what runs is listed by the runtime.
pub fn load(pod_dir: &Path) -> History {
    let path = pod_dir.join(NAME);
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(FILE_LIMIT).read_to_end(&mut bytes)) {
        Ok(_) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            warn!(path = %path.display(), %error, "a pod's history is damaged and begins anew");
            History::default()
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => History::default(),
        Err(error) => {
            warn!(path = %path.display(), %error, "a pod's history cannot be read and begins anew");
            History::default()
        }
    }
}

/// Writes it. Not synced: after a loss of power the containers it tells of are gone as well.
///
/// # Errors
/// What the disk says.
pub fn save(pod_dir: &Path, history: &History) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(pod_dir)?;
    write(&pod_dir.join(NAME), &serde_json::to_vec(history).map_err(io::Error::other)?)
}

/// Writes a small file beside and renames it.
///
/// # Errors
/// What the disk says.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    drop(file);
    fs::rename(&beside, path)
}

/// Removes a pod's folder, whose volumes are gone.
///
/// # Errors
/// What the disk says.
pub fn remove(pod_dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(pod_dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_comes_back_and_a_damaged_one_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let pod = dir.path().join("uid");
        assert_eq!(load(&pod), History::default());
        let history = History { initialized: Some(3), ..History::default() };
        save(&pod, &history).unwrap();
        assert_eq!(load(&pod), history);
        fs::write(pod.join(NAME), "{").unwrap();
        assert_eq!(load(&pod), History::default());
        remove(&pod).unwrap();
        remove(&pod).unwrap();
        assert!(!pod.exists());
    }
}
