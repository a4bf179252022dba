//! One node's machine: what survives its crashes, and who it is. Main type: [`Machine`].
//!
//! A machine whose disk was wiped, or found damaged, comes back as another node: its former self had promises to keep.

use std::{sync::Arc, time::Duration};

use consensus::{Media, SeededBug, Simulated, Syncing};
use net::NodeId;
use parking_lot::Mutex;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IteratorRandom};
use tokio::{
    sync::Notify,
    time::{advance, sleep},
};
use wal::{Disk, DiskError, Faults, Key, KeyId, KeyRing, MemoryDisk, Salts};

/// Longest sync of a healthy disk.
const SYNC: Duration = Duration::from_millis(6);

/// How often a clock that goes too fast is put ahead: a tenth of a heartbeat.
const DRIFT_PERIOD: Duration = Duration::from_millis(10);

/// Between the ids that one machine has after one another: more than there are machines.
const IDENTITIES: u64 = 16;

/// The machine that a node runs on.
pub fn machine_of(id: NodeId) -> u64 {
    id.0 % IDENTITIES
}

/// A disk, and the power it depends on.
pub struct Machine {
    disk: Mutex<MemoryDisk>,
    /// Its present one.
    id: Mutex<NodeId>,
    /// Its disk holds what nobody wrote, and it has not been wiped since.
    rotten: Mutex<bool>,
    /// Its disk says that it has synced, and has not.
    lying: Mutex<bool>,
    /// It has done so, and has not been wiped since.
    lied: Mutex<bool>,
    rng: Arc<Mutex<StdRng>>,
    slowness: Arc<Mutex<Duration>>,
    /// As the node that runs sees it.
    on: Mutex<Option<MemoryDisk>>,
    bug: Option<SeededBug>,
    /// Bytes that fit, where the disk is full.
    capacity: Mutex<Option<u64>>,
    clock: Clock,
}

/// By how much the machine's clock is to go ahead of the others.
#[derive(Debug, Default)]
struct Clock {
    jump: Mutex<Duration>,
    /// In percent.
    drift: Mutex<u32>,
    changed: Notify,
}

impl Machine {
    /// A new machine with an empty disk whose behaviour follows from `seed` and from which of them it is.
    pub fn new(seed: u64, number: u64, bug: Option<SeededBug>) -> Self {
        let seed = seed << 8 | number;
        let rng = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
        Self {
            disk: Mutex::new(MemoryDisk::new(seed)),
            id: Mutex::new(NodeId(number)),
            rotten: Mutex::default(),
            lying: Mutex::default(),
            lied: Mutex::default(),
            rng,
            slowness: Arc::default(),
            on: Mutex::default(),
            bug,
            capacity: Mutex::default(),
            clock: Clock::default(),
        }
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
        self.disk.lock().set_faults(self.faults());
        let disk = self.disk.lock().restart();
        *self.on.lock() = Some(disk.clone());
        Media {
            disk: Arc::new(disk),
            keys: KeyRing::new(KeyId(1), Key::new([1; 32])),
            salts: Arc::new(salts),
            syncing: Syncing::Simulated(Simulated { delay: Arc::new(delay), bug: self.bug }),
        }
    }

    /// Which node it is now.
    pub fn id(&self) -> NodeId {
        *self.id.lock()
    }

    /// The disk is empty, and the machine another node.
    pub fn wipe(&self) {
        let mut id = self.id.lock();
        id.0 += IDENTITIES;
        self.disk.lock().kill();
        *self.disk.lock() = MemoryDisk::new(self.rng.lock().random());
        *self.rotten.lock() = false;
        *self.lied.lock() = false;
    }

    /// The disk is a new one, and the machine the same node.
    pub fn replace_disk(&self) {
        self.disk.lock().kill();
        *self.disk.lock() = MemoryDisk::new(self.rng.lock().random());
    }

    /// One bit of the older half of a file is no longer what was written. The newest record is spared: a damaged end cannot be
    /// told from a torn write, and a majority of disks that forget is more than Raft stands.
    pub fn rot(&self) {
        let disk = self.disk.lock().restart();
        let names = disk.list().unwrap_or_default();
        let mut rng = self.rng.lock();
        if let Some(name) = names.iter().choose(&mut *rng) {
            let content = disk.content(name).unwrap_or_default();
            let written = content.iter().rposition(|byte| *byte != 0).unwrap_or(0); // behind it lies what is set aside
            let byte = rng.random_range(0..=written / 2);
            disk.flip(name, byte, rng.random_range(0..8));
            tracing::info!(name, byte, written, "rotten");
            *self.rotten.lock() = true;
        }
    }

    /// Whether its disk holds what nobody wrote.
    pub fn is_rotten(&self) -> bool {
        *self.rotten.lock()
    }

    /// The process ends; what it wrote stays.
    pub fn kill(&self) {
        self.disk.lock().kill();
    }

    /// The power will go in the middle of the change after so many more.
    pub fn cut_power_after(&self, changes: u64) {
        self.disk.lock().set_faults(Faults { power_cut_after: Some(changes), ..self.faults() });
    }

    /// What was not synced survives in whole, in part or not at all.
    pub fn cut_power(&self) {
        self.disk.lock().power_cut();
    }

    /// Whether the power went in the midst of a change, and nobody has switched it on since.
    pub fn is_off(&self) -> bool {
        self.on.lock().as_ref().is_none_or(|disk| matches!(disk.list(), Err(DiskError::Off)))
    }

    fn faults(&self) -> Faults {
        Faults { capacity: *self.capacity.lock(), lie_about_sync: *self.lying.lock(), ..Faults::default() }
    }

    /// From now until the power goes, syncs do nothing and say that they did.
    pub fn lie(&self) {
        *self.lying.lock() = true;
        *self.lied.lock() = true;
        self.disk.lock().set_faults(self.faults());
    }

    /// The power goes, and with it any part of what was not synced, whatever was said of it.
    pub fn expose(&self) {
        *self.lying.lock() = false;
        self.cut_power();
    }

    /// Whether its disk lies now.
    pub fn is_lying(&self) -> bool {
        *self.lying.lock()
    }

    /// Whether its disk may have lost what it said to have synced.
    pub fn has_lied(&self) -> bool {
        *self.lied.lock()
    }

    /// From now on nothing more fits on the disk.
    pub fn fill(&self) {
        let disk = self.disk.lock().restart();
        let used = disk.list().unwrap_or_default().iter().filter_map(|name| disk.length(name).ok()).sum();
        *self.capacity.lock() = Some(used);
        self.disk.lock().set_faults(self.faults());
    }

    /// There is room on the disk again.
    pub fn make_room(&self) {
        *self.capacity.lock() = None;
        self.disk.lock().set_faults(self.faults());
    }

    /// Whether nothing more fits on the disk.
    pub fn is_full(&self) -> bool {
        self.capacity.lock().is_some()
    }

    /// The clock goes ahead by so much, at once.
    pub fn jump(&self, by: Duration) {
        *self.clock.jump.lock() += by;
        self.clock.changed.notify_one();
    }

    /// From now on the clock goes too fast by so many percent.
    pub fn drift(&self, percent: u32) {
        *self.clock.drift.lock() = percent;
        self.clock.changed.notify_one();
    }

    /// Moves the clock of the host that this runs on as it is told, until the host crashes.
    pub async fn keep_time(self: Arc<Self>) {
        loop {
            let drift = *self.clock.drift.lock();
            if drift == 0 {
                self.clock.changed.notified().await;
            } else {
                sleep(DRIFT_PERIOD).await;
            }
            let ahead = std::mem::take(&mut *self.clock.jump.lock()) + DRIFT_PERIOD * drift / 100;
            if !ahead.is_zero() {
                advance(ahead).await;
            }
        }
    }

    /// From now on each sync takes this much longer.
    pub fn slow_down(&self, delay: Duration) {
        *self.slowness.lock() = delay;
    }
}
