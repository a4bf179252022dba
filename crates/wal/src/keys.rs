//! The keys under which log and snapshots are sealed, and the salts that make each file's own key.
//!
//! Main type: [`KeyRing`]. Keys are given by the caller (DESIGN 4: a cluster key that only voters get); nothing here
//! stores or makes them. Neither [`Key`] nor [`KeyRing`] shows a secret in `Debug`.

use std::{collections::BTreeMap, fmt};

use ring::rand::{SecureRandom, SystemRandom};

/// Names a key of a [`KeyRing`]; stored in every file, in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A 256-bit secret from which each file's key is derived.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// Takes the secret.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(..)")
    }
}

/// The key that new files are sealed with, and all that old files may need.
#[derive(Clone, Debug)]
pub struct KeyRing {
    active: KeyId,
    keys: BTreeMap<KeyId, Key>,
}

impl KeyRing {
    /// A ring of one key, which seals new files.
    #[must_use]
    pub fn new(active: KeyId, key: Key) -> Self {
        Self { active, keys: BTreeMap::from([(active, key)]) }
    }

    /// Adds a key that old files may be sealed with.
    #[must_use]
    pub fn with_old(mut self, id: KeyId, key: Key) -> Self {
        self.keys.entry(id).or_insert(key);
        self
    }

    /// The key that seals new files.
    #[must_use]
    pub fn active(&self) -> (KeyId, &Key) {
        (self.active, &self.keys[&self.active])
    }

    /// The key of that name.
    #[must_use]
    pub fn get(&self, id: KeyId) -> Option<&Key> {
        self.keys.get(&id)
    }
}

/// A file's own random 32 bytes; must never repeat under one key.
pub type Salt = [u8; 32];

/// Where salts come from: the system's randomness in production, a seed in a simulation. `None` says that there is
/// no randomness now; no file is made then.
pub type Salts = Box<dyn FnMut() -> Option<Salt> + Send>;

/// Salts from the operating system's randomness.
#[must_use]
pub fn system_salts() -> Salts {
    let random = SystemRandom::new();
    Box::new(move || {
        let mut salt = [0; 32];
        random.fill(&mut salt).ok().map(|()| salt)
    })
}
