//! Protobuf's encoding: tagged fields of numbers and byte strings. Main types: [`Reader`], [`Writer`].
//! Spec: <https://protobuf.dev/programming-guides/encoding/>. Leaves out groups, which are refused.

use super::DecodeError;

/// A varint has ten bytes at most.
const VARINT_BITS: u32 = 64;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// A varint or a fixed number.
    Number(u64),
    /// A string, bytes, a message or packed numbers.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// As bytes.
    pub(super) fn bytes(&self) -> Result<&'a [u8], DecodeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => Err(DecodeError::Malformed),
        }
    }

    /// As UTF-8.
    pub(super) fn text(&self) -> Result<String, DecodeError> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| DecodeError::Malformed)
    }

    /// As a number. Signed ones are sign-extended to 64 bits.
    pub(super) fn number(&self) -> Result<u64, DecodeError> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Bytes(_) => Err(DecodeError::Malformed),
        }
    }
}

/// Walks the fields of a message: (number, value). Ends after the first error.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over a message's bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let tag = varint(&mut self.rest)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut self.rest)?),
            1 => Value::Number(u64::from_le_bytes(self.split(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).ok()?;
                Value::Bytes(self.split(length)?)
            }
            5 => Value::Number(u64::from(u32::from_le_bytes(self.split(4)?.try_into().ok()?))),
            _ => return None,
        };
        Some((u32::try_from(tag >> 3).ok()?, value))
    }

    fn split(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u32, Value<'a>), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(DecodeError::Malformed))
    }
}

/// Varints one after the other.
pub(super) fn packed(mut bytes: &[u8]) -> Result<Vec<u64>, DecodeError> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(varint(&mut bytes).ok_or(DecodeError::Malformed)?);
    }
    Ok(numbers)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..VARINT_BITS).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Wire types, as tags have them.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

/// Writes the fields of a message one after the other.
#[derive(Debug, Default)]
pub(super) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Goes on after `out`.
    pub(super) fn after(out: Vec<u8>) -> Self {
        Self { out }
    }

    /// What was written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// A string, bytes or a whole message.
    pub(super) fn bytes(&mut self, number: u32, content: &[u8]) {
        self.head(number, content.len());
        self.out.extend_from_slice(content);
    }

    /// What stands before `length` bytes that follow elsewhere.
    pub(super) fn head(&mut self, number: u32, length: usize) {
        self.tag(number, BYTES);
        self.varint(length as u64);
    }

    /// A varint. Signed numbers are sign-extended to 64 bits.
    pub(super) fn number(&mut self, number: u32, value: i64) {
        self.tag(number, VARINT);
        self.varint(value.cast_unsigned());
    }

    /// A number with a fraction.
    pub(super) fn double(&mut self, number: u32, value: f64) {
        self.tag(number, FIXED64);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A message: its content is written after this, and [`Writer::close`] is told what this returned.
    pub(super) fn open(&mut self, number: u32) -> usize {
        self.tag(number, BYTES);
        self.out.push(0);
        self.out.len()
    }

    /// Ends the message that began at `start`: puts its length before it, for which one byte was kept.
    pub(super) fn close(&mut self, start: usize) {
        let length = self.out.len() - start;
        let mut written = Self::default();
        written.varint(length as u64);
        drop(self.out.splice(start - 1..start, written.out));
    }

    fn tag(&mut self, number: u32, kind: u32) {
        self.varint(u64::from(number << 3 | kind));
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}

/// Bytes that a length takes.
pub(super) fn varint_len(length: usize) -> usize {
    (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize
}
