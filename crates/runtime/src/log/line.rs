//! One line of a log file: `<time> <stream> <tag> <content>`. Main type: [`Entry`].

use jiff::Timestamp;

/// The longest content of one entry, in bytes; a longer line of a container becomes several. The CRI's own limit.
pub(super) const CONTENT_BYTES_MAX: usize = 16 * 1024;

/// The longest entry: its content, and room for time, stream and tag.
pub(super) const ENTRY_BYTES_MAX: usize = CONTENT_BYTES_MAX + 64;

/// Where a container wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Its name in log files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One entry of a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it was read from the container: RFC 3339, UTC, nine digits; sorts as text.
    pub time: &'a str,
    /// Where it was written to.
    pub stream: Stream,
    /// The container's line goes on in the next entry of this stream.
    pub partial: bool,
    /// What was written, without the newline.
    pub content: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Reads an entry from a line without its newline. `None` if it is none, as after a torn write.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let time = std::str::from_utf8(fields.next()?).ok()?;
        let stream = match fields.next()? {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        let partial = match fields.next()? {
            b"P" => true,
            b"F" => false,
            _ => return None,
        };
        Some(Self { time, stream, partial, content: fields.next()? })
    }

    /// Appends the entry and a newline.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.time.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.stream.name().as_bytes());
        out.extend_from_slice(if self.partial { b" P " } else { b" F " });
        out.extend_from_slice(self.content);
        out.push(b'\n');
    }
}

/// A time as entries have it.
pub(super) fn format_time(time: Timestamp) -> String {
    format!("{time:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: Option<(bool, &str)>) {
        let entry = Entry::parse(line.as_bytes());
        let found = entry.map(|entry| (entry.partial, std::str::from_utf8(entry.content).expect("text")));
        assert_eq!(found, expect, "{line}");
        if let Some(entry) = entry {
            let mut written = Vec::new();
            entry.write(&mut written);
            assert_eq!(written, format!("{line}\n").into_bytes());
        }
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        check("2026-01-02T03:04:05.000000006Z stdout F hello  world", Some((false, "hello  world")));
        check("2026-01-02T03:04:05.000000006Z stderr P ", Some((true, "")));
        check("2026-01-02T03:04:05.000000006Z stdout X a", None);
        check("2026-01-02T03:04:05.000000006Z stdlog F a", None);
        check("torn", None);
        check("", None);
    }

    #[test]
    fn times_sort_as_text() {
        let times = ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.1Z"].map(|text| text.parse().expect("a time"));
        let [first, second] = times.map(format_time);
        assert_eq!(first, "2026-01-02T03:04:05.000000000Z");
        assert!(first < second);
    }
}
