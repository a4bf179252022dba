//! What a simulated disk holds: for each file what is durable, what is seen, and the writes between.

use std::collections::BTreeMap;

use crate::disk::DiskError;

/// Deterministic chance (splitmix64).
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    /// A number in `0..bound`; 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)).checked_rem(bound).unwrap_or(0)
    }
}

/// A file, whatever its name.
#[derive(Clone, Debug, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Writes since the last sync.
    unsynced: Vec<(u64, Vec<u8>)>,
}

/// A change of the directory: this name now leads there, or nowhere.
type Entry = (String, Option<u64>);

/// All files and names.
#[derive(Clone, Debug, Default)]
pub(super) struct Platter {
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    seen: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    /// Changes of the directory since its last sync, each of one or two entries at once.
    unsynced: Vec<Vec<Entry>>,
}

impl Platter {
    pub(super) fn create(&mut self, name: &str) -> Result<(), DiskError> {
        if self.seen.contains_key(name) {
            return Err(DiskError::Exists { name: name.to_owned() });
        }
        self.next_inode += 1;
        self.inodes.insert(self.next_inode, Inode::default());
        self.link(vec![(name.to_owned(), Some(self.next_inode))]);
        Ok(())
    }

    pub(super) fn content(&self, name: &str) -> Option<&Vec<u8>> {
        self.inodes.get(self.seen.get(name)?).map(|inode| &inode.seen)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.seen.keys().cloned().collect()
    }

    /// Writes as much as there is room for.
    pub(super) fn write(
        &mut self,
        name: &str,
        offset: u64,
        bytes: &[u8],
        capacity: Option<u64>,
    ) -> Result<(), DiskError> {
        let used: u64 = self.seen.values().map(|number| self.inodes[number].seen.len() as u64).sum();
        let inode = self.find(name)?;
        let length = inode.seen.len() as u64;
        let room = capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used)).saturating_add(length);
        let fitting = usize::try_from(room.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
        put(&mut inode.seen, offset, &bytes[..fitting]);
        inode.unsynced.push((offset, bytes[..fitting].to_vec()));
        if fitting < bytes.len() { Err(DiskError::Full { name: name.to_owned() }) } else { Ok(()) }
    }

    pub(super) fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        let inode = self.find(name)?;
        inode.unsynced.clear();
        inode.durable.clone_from(&inode.seen);
        Ok(())
    }

    pub(super) fn overwrite(&mut self, name: &str, content: Vec<u8>) {
        if self.create(name).is_ok() {
            self.sync_directory();
        }
        if let Ok(inode) = self.find(name) {
            *inode = Inode { seen: content.clone(), durable: content, unsynced: Vec::new() };
        }
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let inode = *self.seen.get(from).ok_or_else(|| super::missing(from))?;
        self.link(vec![(from.to_owned(), None), (to.to_owned(), Some(inode))]);
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        if !self.seen.contains_key(name) {
            return Err(super::missing(name));
        }
        self.link(vec![(name.to_owned(), None)]);
        Ok(())
    }

    pub(super) fn sync_directory(&mut self) {
        self.durable.clone_from(&self.seen);
        self.unsynced.clear();
        let (durable, inodes) = (&self.durable, &mut self.inodes);
        inodes.retain(|number, _| durable.values().any(|kept| kept == number));
    }

    /// Keeps what was synced, a prefix of the directory's changes, and of each unsynced write all, none or a part.
    pub(super) fn power_cut(&mut self, chance: &mut Chance) {
        let kept = chance.below(self.unsynced.len() as u64 + 1) as usize;
        let mut names = self.durable.clone();
        self.unsynced.drain(..).take(kept).flatten().for_each(|entry| set(&mut names, entry));
        for inode in self.inodes.values_mut() {
            for (offset, bytes) in std::mem::take(&mut inode.unsynced) {
                let kept = match chance.below(3) {
                    0 => 0,
                    1 => bytes.len(),
                    _ => chance.below(bytes.len() as u64 + 1) as usize,
                };
                put(&mut inode.durable, offset, &bytes[..kept]);
            }
            inode.seen.clone_from(&inode.durable);
        }
        self.seen = names;
        self.sync_directory();
    }

    fn find(&mut self, name: &str) -> Result<&mut Inode, DiskError> {
        let number = self.seen.get(name).ok_or_else(|| super::missing(name))?;
        self.inodes.get_mut(number).ok_or_else(|| super::missing(name))
    }

    fn link(&mut self, change: Vec<Entry>) {
        change.iter().cloned().for_each(|entry| set(&mut self.seen, entry));
        self.unsynced.push(change);
    }
}

fn set(names: &mut BTreeMap<String, u64>, (name, inode): Entry) {
    match inode {
        Some(inode) => drop(names.insert(name, inode)),
        None => drop(names.remove(&name)),
    }
}

/// Writes into a file; a hole left by a lost earlier write reads as zeros.
fn put(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = offset as usize;
    if bytes.is_empty() {
        return;
    }
    if content.len() < start + bytes.len() {
        content.resize(start + bytes.len(), 0);
    }
    content[start..start + bytes.len()].copy_from_slice(bytes);
}
