//! What time it is, for the whole process. Main functions: [`now`] and [`system`]; nothing else in the product asks the machine.
//!
//! The clock runs with the machine's, and as far off as `mesh chaos clock` says ([`set_offset_millis`]); a new process starts with none.
//! Leaves out what measures spans: agreement, liveness and limits go by `Instant`, which nobody can set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// How far the process's clock is ahead of the machine's, in milliseconds.
static OFFSET_MILLIS: AtomicI64 = AtomicI64::new(0);

/// The time, as objects and decisions carry it.
#[must_use]
pub fn now() -> Timestamp {
    of_machine(Timestamp::now())
}

/// The time, as certificates carry it.
#[must_use]
pub fn system() -> SystemTime {
    shifted(machine(), offset_millis())
}

/// The time in seconds since 1970; 0 where the machine's clock is before that.
#[must_use]
pub fn unix_seconds() -> i64 {
    i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX)
}

/// The time in milliseconds since 1970; 0 where the machine's clock is before that.
#[must_use]
pub fn unix_millis() -> i64 {
    i64::try_from(since_1970().as_millis()).unwrap_or(i64::MAX)
}

/// What other processes of this machine see: for what they compare with their own clock, and for times of files.
#[must_use]
pub fn machine() -> SystemTime {
    SystemTime::now()
}

/// A time that another process of this machine took, by this process's clock.
#[must_use]
pub fn of_machine(at: Timestamp) -> Timestamp {
    // Past the end of time it stays as it is: more off than that is nothing that a test needs.
    at.checked_add(SignedDuration::from_millis(offset_millis())).unwrap_or(at)
}

/// How far this process's clock is ahead of the machine's, in milliseconds.
#[must_use]
pub fn offset_millis() -> i64 {
    OFFSET_MILLIS.load(Ordering::Relaxed)
}

/// Sets this process's clock off from the machine's from now on. Only for nodes that are there to be broken.
pub fn set_offset_millis(ahead: i64) {
    OFFSET_MILLIS.store(ahead, Ordering::Relaxed);
}

/// This clock, for what checks dates of certificates.
#[must_use]
pub fn for_tls() -> Arc<dyn TimeProvider> {
    Arc::new(Wall)
}

/// See [`for_tls`].
#[derive(Debug)]
struct Wall;

impl TimeProvider for Wall {
    fn current_time(&self) -> Option<UnixTime> {
        system().duration_since(UNIX_EPOCH).ok().map(UnixTime::since_unix_epoch)
    }
}

fn since_1970() -> Duration {
    system().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn shifted(at: SystemTime, ahead_millis: i64) -> SystemTime {
    let by = Duration::from_millis(ahead_millis.unsigned_abs());
    let moved = if ahead_millis < 0 { at.checked_sub(by) } else { at.checked_add(by) };
    moved.unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far each reading is ahead of the machine's, in whole seconds.
    fn ahead() -> [i64; 5] {
        let machine = i64::try_from(machine().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let tls = i64::try_from(for_tls().current_time().unwrap().as_secs()).unwrap();
        let system = i64::try_from(system().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        [now().as_second(), unix_seconds(), unix_millis() / 1000, tls, system].map(|read| read - machine)
    }

    #[test]
    fn all_readings_are_off_together_and_right_again_without_an_offset() {
        for (offset, expect) in [(0, 0), (600_000, 600), (-600_000, -600), (31_536_000_000, 31_536_000), (0, 0)] {
            set_offset_millis(offset);
            let far = ahead().map(|read| read - expect);
            // A second may begin between two readings.
            assert!(far.iter().all(|far| (0..60).contains(far)), "{offset}: {far:?}");
        }
    }

    #[test]
    fn an_offset_past_the_end_of_time_does_nothing() {
        assert_eq!(
            shifted(UNIX_EPOCH, i64::MIN),
            UNIX_EPOCH.checked_sub(Duration::from_millis(1 << 63)).unwrap_or(UNIX_EPOCH)
        );
        assert_eq!(shifted(UNIX_EPOCH + Duration::from_secs(5), -5000), UNIX_EPOCH);
        assert_eq!(shifted(UNIX_EPOCH, 5000), UNIX_EPOCH + Duration::from_secs(5));
    }
}
