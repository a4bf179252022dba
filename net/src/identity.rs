//! A node's key and [`NodeId`], made once with its data directory and never again. **Fixed early.**
//!
//! One file (0600, in a directory of 0700), written whole or not at all: a header line, the id, a checksum that
//! binds the two, and the key as PKCS#8 PEM. The key comes from the operating system's randomness.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rand::Rng;

use crate::{
    NodeId,
    key::{KeyError, KeyFingerprint, KeyPairP256, sha256},
};

/// Name of the file within the data directory.
pub const IDENTITY_FILE: &str = "node.identity";

/// First line of the file.
const HEADER: &str = "mesh node identity 1";

/// Largest file looked at, in bytes: a real one has about 400.
const FILE_LIMIT: u64 = 4096;

/// Who this node is. `Debug` shows the id and the key's fingerprint only.
#[derive(Debug)]
pub struct Identity {
    id: NodeId,
    key: KeyPairP256,
}

/// Why there is no identity. Each names the file and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Upon what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not written by mesh.
    #[error("{} is not a mesh identity: choose an empty data directory, or move the file away", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by mesh and changed since.
    #[error(
        "{} is damaged ({what}): restore it from a backup, or empty the data directory and join again as a new node",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part.
        what: &'static str,
    },
    /// Others could have read the key.
    #[error("{} may be read by others (mode {mode:o}): run `chmod 600 {}`", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// No key could be made.
    #[error("no key could be made for {}", path.display())]
    Key {
        /// The file it was for.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
}

impl Identity {
    /// Reads the identity of a data directory, or makes it with the directory where neither is there.
    ///
    /// # Errors
    /// [`IdentityError`]; nothing is changed then.
    pub fn load_or_create(dir: &Path, rng: &mut (impl Rng + ?Sized)) -> Result<Self, IdentityError> {
        match Self::load(dir)? {
            Some(identity) => Ok(identity),
            None => Self::create(dir, rng),
        }
    }

    /// Reads the identity of a data directory; `None` where it has none.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(dir: &Path) -> Result<Option<Self>, IdentityError> {
        let path = dir.join(IDENTITY_FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(IdentityError::Io { doing: "read", path, source }),
        };
        let mode = file.metadata().map_err(io_error("read", &path))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(IdentityError::Exposed { path, mode });
        }
        let mut text = Vec::new();
        file.take(FILE_LIMIT + 1).read_to_end(&mut text).map_err(io_error("read", &path))?;
        parse(&text, path).map(Some)
    }

    /// An identity of its own key that lies on no disk: tests, and trying a join.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn ephemeral(rng: &mut (impl Rng + ?Sized)) -> Result<Self, KeyError> {
        // The upper 8 bits name the cell, which is 0.
        Ok(Self { id: NodeId(rng.next_u64() >> 8), key: KeyPairP256::generate()? })
    }

    /// The node's id.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The node's key pair.
    pub fn key(&self) -> &KeyPairP256 {
        &self.key
    }

    /// Hash of the public key: what the membership pins.
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.key.fingerprint()
    }

    fn create(dir: &Path, rng: &mut (impl Rng + ?Sized)) -> Result<Self, IdentityError> {
        let path = dir.join(IDENTITY_FILE);
        let builder = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        builder(dir).map_err(io_error("create", dir))?;
        let identity = Self::ephemeral(rng).map_err(|source| IdentityError::Key { path: path.clone(), source })?;
        // Written aside and linked into place: whole or absent, and never over an identity that is there.
        let aside = dir.join(format!(".{IDENTITY_FILE}.{}", identity.id));
        let written = write_durably(&aside, format(&identity).as_bytes())
            .and_then(|()| fs::hard_link(&aside, &path))
            .and_then(|()| File::open(dir)?.sync_all());
        let _ = fs::remove_file(&aside);
        written.map_err(io_error("write", &path))?;
        Ok(identity)
    }
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IdentityError {
    let path = path.to_path_buf();
    move |source| IdentityError::Io { doing, path, source }
}

fn write_durably(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

fn format(identity: &Identity) -> String {
    let check = checksum(identity.id, &identity.key);
    format!("{HEADER}\nid: {}\ncheck: {check}\n{}", identity.id, identity.key.to_pem())
}

/// Binds id and key, so that a flipped digit of the id is noticed.
fn checksum(id: NodeId, key: &KeyPairP256) -> KeyFingerprint {
    KeyFingerprint(sha256(&[b"mesh node identity 1", &id.0.to_be_bytes(), &key.fingerprint().0]))
}

fn parse(text: &[u8], path: PathBuf) -> Result<Identity, IdentityError> {
    let Some(rest) = text.strip_prefix(HEADER.as_bytes()) else {
        return Err(IdentityError::Foreign { path });
    };
    parse_body(rest).map_err(|what| IdentityError::Damaged { path, what })
}

fn parse_body(rest: &[u8]) -> Result<Identity, &'static str> {
    if rest.len() as u64 > FILE_LIMIT {
        return Err("too long");
    }
    let text = std::str::from_utf8(rest).map_err(|_| "not text")?;
    let (id, rest) = text.strip_prefix("\nid: ").and_then(|rest| rest.split_once('\n')).ok_or("no id")?;
    let (check, pem) = rest.strip_prefix("check: ").and_then(|rest| rest.split_once('\n')).ok_or("no checksum")?;
    let id: NodeId = id.parse().map_err(|_| "id")?;
    let key = KeyPairP256::from_pem(pem).map_err(|_| "key")?;
    if checksum(id, &key).to_string() != check {
        return Err("checksum");
    }
    Ok(Identity { id, key })
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn made() -> (tempfile::TempDir, PathBuf, Identity) {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let identity = Identity::load_or_create(&data, &mut StdRng::seed_from_u64(1)).unwrap();
        (dir, data, identity)
    }

    #[test]
    fn is_made_once_and_read_back() {
        let (_dir, data, first) = made();
        let again = Identity::load_or_create(&data, &mut StdRng::seed_from_u64(2)).unwrap();
        assert_eq!((again.id(), again.fingerprint()), (first.id(), first.fingerprint()));
        assert_eq!(first.id().0 >> 56, 0, "the cell is 0");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join(IDENTITY_FILE))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn a_second_creation_never_replaces_the_first() {
        let (_dir, data, first) = made();
        assert!(matches!(
            Identity::create(&data, &mut StdRng::seed_from_u64(2)),
            Err(IdentityError::Io { doing: "write", .. })
        ));
        assert_eq!(Identity::load(&data).unwrap().unwrap().id(), first.id());
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        let (_dir, data, identity) = made();
        let path = data.join(IDENTITY_FILE);
        let text = fs::read(&path).unwrap();
        for place in 0..text.len() {
            let mut damaged = text.clone();
            damaged[place] ^= 2;
            match parse(&damaged, path.clone()) {
                Err(error) => assert!(error.to_string().contains(IDENTITY_FILE)),
                // Letters of the PEM frame may be read leniently; the content may not differ.
                Ok(read) => {
                    assert_eq!(
                        (read.id(), read.fingerprint()),
                        (identity.id(), identity.fingerprint()),
                        "byte {place}"
                    );
                }
            }
            assert!(parse(&text[..place.min(text.len() - 2)], path.clone()).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn a_foreign_or_exposed_file_is_refused_with_its_remedy() {
        let (_dir, data, _) = made();
        let path = data.join(IDENTITY_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Identity::load(&data).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "hello").unwrap();
        assert!(matches!(Identity::load(&data), Err(IdentityError::Foreign { .. })));
    }

    #[test]
    fn debug_hides_the_key() {
        let (_dir, _, identity) = made();
        let shown = format!("{identity:?}");
        assert_eq!(shown, format!("Identity {{ id: {}, key: {:?} }}", identity.id(), identity.key()));
    }
}
