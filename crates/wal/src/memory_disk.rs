//! A [`Disk`] in memory, for tests and simulation: power cuts, torn writes, lying syncs, rot, and a full disk.
//!
//! Main type: [`MemoryDisk`], a handle; clones share the machine. All chance comes from a seed given by the caller.
//! After [`MemoryDisk::power_cut`] every handle is dead, as the process is; [`MemoryDisk::restart`] gives a live one
//! on what survived: synced content, any part of what was not, and a prefix of the unsynced directory changes.

mod platter;

use std::{fmt, sync::Arc};

use parking_lot::Mutex;

use crate::disk::{Disk, DiskError};
use platter::{Chance, Platter};

/// What the disk does wrong from now on.
#[derive(Clone, Default)]
pub struct Faults {
    /// Bytes of all files together; `None` has no end.
    pub capacity: Option<u64>,
    /// Syncs answer yes and do nothing.
    pub lie_about_sync: bool,
    /// Syncs answer with an I/O error and do nothing.
    pub fail_sync: bool,
    /// The power goes in the middle of the change (write, sync, create, rename, remove) after this many more.
    pub power_cut_after: Option<u64>,
    /// Called before each operation with its name, outside every lock: to count, to delay, to block.
    pub hook: Option<Arc<dyn Fn(&'static str) + Send + Sync>>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Faults")
            .field("capacity", &self.capacity)
            .field("lie_about_sync", &self.lie_about_sync)
            .field("fail_sync", &self.fail_sync)
            .field("power_cut_after", &self.power_cut_after)
            .finish_non_exhaustive()
    }
}

/// A handle on a simulated machine's disk.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    /// The boot this handle belongs to.
    boot: u64,
    machine: Arc<Mutex<Machine>>,
}

#[derive(Debug)]
struct Machine {
    boot: u64,
    platter: Platter,
    faults: Faults,
    chance: Chance,
    changes: u64,
}

impl MemoryDisk {
    /// An empty disk whose chances follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let machine = Machine {
            boot: 0,
            platter: Platter::default(),
            faults: Faults::default(),
            chance: Chance(seed),
            changes: 0,
        };
        Self { boot: 0, machine: Arc::new(Mutex::new(machine)) }
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.machine.lock().faults = faults;
    }

    /// Cuts the power: all handles die, and what was not synced survives in whole, in part or not at all.
    pub fn power_cut(&self) {
        self.machine.lock().cut();
    }

    /// Kills the process only: all handles die, nothing is lost.
    pub fn kill(&self) {
        self.machine.lock().boot += 1;
    }

    /// A live handle after [`Self::power_cut`] or [`Self::kill`]; a pending `power_cut_after` is forgotten.
    #[must_use]
    pub fn restart(&self) -> Self {
        let mut machine = self.machine.lock();
        machine.faults.power_cut_after = None;
        Self { boot: machine.boot, machine: self.machine.clone() }
    }

    /// An independent copy of the machine as it is, for trying several fates of one state.
    #[must_use]
    pub fn fork(&self) -> Self {
        let machine = self.machine.lock();
        let copy = Machine {
            boot: machine.boot,
            platter: machine.platter.clone(),
            faults: machine.faults.clone(),
            chance: machine.chance,
            changes: machine.changes,
        };
        Self { boot: machine.boot, machine: Arc::new(Mutex::new(copy)) }
    }

    /// Like [`Self::fork`], with other chances.
    #[must_use]
    pub fn fork_with(&self, seed: u64) -> Self {
        let fork = self.fork();
        fork.machine.lock().chance = Chance(seed);
        fork
    }

    /// Changes made so far: what [`Faults::power_cut_after`] counts.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.machine.lock().changes
    }

    /// The file's content as a reader sees it.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        self.machine.lock().platter.content(name).cloned()
    }

    /// Replaces a file's content, durably: rot, a lost end, a file from elsewhere.
    pub fn overwrite(&self, name: &str, content: Vec<u8>) {
        self.machine.lock().platter.overwrite(name, content);
    }

    /// Flips one bit, durably; nothing happens past the file's end.
    pub fn flip(&self, name: &str, byte: usize, bit: u8) {
        if let Some(mut content) = self.content(name)
            && let Some(target) = content.get_mut(byte)
        {
            *target ^= 1 << (bit % 8);
            self.overwrite(name, content);
        }
    }

    /// Looks, in a live process.
    fn look<T>(
        &self,
        what: &'static str,
        body: impl FnOnce(&mut Machine) -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        let hook = self.machine.lock().faults.hook.clone();
        if let Some(hook) = hook {
            hook(what);
        }
        let mut machine = self.machine.lock();
        if machine.boot != self.boot {
            return Err(DiskError::Off);
        }
        body(&mut machine)
    }

    /// Changes something; may be the one during which the power goes: then it may or may not be done.
    fn change(
        &self,
        what: &'static str,
        body: impl FnOnce(&mut Machine) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        self.look(what, |machine| {
            machine.changes += 1;
            if machine.faults.power_cut_after.is_none_or(|left| left > 0) {
                machine.faults.power_cut_after = machine.faults.power_cut_after.map(|left| left - 1);
                return body(machine);
            }
            if machine.chance.below(2) == 0 {
                let _ = body(machine); // done, but nobody hears of it
            }
            machine.cut();
            Err(DiskError::Off)
        })
    }
}

impl Machine {
    fn cut(&mut self) {
        self.boot += 1;
        self.platter.power_cut(&mut self.chance);
    }
}

impl Disk for MemoryDisk {
    fn create(&self, name: &str) -> Result<(), DiskError> {
        self.change("create", |machine| machine.platter.create(name))
    }

    fn length(&self, name: &str) -> Result<u64, DiskError> {
        self.look("length", |machine| {
            machine.platter.content(name).map(|content| content.len() as u64).ok_or_else(|| missing(name))
        })
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.change("write", |machine| machine.platter.write(name, offset, bytes, machine.faults.capacity))
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.look("read", |machine| {
            let content = machine.platter.content(name).ok_or_else(|| missing(name))?;
            let rest = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or(&[]);
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    fn sync(&self, name: &str) -> Result<(), DiskError> {
        self.change("sync", |machine| match (machine.faults.fail_sync, machine.faults.lie_about_sync) {
            (true, _) => {
                let (name, source) = (name.to_owned(), std::io::Error::other("simulated device failure"));
                Err(DiskError::Io { operation: "sync", name, source })
            }
            (false, true) => Ok(()),
            (false, false) => machine.platter.sync(name),
        })
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.change("rename", |machine| machine.platter.rename(from, to))
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        self.change("remove", |machine| machine.platter.remove(name))
    }

    fn list(&self) -> Result<Vec<String>, DiskError> {
        self.look("list", |machine| Ok(machine.platter.names()))
    }

    fn sync_directory(&self) -> Result<(), DiskError> {
        self.change("sync_directory", |machine| {
            if !machine.faults.lie_about_sync {
                machine.platter.sync_directory();
            }
            Ok(())
        })
    }
}

fn missing(name: &str) -> DiskError {
    DiskError::NotFound { name: name.to_owned() }
}
