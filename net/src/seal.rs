//! Seals secrets for the store and the disk under a 32-byte key. **Fixed early**: the envelope is stored.
//!
//! Envelope: version (1 byte, 1), nonce (12 bytes), AES-256-GCM ciphertext and tag (NIST SP 800-38D). The context
//! names what is sealed and where it lies; opening under another context fails, so sealed bytes cannot be swapped.

use std::fmt;

use rand::CryptoRng;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// First byte of every envelope.
const VERSION: u8 = 1;

/// A key that seals: the cluster key, or a node's own. Never shown by `Debug`.
///
/// Random nonces allow about 2^32 seals under one key; secrets are sealed when they change, not per request.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

/// Why an envelope stays shut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Written by a newer binary, or not an envelope.
    #[error("sealed {context:?} has the unknown format {version}: written by a newer mesh, or damaged")]
    Version {
        /// What was to be opened.
        context: String,
        /// Its first byte.
        version: u8,
    },
    /// Too short, changed, sealed under another key, or for another context.
    #[error("sealed {0:?} cannot be opened: damaged, or sealed under another key")]
    Damaged(String),
}

impl SealKey {
    /// A key from elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new random key.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The key itself: a secret, for its file (0600) or its way to a voter.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Seals bytes for one context.
    pub fn seal(&self, context: &str, secret: &[u8], rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let mut body = secret.to_vec();
        self.aead()
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut body)
            .expect("a secret in memory is below the cipher's limit of 64 GiB");
        [&[VERSION], nonce.as_slice(), &body].concat()
    }

    /// Opens what [`SealKey::seal`] made for the same context.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let damaged = || OpenError::Damaged(context.into());
        let (version, rest) = sealed.split_first().ok_or_else(damaged)?;
        if *version != VERSION {
            return Err(OpenError::Version { context: context.into(), version: *version });
        }
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.aead().open_in_place(nonce, Aad::from(context), &mut body).map_err(|_| damaged())?.len();
        body.truncate(length);
        Ok(body)
    }

    fn aead(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0).expect("the key has the cipher's length"))
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn opens_only_under_its_key_and_context() {
        let mut rng = StdRng::seed_from_u64(1);
        let (key, other) = (SealKey::random(&mut rng), SealKey::random(&mut rng));
        let sealed = key.seal("ca/node", b"secret", &mut rng);
        assert_eq!(key.open("ca/node", &sealed).unwrap(), b"secret");
        assert_eq!(key.open("ca/api", &sealed), Err(OpenError::Damaged("ca/api".into())));
        assert_eq!(other.open("ca/node", &sealed), Err(OpenError::Damaged("ca/node".into())));
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let mut rng = StdRng::seed_from_u64(1);
        let key = SealKey::random(&mut rng);
        let sealed = key.seal("x", b"secret", &mut rng);
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(key.open("x", &changed).is_err(), "byte {place}");
            assert!(key.open("x", &sealed[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn a_stored_envelope_is_read_for_ever() {
        let key = SealKey::from_bytes([9; 32]);
        let sealed = key.seal("sample", b"hello", &mut StdRng::seed_from_u64(5));
        assert_eq!((sealed[0], sealed.len()), (1, 1 + 12 + 5 + 16));
        assert_eq!(key.open("sample", &SAMPLE).unwrap(), b"hello");
    }

    const SAMPLE: [u8; 34] = [
        1, 122, 25, 251, 45, 9, 154, 149, 87, 247, 193, 12, 46, 37, 33, 32, 20, 110, 65, 190, 115, 150, 38, 75, 132,
        119, 199, 6, 162, 196, 232, 41, 108, 69,
    ];
}
