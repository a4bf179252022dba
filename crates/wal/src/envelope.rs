//! The sealed format shared by log segments and snapshots. **Fixed early**: version 1 is read for ever.
//!
//! Main type: [`FileKey`]. A file is a [`FileHeader`] (64 bytes, in clear) and frames; a frame is a header (48 bytes,
//! in clear), the ciphertext, and its 16-byte tag. All integers are little-endian.
//!
//! **Why no nonce ever repeats.** Every file has a key of its own, HKDF-SHA256 of the ring's key, 32 random bytes of
//! salt and the file's header (so also its kind and number). The nonce is the frame's sequence number within the
//! file. A file's key lives only in the process that made the file: nobody appends to a file after a restart, and a
//! sequence number is taken once, when the frame is sealed into memory. A failed or partial write is repeated with
//! the very same ciphertext at the same place. Nothing is ever cut off and written anew: truncating the log is one
//! more frame, and after a torn tail the log goes on in the next file, under another salt.
//!
//! **Why no frame can be moved.** The key binds a frame to its file; nonce and additional data bind it to its place
//! (sequence and offset) and to every field of its header.
//!
//! **Two checksums** (crc32c, seeded by the salt) tell damage from a wrong key: a frame whose checksums hold and
//! whose tag does not was sealed under another key. The header's checksum does not cover the body, so that a frame
//! with a damaged body still says where the next one starts.

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
};

use crate::keys::{Key, KeyId, Salt};

/// The format this code writes, and the newest it reads.
pub(crate) const VERSION: u8 = 1;
/// Bytes of a file's header, in every version; the last four are its crc32c.
pub(crate) const FILE_HEADER: usize = 64;
/// Bytes of a frame's header.
pub(crate) const FRAME_HEADER: usize = 48;
/// Bytes a frame adds to its payload.
pub(crate) const FRAME_OVERHEAD: usize = FRAME_HEADER + TAG;
/// Largest payload of one frame. Ten times the largest API body (3 MiB); bounds what a damaged length can ask for.
pub const MAX_PAYLOAD: usize = 32 << 20;

const TAG: usize = 16;
const FILE_MAGIC: [u8; 8] = *b"MESHWAL\0";
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"mWf\xA5";
/// The one cipher of version 1: AES-256-GCM.
const CIPHER: u8 = 1;
/// Named in the key derivation, so that the ring's key may serve other purposes under other names.
const PURPOSE: &[u8] = b"mesh wal envelope 1";

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Log = 1,
    Snapshot = 2,
}

/// What opens every file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) kind: FileKind,
    pub(crate) key: KeyId,
    /// The number in the file's name.
    pub(crate) number: u64,
    pub(crate) salt: Salt,
}

/// Why a file's header is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Damaged,
    Version(u8),
}

impl FileHeader {
    pub(crate) fn encode(&self) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        bytes[..8].copy_from_slice(&FILE_MAGIC);
        bytes[8] = VERSION;
        bytes[9] = self.kind as u8;
        bytes[10] = CIPHER;
        bytes[12..16].copy_from_slice(&self.key.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..56].copy_from_slice(&self.salt);
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header that a file of this kind and number must have.
    pub(crate) fn decode(bytes: &[u8], kind: FileKind, number: u64) -> Result<Self, HeaderFault> {
        let bytes: &[u8; FILE_HEADER] =
            bytes.get(..FILE_HEADER).and_then(|b| b.try_into().ok()).ok_or(HeaderFault::Damaged)?;
        if bytes[..8] != FILE_MAGIC || crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return Err(HeaderFault::Damaged);
        }
        if bytes[8] != VERSION {
            return Err(HeaderFault::Version(bytes[8]));
        }
        if bytes[9] != kind as u8 || bytes[10] != CIPHER || u64_at(bytes, 16) != number {
            return Err(HeaderFault::Damaged);
        }
        let mut salt = [0; 32];
        salt.copy_from_slice(&bytes[24..56]);
        Ok(Self { kind, key: KeyId(u32_at(bytes, 12)), number, salt })
    }
}

/// A frame's header, in clear. Readers trust nothing of it before the tag is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    /// Bytes of the payload.
    pub(crate) length: u32,
    /// Place in the file, from 0; the nonce.
    pub(crate) sequence: u64,
    /// What the kind makes of it; the record's index mostly.
    pub(crate) index: u64,
    /// The file was durable up to this offset when the frame was sealed.
    pub(crate) synced: u64,
    body_crc: u32,
}

impl Frame {
    /// Bytes in the file, header and tag included.
    pub(crate) fn size(&self) -> usize {
        FRAME_OVERHEAD + self.length as usize
    }
}

/// Why a frame cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameFault {
    /// Checksums do not hold, or bytes are missing.
    Damaged,
    /// Checksums hold, the tag does not: another key, or a moved frame.
    Forged,
}

/// A file's own key, with the checksum seed.
pub(crate) struct FileKey {
    key: LessSafeKey,
    seed: u32,
}

impl std::fmt::Debug for FileKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FileKey(..)")
    }
}

impl FileKey {
    /// Derives the key of the file with this header.
    pub(crate) fn derive(master: &Key, header: &FileHeader) -> Self {
        let encoded = header.encode();
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &header.salt).extract(master.secret());
        let info = [PURPOSE, &encoded[..]];
        let okm = secret.expand(&info, &AES_256_GCM).expect("32 bytes are within HKDF's limit");
        Self { key: LessSafeKey::new(UnboundKey::from(okm)), seed: crc32c::crc32c(&header.salt) }
    }

    /// Appends a frame to `out`, which will be in the file at `offset`. `frame` gives kind, sequence, index and
    /// synced.
    pub(crate) fn seal(&self, place: Place, payload: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.reserve(FRAME_OVERHEAD + payload.len());
        let length = u32::try_from(payload.len()).expect("callers keep to MAX_PAYLOAD");
        let mut header = place.header(length);
        out.extend_from_slice(&header);
        out.extend_from_slice(payload);
        let tag = self
            .key
            .seal_in_place_separate_tag(
                nonce(place.sequence),
                Aad::from(additional(place.offset, &header)),
                &mut out[start + FRAME_HEADER..],
            )
            .expect("a payload within MAX_PAYLOAD is within the cipher's limit");
        out.extend_from_slice(tag.as_ref());
        let body_crc = crc32c::crc32c_append(self.seed, &out[start + FRAME_HEADER..]);
        header[12..16].copy_from_slice(&body_crc.to_le_bytes());
        let crc = crc32c::crc32c_append(self.seed, &header[..44]);
        header[44..].copy_from_slice(&crc.to_le_bytes());
        out[start..start + FRAME_HEADER].copy_from_slice(&header);
    }

    /// Reads the header at the start of `bytes`; `None` where its checksum does not hold.
    pub(crate) fn header(&self, bytes: &[u8]) -> Option<Frame> {
        let bytes = bytes.get(..FRAME_HEADER)?;
        if bytes[..4] != FRAME_MAGIC || crc32c::crc32c_append(self.seed, &bytes[..44]) != u32_at(bytes, 44) {
            return None;
        }
        let frame = Frame {
            kind: bytes[4],
            length: u32_at(bytes, 8),
            body_crc: u32_at(bytes, 12),
            sequence: u64_at(bytes, 16),
            index: u64_at(bytes, 24),
            synced: u64_at(bytes, 32),
        };
        (frame.length as usize <= MAX_PAYLOAD).then_some(frame)
    }

    /// Checks and opens the frame at the start of `bytes`, which are the file's from `offset`; decrypts in place
    /// and returns the payload's place within `bytes`. On an error `bytes` are as they were, or of no use.
    pub(crate) fn open<'a>(&self, offset: u64, bytes: &'a mut [u8]) -> Result<(Frame, &'a [u8]), FrameFault> {
        let frame = self.header(bytes).ok_or(FrameFault::Damaged)?;
        let (header, rest) = bytes.split_at_mut(FRAME_HEADER);
        let body = rest.get_mut(..frame.length as usize + TAG).ok_or(FrameFault::Damaged)?;
        if crc32c::crc32c_append(self.seed, body) != frame.body_crc {
            return Err(FrameFault::Damaged);
        }
        let payload = self
            .key
            .open_in_place(nonce(frame.sequence), Aad::from(additional(offset, header)), body)
            .map_err(|_| FrameFault::Forged)?;
        Ok((frame, payload))
    }
}

/// Where a frame goes and what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) kind: u8,
    pub(crate) sequence: u64,
    pub(crate) index: u64,
    pub(crate) synced: u64,
    pub(crate) offset: u64,
}

impl Place {
    fn header(&self, length: u32) -> [u8; FRAME_HEADER] {
        let mut header = [0; FRAME_HEADER];
        header[..4].copy_from_slice(&FRAME_MAGIC);
        header[4] = self.kind;
        header[8..12].copy_from_slice(&length.to_le_bytes());
        header[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        header[24..32].copy_from_slice(&self.index.to_le_bytes());
        header[32..40].copy_from_slice(&self.synced.to_le_bytes());
        header
    }
}

fn nonce(sequence: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&sequence.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Offset and header without its checksums.
fn additional(offset: u64, header: &[u8]) -> [u8; 48] {
    let mut bytes = [0; 48];
    bytes[..8].copy_from_slice(&offset.to_le_bytes());
    bytes[8..20].copy_from_slice(&header[..12]);
    bytes[20..48].copy_from_slice(&header[16..44]);
    bytes
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
