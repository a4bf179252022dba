//! Who has which address, written down so that a restarted process goes on where the last one stopped. Main type: [`Book`].
//!
//! The kernel has the last word: after a start only pods that it knows are in the book. The file adds where to look for the
//! next address. It lies where a reboot empties, so it is replaced whole but not forced to disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{PodNetworkError, addresses::Pool};

/// Name of the file within the state directory.
const FILE: &str = "pod-network.json";

/// Largest file read, in bytes: 1,000 pods take 100 KiB.
const FILE_LIMIT: u64 = 16 << 20;

/// Version of the file's form.
const VERSION: u32 = 1;

/// The file.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Page {
    version: u32,
    /// The address to look at first, for each range.
    next: Vec<IpAddr>,
    /// Addresses by pod.
    pods: BTreeMap<String, Vec<IpAddr>>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    pools: Vec<Pool>,
    pods: BTreeMap<String, Vec<IpAddr>>,
}

impl Book {
    /// Reads the file; without a readable one the search for addresses starts at the beginning.
    pub(super) fn load(directory: &Path, ranges: &[IpNet]) -> Self {
        let path = directory.join(FILE);
        let mut pools: Vec<Pool> = ranges.iter().copied().map(Pool::new).collect();
        match read(&path) {
            Ok(Some(page)) => {
                page.next.iter().for_each(|next| pools.iter_mut().for_each(|pool| pool.skip_to(*next)));
            }
            Ok(None) => {}
            Err(error) => warn!(%error, path = %path.display(), "not readable, the kernel is asked alone"),
        }
        Self { path, pools, pods: BTreeMap::new() }
    }

    /// The pods by UID.
    pub(super) fn pods(&self) -> &BTreeMap<String, Vec<IpAddr>> {
        &self.pods
    }

    /// Takes these pods as the truth.
    pub(super) fn set_pods(&mut self, pods: BTreeMap<String, Vec<IpAddr>>) {
        self.pods = pods;
    }

    /// The addresses of a pod, one of each range; those that it has already, if any.
    pub(super) fn allocate(&mut self, uid: &str) -> Result<Vec<IpAddr>, PodNetworkError> {
        if let Some(addresses) = self.pods.get(uid) {
            return Ok(addresses.clone());
        }
        let used: BTreeSet<IpAddr> = self.pods.values().flatten().copied().collect();
        let take = |pool: &mut Pool| pool.take(&used).ok_or(PodNetworkError::Exhausted { range: pool.range() });
        let addresses: Vec<IpAddr> = self.pools.iter_mut().map(take).collect::<Result<_, _>>()?;
        self.pods.insert(uid.into(), addresses.clone());
        Ok(addresses)
    }

    /// Frees the addresses of a pod; tells whether it had any.
    pub(super) fn free(&mut self, uid: &str) -> bool {
        self.pods.remove(uid).is_some()
    }

    /// Writes the file anew.
    pub(super) fn save(&self) -> io::Result<()> {
        let next = self.pools.iter().map(Pool::next).collect();
        let page = Page { version: VERSION, next, pods: self.pods.clone() };
        let aside = self.path.with_extension("json.new");
        fs::write(&aside, serde_json::to_vec(&page)?)?;
        fs::rename(&aside, &self.path)
    }

    /// Removes the file.
    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn read(path: &Path) -> io::Result<Option<Page>> {
    match fs::metadata(path) {
        Ok(file) if file.len() > FILE_LIMIT => return Err(io::Error::other("too long")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let page: Page = serde_json::from_slice(&fs::read(path)?)?;
    match page.version {
        VERSION => Ok(Some(page)),
        version => Err(io::Error::other(format!("its version is {version}, this is {VERSION}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges() -> Vec<IpNet> {
        ["10.42.1.0/29", "fd00::/64"].map(|range| range.parse().unwrap()).to_vec()
    }

    fn texts(addresses: Vec<IpAddr>) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_pod_keeps_its_addresses_and_the_search_goes_on_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut book = Book::load(dir.path(), &ranges());
        assert_eq!(texts(book.allocate("a").unwrap()), ["10.42.1.2", "fd00::2"]);
        assert_eq!(texts(book.allocate("b").unwrap()), ["10.42.1.3", "fd00::3"]);
        assert_eq!(texts(book.allocate("a").unwrap()), ["10.42.1.2", "fd00::2"]);
        assert!(book.free("b") && !book.free("b"));
        book.save().unwrap();
        let mut book = Book::load(dir.path(), &ranges());
        assert_eq!(texts(book.allocate("c").unwrap()), ["10.42.1.4", "fd00::4"]);
    }

    #[test]
    fn a_full_range_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut book = Book::load(dir.path(), &ranges());
        for uid in ["a", "b", "c", "d", "e"] {
            book.allocate(uid).unwrap();
        }
        let error = book.allocate("f").unwrap_err();
        assert!(error.to_string().contains("10.42.1.0/29"), "{error}");
        book.free("c");
        assert_eq!(texts(book.allocate("f").unwrap())[0], "10.42.1.4");
    }

    #[test]
    fn the_file_has_not_changed_its_form() {
        let sample = r#"{"version":1,"next":["10.42.1.4","fd00::4"],"pods":{"a":["10.42.1.2","fd00::2"]}}"#;
        let page: Page = serde_json::from_str(sample).unwrap();
        assert_eq!(page.pods["a"].len(), 2);
        assert_eq!(serde_json::to_string(&page).unwrap(), sample);
    }

    #[test]
    fn an_unreadable_file_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "{", r#"{"version":9,"next":[],"pods":{}}"#] {
            fs::write(dir.path().join(FILE), text).unwrap();
            assert_eq!(texts(Book::load(dir.path(), &ranges()).allocate("a").unwrap())[0], "10.42.1.2", "{text}");
        }
    }
}
