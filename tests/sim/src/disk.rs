//! One node's machine: what survives its crashes. Main type: [`Machine`].

use std::{sync::Arc, time::Duration};

use consensus::{Media, SeededBug, Simulated, Syncing};
use parking_lot::Mutex;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use wal::{Disk, DiskError, Faults, Key, KeyId, KeyRing, MemoryDisk, Salts};

/// Longest sync of a healthy disk.
const SYNC: Duration = Duration::from_millis(6);

/// A disk, and the power it depends on.
pub struct Machine {
    disk: MemoryDisk,
    rng: Arc<Mutex<StdRng>>,
    slowness: Arc<Mutex<Duration>>,
    /// As the node that runs sees it.
    on: Mutex<Option<MemoryDisk>>,
    bug: Option<SeededBug>,
}

impl Machine {
    /// A new machine with an empty disk whose behaviour follows from `seed`.
    pub fn new(seed: u64, bug: Option<SeededBug>) -> Self {
        let rng = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
        Self { disk: MemoryDisk::new(seed), rng, slowness: Arc::default(), on: Mutex::default(), bug }
    }

    /// The disk as the machine finds it when the power is on.
    pub fn power_on(&self) -> Media {
        let (rng, slowness) = (self.rng.clone(), self.slowness.clone());
        let delay = move || *slowness.lock() + SYNC.mul_f64(rng.lock().random());
        let rng = self.rng.clone();
        let salts = move || -> Salts {
            let rng = rng.clone();
            Box::new(move || {
                let mut salt = [0; 32];
                rng.lock().fill_bytes(&mut salt);
                Some(salt)
            })
        };
        self.disk.set_faults(Faults::default());
        let disk = self.disk.restart();
        *self.on.lock() = Some(disk.clone());
        Media {
            disk: Arc::new(disk),
            keys: KeyRing::new(KeyId(1), Key::new([1; 32])),
            salts: Arc::new(salts),
            syncing: Syncing::Simulated(Simulated { delay: Arc::new(delay), bug: self.bug }),
        }
    }

    /// The process ends; what it wrote stays.
    pub fn kill(&self) {
        self.disk.kill();
    }

    /// The power will go in the middle of the change after so many more.
    pub fn cut_power_after(&self, changes: u64) {
        self.disk.set_faults(Faults { power_cut_after: Some(changes), ..Faults::default() });
    }

    /// What was not synced survives in whole, in part or not at all.
    pub fn cut_power(&self) {
        self.disk.power_cut();
    }

    /// Whether the power went in the midst of a change, and nobody has switched it on since.
    pub fn is_off(&self) -> bool {
        self.on.lock().as_ref().is_none_or(|disk| matches!(disk.list(), Err(DiskError::Off)))
    }

    /// From now on each sync takes this much longer.
    pub fn slow_down(&self, delay: Duration) {
        *self.slowness.lock() = delay;
    }
}
