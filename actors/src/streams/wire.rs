//! What API servers ask nodes for streams of pods. A question and an answer, a JSON frame each; then the stream.
//! Main type: [`Question`]. Fields may be added.

use std::ops::RangeInclusive;

use apiserver::streams::{Command, LogOptions, Place, StreamError};
use net::Method;
use serde::{Deserialize, Serialize};

/// All of ours.
pub const METHODS: RangeInclusive<u16> = 0x200..=0x203;

/// Frames of a log's bytes.
pub(super) const LOGS: Method = Method(0x200);
/// Frames of a command: a [`Part`] and bytes.
pub(super) const EXEC: Method = Method(0x201);
/// As [`EXEC`], of a container itself.
pub(super) const ATTACH: Method = Method(0x202);
/// Bytes, both ways.
pub(super) const PORT_FORWARD: Method = Method(0x203);

/// Bytes of a question: a command may be as long as the system lets it, 128 KiB a word.
pub(super) const QUESTION_BYTES_MAX: usize = 2 << 20;

/// Bytes of one frame of a stream.
pub(super) const FRAME_BYTES_MAX: usize = 64 << 10;

/// What is asked for; the method tells which of the options count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Question {
    pub(super) place: Place,
    pub(super) log: LogOptions,
    pub(super) command: Command,
    pub(super) port: u16,
}

/// Whether a stream follows.
pub(super) type Answer = Result<(), StreamError>;

/// What a frame of a command carries; the numbers are those of the API's own protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Of its input; none is the input's end.
    Stdin,
    /// Of its output.
    Stdout,
    /// Of its errors.
    Stderr,
    /// An `Exit`, as JSON: the last frame.
    Exit,
    /// A `Size`, as JSON.
    Resize,
}

impl Part {
    const ALL: [Self; 5] = [Self::Stdin, Self::Stdout, Self::Stderr, Self::Exit, Self::Resize];

    /// A frame of this part.
    pub(super) fn frame(self, bytes: &[u8]) -> Vec<u8> {
        [&[self as u8], bytes].concat()
    }

    /// A frame's part and bytes.
    pub(super) fn of(frame: &[u8]) -> Option<(Self, &[u8])> {
        let (number, bytes) = frame.split_first()?;
        Some((*Self::ALL.get(usize::from(*number))?, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it was first written: to be read for ever.
    const SAMPLE: &str = r#"{"place":{"node":"n","namespace":"d","pod":"p","uid":"u","container":"c"},"log":{"containerId":null,"follow":true,"tail":5,"since":"2026-01-02T03:04:05Z","timestamps":false,"limitBytes":null,"stream":"Stderr"},"command":{"command":["sh"],"stdin":true,"stdout":true,"stderr":false,"tty":true},"port":80}"#;

    #[test]
    fn the_stored_sample_is_read_and_written() {
        let question: Question = serde_json::from_str(SAMPLE).expect("a question");
        assert_eq!((question.port, question.log.tail), (80, Some(5)));
        assert_eq!(serde_json::to_string(&question).expect("JSON"), SAMPLE);
        let place = Place { address: "10.0.0.1".into(), ..Place::default() };
        let addressed = serde_json::to_string(&Question { place, ..Question::default() }).expect("JSON");
        assert!(addressed.contains(r#""container":"","address":"10.0.0.1"}"#), "{addressed}");
        let answer: Answer = Err(StreamError::NoContainer("c".into()));
        assert_eq!(serde_json::to_string(&answer).expect("JSON"), r#"{"Err":{"NoContainer":"c"}}"#);
    }

    #[test]
    fn parts_keep_their_numbers() {
        for (number, part) in Part::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(part.frame(b"x")[0]), number);
            assert_eq!(Part::of(&part.frame(b"x")), Some((part, &b"x"[..])));
        }
        assert_eq!(Part::of(&[9, 1]), None);
        assert_eq!(Part::of(&[]), None);
    }
}
