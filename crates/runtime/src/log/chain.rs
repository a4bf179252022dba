//! A log's files as one stream of bytes, from the oldest to the one being written. Main type: [`Chain`]. Blocking.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{line::Entry, rotate};

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// Files opened before one is there: each try that fails means that the log was rotated meanwhile.
const OPEN_TRIES: usize = 8;

/// What reading on found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Some bytes were appended to the buffer.
    Read,
    /// All was read; more will come.
    CaughtUp,
    /// All was read, and nobody writes any more.
    Ended,
}

/// A position in a log.
#[derive(Debug)]
pub(super) struct Chain {
    path: PathBuf,
    file: File,
    identity: (u64, u64),
}

impl Chain {
    /// Starts at the last `tail` lines, or at the oldest byte that is kept.
    pub(super) fn open(path: &Path, tail: Option<u64>) -> io::Result<Self> {
        let Some(mut wanted) = tail else {
            return Self::start(path, oldest(path)?);
        };
        let mut rotated = rotate::rotated(path)?;
        let mut chain = Self::start(path, File::open(path)?)?;
        loop {
            match last_lines(&mut chain.file, wanted)? {
                Ok(start) => {
                    chain.file.seek(SeekFrom::Start(start))?;
                    return Ok(chain);
                }
                Err(lines) => wanted -= lines,
            }
            let older = rotated.pop().map(|number| File::open(rotate::numbered(path, number)));
            let Some(Ok(older)) = older else {
                chain.file.seek(SeekFrom::Start(0))?;
                return Ok(chain);
            };
            chain = Self::start(path, older)?;
        }
    }

    fn start(path: &Path, file: File) -> io::Result<Self> {
        let identity = identity(&file.metadata()?);
        Ok(Self { path: path.to_owned(), file, identity })
    }

    /// Reads on, from file to file.
    pub(super) fn step(&mut self, buffer: &mut Vec<u8>) -> io::Result<Step> {
        // In this order: what is written before a file is put aside, or before its writer ends, is not missed.
        let written = self.is_written();
        let current = fs::metadata(&self.path).ok().map(|found| identity(&found));
        if self.read(buffer)? > 0 {
            return Ok(Step::Read);
        }
        match current {
            Some(current) if current != self.identity => {
                *self = Self::start(&self.path, self.successor()?)?;
                Ok(if self.read(buffer)? > 0 { Step::Read } else { Step::CaughtUp })
            }
            _ if written => Ok(Step::CaughtUp),
            _ => Ok(Step::Ended),
        }
    }

    /// Whether a logger holds this file; it gives up a full one only after it has the next.
    fn is_written(&self) -> bool {
        if self.file.try_lock_shared().is_err() {
            return true;
        }
        let _ = self.file.unlock();
        false
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<u64> {
        Ok((&mut self.file).take(READ_BYTES as u64).read_to_end(buffer)? as u64)
    }

    /// The file after this one. If this one is gone already, all that are left are newer.
    fn successor(&self) -> io::Result<File> {
        let rotated = rotate::rotated(&self.path)?;
        let is_this = |number: &u64| {
            fs::metadata(rotate::numbered(&self.path, *number)).is_ok_and(|found| identity(&found) == self.identity)
        };
        let next = match rotated.iter().position(is_this) {
            Some(this) => rotated.get(this + 1),
            None => rotated.first(),
        };
        match next.map(|number| File::open(rotate::numbered(&self.path, *number))) {
            Some(Ok(file)) => Ok(file),
            Some(Err(_)) => oldest(&self.path),
            None => File::open(&self.path),
        }
    }
}

fn oldest(path: &Path) -> io::Result<File> {
    let mut tries = 0;
    loop {
        let oldest = match rotate::rotated(path)?.first() {
            Some(number) => File::open(rotate::numbered(path, *number)),
            None => File::open(path),
        };
        tries += 1;
        match oldest {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < OPEN_TRIES => {}
            oldest => return oldest,
        }
    }
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Where the last `wanted` lines start; or how many there are, if fewer. A line ends with an entry that is not partial.
fn last_lines(file: &mut File, wanted: u64) -> io::Result<Result<u64, u64>> {
    let mut ends: VecDeque<u64> = VecDeque::new();
    let (mut offset, mut lines, mut unfinished) = (0, 0, false);
    let mut reader = io::BufReader::with_capacity(READ_BYTES, &mut *file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = io::BufRead::read_until(&mut reader, b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        offset += read as u64;
        unfinished = Entry::parse(&line).is_none_or(|entry| entry.partial);
        if !unfinished {
            lines += 1;
            ends.push_back(offset);
            if ends.len() as u64 > wanted.saturating_add(1) {
                ends.pop_front();
            }
        }
    }
    let found = lines + u64::from(unfinished);
    if found < wanted {
        return Ok(Err(found));
    }
    if wanted == 0 {
        return Ok(Ok(offset));
    }
    // A last line that has not ended counts too.
    let kept = usize::try_from(wanted - u64::from(unfinished)).unwrap_or(usize::MAX);
    let before = ends.len().saturating_sub(kept);
    Ok(Ok(if before == 0 { 0 } else { ends[before - 1] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[(&str, bool)], wanted: u64, expect: Result<&str, u64>) {
        let entry =
            |(content, partial): &(&str, bool)| format!("t stdout {} {content}\n", if *partial { "P" } else { "F" });
        let text: String = lines.iter().map(entry).collect();
        let mut file = tempfile::tempfile().expect("a file");
        io::Write::write_all(&mut file, text.as_bytes()).expect("writes");
        file.rewind().expect("rewinds");
        let found = last_lines(&mut file, wanted).expect("reads");
        assert_eq!(found.map(|start| &text[start as usize..]), expect, "{wanted} of {text:?}");
    }

    #[test]
    fn the_last_lines_are_found() {
        let lines = [("a", false), ("b", true), ("c", false), ("d", false)];
        check(&lines, 0, Ok(""));
        check(&lines, 1, Ok("t stdout F d\n"));
        check(&lines, 2, Ok("t stdout P b\nt stdout F c\nt stdout F d\n"));
        check(&lines, 3, Ok("t stdout F a\nt stdout P b\nt stdout F c\nt stdout F d\n"));
        check(&lines, 4, Err(3));
        check(&lines, u64::MAX, Err(3));
        check(&lines[..2], 1, Ok("t stdout P b\n"));
        check(&lines[..2], 2, Ok("t stdout F a\nt stdout P b\n"));
        check(&[], 1, Err(0));
    }
}
