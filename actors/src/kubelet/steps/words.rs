//! What a container left to say: the file for its last words, and its log. Main functions: [`last_words`], [`remove_log`].

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ::kubelet::step::{LOG_BYTES_MAX, LOG_LINES_MAX, Outcome};
use runtime::log::Entry;

use super::super::volumes::mounts::blocking;

/// How much of a log's end is looked at for last words: [`LOG_LINES_MAX`] lines of some length each.
const LOG_TAIL_BYTES: u64 = 64 << 10;

/// Removes a container's log and the files it was rotated into.
pub(super) fn remove_log(log: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (log.parent(), log.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let rotated = |file: &str| file == name || file.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        if entry.file_name().to_str().is_some_and(rotated) {
            fs::remove_file(entry.path())?;
        }
    }
    // The last attempt's takes the folder along.
    let _ = fs::remove_dir(folder);
    Ok(())
}

/// What a container left to say: the start of its file, else the end of its log.
pub(super) async fn last_words(file: PathBuf, bytes_max: usize, log: Option<PathBuf>) -> Outcome {
    let read = blocking(move || {
        let said = file_start(&file, bytes_max)?;
        match log {
            Some(log) if said.is_empty() => log_end(&log),
            _ => Ok(said),
        }
    });
    match read.await {
        Ok(text) => Outcome::Text(text),
        Err(message) => Outcome::Failed { message },
    }
}

fn file_start(file: &Path, bytes_max: usize) -> io::Result<String> {
    let nofollow = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = match fs::OpenOptions::new().read(true).custom_flags(nofollow).open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(bytes_max as u64).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn log_end(log: &Path) -> io::Result<String> {
    let mut file = match fs::File::open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    let entries: Vec<Entry<'_>> = bytes.split(|byte| *byte == b'\n').filter_map(Entry::parse).collect();
    let mut text = Vec::new();
    for entry in &entries[entries.len().saturating_sub(LOG_LINES_MAX)..] {
        text.extend_from_slice(entry.content);
        if !entry.partial {
            text.push(b'\n');
        }
    }
    let start = text.len().saturating_sub(LOG_BYTES_MAX);
    Ok(String::from_utf8_lossy(&text[start..]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn last_words_are_the_file_or_the_logs_end() {
        let dir = tempfile::tempdir().unwrap();
        let (file, log) = (dir.path().join("words"), dir.path().join("0.log"));
        let check = async |max: usize, with_log: bool, expect: &str| {
            let said = last_words(file.clone(), max, with_log.then(|| log.clone())).await;
            assert_eq!(said, Outcome::Text(expect.to_owned()));
        };
        check(10, true, "").await;
        fs::write(&log, "2026-01-01T00:00:00.000000000Z stdout F one\n2026-01-01T00:00:00.000000001Z stderr P tw\n2026-01-01T00:00:00.000000002Z stderr F o\n").unwrap();
        check(10, false, "").await;
        check(10, true, "one\ntwo\n").await;
        fs::write(&file, "good bye").unwrap();
        check(4, true, "good").await;
    }

    #[test]
    fn a_log_goes_with_what_it_was_rotated_into() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("web");
        fs::create_dir(&folder).unwrap();
        for name in ["1.log", "1.log.20260101", "11.log"] {
            fs::write(folder.join(name), "").unwrap();
        }
        remove_log(&folder.join("1.log")).unwrap();
        remove_log(&folder.join("1.log")).unwrap();
        let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["11.log"]);
    }
}
