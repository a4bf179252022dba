//! Ends all that runs here, of a machine that is no node any more. Main function: [`all`].
//!
//! Every pod counts as gone from the API, so that what takes away the rest of any other pod takes away these. Leaves out
//! the grace that a pod asks for: who leaves in order has drained the node before.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::feed::wake_all;
use super::machine::Machine;

/// How long everything may take to end; a container is killed after two seconds.
const LIMIT: Duration = Duration::from_secs(30);

/// Between two looks at what is left: the listing has no event of its own.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// Ends every pod of this machine. Returns how many were still there when the time was over.
pub async fn all(machine: &Machine) -> usize {
    machine.ending.store(true, Ordering::Relaxed);
    wake_all(machine);
    let deadline = Instant::now() + LIMIT;
    loop {
        let left = left(machine);
        if left == 0 || Instant::now() >= deadline {
            return left;
        }
        sleep(LOOK_PERIOD).await;
    }
}

fn left(machine: &Machine) -> usize {
    let attached = machine.network.borrow().as_ref().map_or(0, |network| network.attached().len());
    machine.listing.pods().len().max(attached)
}
