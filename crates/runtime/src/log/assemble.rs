//! Cuts a stream of bytes into entries. Main type: [`Assembler`].

use super::line::{CONTENT_BYTES_MAX, Entry, Stream};

/// Holds the line that has not ended yet.
#[derive(Debug)]
pub(super) struct Assembler {
    stream: Stream,
    /// At most [`CONTENT_BYTES_MAX`].
    unfinished: Vec<u8>,
}

impl Assembler {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, unfinished: Vec::new() }
    }

    /// Takes what was read at `time` and appends the entries that it completes.
    pub(super) fn push(&mut self, read: &[u8], time: &str, out: &mut Vec<u8>) {
        for piece in read.split_inclusive(|byte| *byte == b'\n') {
            let (mut rest, ends) = piece.strip_suffix(b"\n").map_or((piece, false), |line| (line, true));
            while self.unfinished.len() + rest.len() > CONTENT_BYTES_MAX {
                let (fits, more) = rest.split_at(CONTENT_BYTES_MAX - self.unfinished.len());
                self.unfinished.extend_from_slice(fits);
                self.flush(true, time, out);
                rest = more;
            }
            self.unfinished.extend_from_slice(rest);
            if ends {
                self.flush(false, time, out);
            }
        }
    }

    /// The stream has ended: a line without its newline is a partial one.
    pub(super) fn finish(&mut self, time: &str, out: &mut Vec<u8>) {
        if !self.unfinished.is_empty() {
            self.flush(true, time, out);
        }
    }

    fn flush(&mut self, partial: bool, time: &str, out: &mut Vec<u8>) {
        Entry { time, stream: self.stream, partial, content: &self.unfinished }.write(out);
        self.unfinished.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reads: &[&[u8]], expect: &[(bool, usize)]) {
        let (mut assembler, mut out) = (Assembler::new(Stream::Stdout), Vec::new());
        reads.iter().for_each(|read| assembler.push(read, "t", &mut out));
        assembler.finish("t", &mut out);
        let lines = out.split_inclusive(|byte| *byte == b'\n').map(|line| &line[..line.len() - 1]);
        let entries = lines.map(|line| Entry::parse(line).expect("an entry"));
        let found: Vec<(bool, usize)> = entries.map(|entry| (entry.partial, entry.content.len())).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        check(&[b"one\ntwo\n"], &[(false, 3), (false, 3)]);
        check(&[b"on", b"e\n", b"\n", b"tw", b"o"], &[(false, 3), (false, 0), (true, 3)]);
        check(&[], &[]);
    }

    #[test]
    fn long_lines_become_partial_entries() {
        const MAX: usize = CONTENT_BYTES_MAX;
        check(&[&vec![b'a'; MAX], b"\n"], &[(false, MAX)]);
        check(&[&vec![b'a'; MAX + 1], b"\n"], &[(true, MAX), (false, 1)]);
        check(&[&vec![b'a'; 2 * MAX + 5]], &[(true, MAX), (true, MAX), (true, 5)]);
    }
}
