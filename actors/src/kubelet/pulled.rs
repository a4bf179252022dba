//! How the images of this node came here, so that one that was pulled with credentials is lent to no pod that has not shown them.
//! Main type: [`Pulled`], a sealed file.
//!
//! Spec: KEP-2535, <https://kubernetes.io/docs/concepts/containers/images/#ensureimagepullcredentialverification>, with the default
//! policy `NeverVerifyPreloadedImages`: what was imported is everybody's. Left out: credentials told by their Secret's name; one that
//! changed is shown to the registry once more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ::kubelet::image::repository;
use ::kubelet::model::Pod;
use ::kubelet::observed::{Image, Reference, References};
use net::seal::SealKey;
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use runtime::{Credentials, PullSecrets};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{history, references};

/// What the sealed bytes are, for the seal.
const CONTEXT: &str = "node/pulled/1";

/// Name of the file in the data directory.
pub const NAME: &str = "pulled.sealed";

/// Largest file read, in bytes: tens of thousands of images.
const FILE_LIMIT: u64 = 16 << 20;

/// Credentials remembered for one image; with more, the one that sorts first is shown to the registry once more.
const CREDENTIALS_MAX: usize = 64;

/// How an image came that everybody may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// An operator brought it.
    Imported,
    /// A registry gave it to nobody in particular.
    Public,
}

/// How images came. What is not in it was imported.
pub struct Pulled {
    path: PathBuf,
    key: SealKey,
    known: Mutex<Known>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Known {
    /// What was written before cannot be read: nothing that is here is lent unseen.
    #[serde(skip)]
    is_lost: bool,
    /// Repositories that are being pulled from with credentials. A crash in between leaves one behind.
    under_way: BTreeSet<String>,
    /// By digest, then by repository.
    images: BTreeMap<String, BTreeMap<String, Origin>>,
}

/// Who could pull an image.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Origin {
    imported: bool,
    anybody: bool,
    /// Hashes of credentials.
    credentials: BTreeSet<String>,
}

impl std::fmt::Debug for Pulled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pulled").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Pulled {
    /// Reads what was written before.
    pub fn open(path: PathBuf, key: SealKey) -> Self {
        let known = read(&path, &key).unwrap_or_else(|error| {
            warn!(path = %path.display(), %error, "how images came here cannot be read; each is asked for anew");
            Known { is_lost: true, ..Known::default() }
        });
        Self { path, key, known: Mutex::new(known) }
    }

    /// A pull with credentials begins. Blocks.
    ///
    /// # Errors
    /// What the disk says; then it must not begin.
    pub fn begins(&self, reference: &str) -> io::Result<()> {
        self.change(|known| known.under_way.insert(short(reference).to_owned()))
    }

    /// It has failed. Blocks.
    ///
    /// # Errors
    /// What the disk says.
    pub fn failed(&self, reference: &str) -> io::Result<()> {
        self.change(|known| known.under_way.remove(short(reference)))
    }

    /// An image came, asked for as somebody or by nobody. Blocks.
    ///
    /// # Errors
    /// What the disk says.
    pub fn came(&self, reference: &str, image: &Image, who: Option<&Credentials>) -> io::Result<()> {
        self.change(|known| {
            let begun = known.under_way.remove(short(reference));
            let names = known.images.entry(image.digest.clone()).or_default();
            let origin = names.entry(repository(&image.reference).to_owned()).or_default();
            let news = match who {
                None => !std::mem::replace(&mut origin.anybody, true),
                Some(who) => origin.credentials.insert(hash(who)),
            };
            while origin.credentials.len() > CREDENTIALS_MAX {
                origin.credentials.pop_first();
            }
            begun || news
        })
    }

    /// An operator brought an image: it is everybody's, however its content came before. Blocks.
    ///
    /// # Errors
    /// What the disk says.
    pub fn imported(&self, reference: &str, digest: &str) -> io::Result<()> {
        self.change(|known| {
            if !known.is_lost && !known.images.contains_key(digest) {
                return false;
            }
            let names = known.images.entry(digest.to_owned()).or_default();
            let origin = names.entry(repository(reference).to_owned()).or_default();
            !std::mem::replace(&mut origin.imported, true)
        })
    }

    /// Whether an image that is here may be used by who has these credentials.
    pub fn is_lent(&self, reference: &str, image: &Image, has: &[Credentials]) -> bool {
        let known = self.known.lock();
        let Some(names) = known.images.get(&image.digest) else {
            return !known.is_lost && !known.under_way.contains(short(reference));
        };
        let origin = names.get(repository(&image.reference));
        origin.is_some_and(|origin| {
            origin.imported || origin.anybody || has.iter().any(|one| origin.credentials.contains(&hash(one)))
        })
    }

    /// How an image came, by its full reference and digest; `None` where it is not everybody's.
    pub fn standing(&self, reference: &str, digest: &str) -> Option<Standing> {
        let known = self.known.lock();
        match known.images.get(digest) {
            None => (!known.is_lost && !known.under_way.contains(short(reference))).then_some(Standing::Imported),
            Some(names) => match names.get(repository(reference)) {
                Some(origin) if origin.imported => Some(Standing::Imported),
                Some(origin) if origin.anybody => Some(Standing::Public),
                _ => None,
            },
        }
    }

    /// Marks the images that a pod may not use as they are.
    pub fn withhold(&self, pod: &Pod, known: &References, images: &mut BTreeMap<String, Image>) {
        let secrets = shown(pod, known);
        for (reference, image) in images {
            image.withheld = !self.is_lent(reference, image, &secrets.find(reference));
        }
    }

    fn change(&self, change: impl FnOnce(&mut Known) -> bool) -> io::Result<()> {
        let mut known = self.known.lock();
        if !change(&mut known) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&*known).map_err(io::Error::other)?;
        let sealed = self.key.seal(CONTEXT, &bytes, &mut rand::rng());
        history::write(&self.path, &sealed)
    }
}

/// The pull secrets of a pod that are known now.
fn shown(pod: &Pod, known: &References) -> PullSecrets {
    let mut secrets = PullSecrets::default();
    for name in &pod.spec.image_pull_secrets {
        if let Reference::Found(secret) = known.secret(&name.name) {
            // The pull tells what is wrong with it.
            let _ = references::add(&mut secrets, secret);
        }
    }
    secrets
}

/// The repository, in one of the forms that people and the runtime write.
fn short(reference: &str) -> &str {
    let name = repository(reference);
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

fn hash(who: &Credentials) -> String {
    let parts = [&who.username, &who.password, who.identity_token.as_ref().unwrap_or(&who.username)];
    let joined: Vec<u8> = parts.iter().flat_map(|part| digest(&SHA256, part.as_bytes()).as_ref().to_vec()).collect();
    digest(&SHA256, &joined).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(path: &Path, key: &SealKey) -> io::Result<Known> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Known::default()),
        Err(error) => return Err(error),
        Ok(known) if known.len() > FILE_LIMIT => return Err(io::Error::other("the file is too large")),
        Ok(_) => {}
    }
    let opened = key.open(CONTEXT, &fs::read(path)?).map_err(io::Error::other)?;
    serde_json::from_slice(&opened).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(password: &str) -> Credentials {
        Credentials { username: "u".into(), password: password.into(), identity_token: None }
    }

    fn image(name: &str, digest: &str) -> Image {
        Image { reference: format!("reg.test/{name}:1"), digest: digest.into(), ..Image::default() }
    }

    #[test]
    fn an_image_is_lent_to_who_could_pull_it() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Pulled::open(dir.path().join(NAME), SealKey::from_bytes([1; 32]));
        let (private, public, imported) = (image("private", "d1"), image("public", "d2"), image("imported", "d3"));
        let pulled = open();
        pulled.begins("reg.test/private:1").unwrap();
        assert!(!open().is_lent("reg.test/private:1", &private, &[who("a")]), "a crash lends nothing");
        pulled.came("reg.test/private:1", &private, Some(&who("a"))).unwrap();
        pulled.came("reg.test/public:1", &public, None).unwrap();
        for pulled in [pulled, open()] {
            let check = |image: &Image, has: &[Credentials], expect: bool| {
                assert_eq!(pulled.is_lent(&image.reference, image, has), expect, "{image:?} {has:?}");
            };
            check(&private, &[], false);
            check(&private, &[who("b")], false);
            check(&private, &[who("b"), who("a")], true);
            check(&image("copy", "d1"), &[who("a")], false);
            check(&public, &[], true);
            check(&imported, &[], true);
        }
        let bytes = fs::read(dir.path().join(NAME)).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"private"));
    }

    #[test]
    fn only_what_everybody_could_have_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let pulled = Pulled::open(dir.path().join(NAME), SealKey::from_bytes([1; 32]));
        pulled.came("a", &image("private", "d1"), Some(&who("a"))).unwrap();
        pulled.came("b", &image("public", "d2"), None).unwrap();
        pulled.begins("reg.test/coming:1").unwrap();
        let check = |name: &str, digest: &str, expect: Option<Standing>| {
            assert_eq!(pulled.standing(&format!("reg.test/{name}:1"), digest), expect, "{name}");
        };
        check("private", "d1", None);
        check("public", "d2", Some(Standing::Public));
        check("copy-of-private", "d1", None);
        check("imported", "d3", Some(Standing::Imported));
        check("coming", "d4", None);
        pulled.imported("reg.test/private:1", "d1").unwrap();
        check("private", "d1", Some(Standing::Imported));
        assert!(pulled.is_lent("reg.test/private:1", &image("private", "d1"), &[]));
    }

    #[test]
    fn what_cannot_be_read_lends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NAME), "x").unwrap();
        let pulled = Pulled::open(dir.path().join(NAME), SealKey::from_bytes([1; 32]));
        let found = image("a", "d");
        assert!(!pulled.is_lent("a", &found, &[]));
        pulled.came("a", &found, None).unwrap();
        assert!(pulled.is_lent("a", &found, &[]));
    }
}
