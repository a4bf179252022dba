//! Tokens whose signature was found good, so that a busy client costs one verification. Main type: [`TokenCache`].

use std::{collections::HashMap, sync::Arc};

use sha2::{Digest, Sha256};

use super::{Claims, Verifier, VerifyError};

/// Tokens remembered per generation; two generations of about 1 KiB each, so 8 MiB at most.
pub const GENERATION: usize = 4096;

/// A bounded memory of good signatures. Times and audiences are checked each time; bound objects are the caller's.
/// What was used lately stays: a full generation becomes the old one, and what is found there moves on.
#[derive(Debug, Default)]
pub struct TokenCache {
    young: HashMap<[u8; 32], Arc<Claims>>,
    old: HashMap<[u8; 32], Arc<Claims>>,
}

impl TokenCache {
    /// As [`Verifier::verify`], remembering.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn verify(
        &mut self,
        verifier: &Verifier,
        token: &str,
        wanted: &[String],
        now: i64,
    ) -> Result<Arc<Claims>, VerifyError> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(claims) = self.young.get(&digest) {
            verifier.check(claims, wanted, now)?;
            return Ok(Arc::clone(claims));
        }
        let claims = match self.old.get(&digest) {
            Some(claims) => {
                verifier.check(claims, wanted, now)?;
                Arc::clone(claims)
            }
            None => Arc::new(verifier.verify(token, wanted, now)?),
        };
        self.remember(digest, Arc::clone(&claims));
        Ok(claims)
    }

    /// Forgets all: the keys have changed.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn remember(&mut self, digest: [u8; 32], claims: Arc<Claims>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, claims);
    }
}
