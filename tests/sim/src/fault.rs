//! What can go wrong. Main types: [`Fault`], a kind; [`Act`], one with its details drawn.

use std::time::Duration;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node's process is killed; what was written stays, synced or not. It comes back.
    Kill,
    /// A node loses power in the middle of one of its next changes to the disk; it comes back.
    Torn,
    /// Two nodes cannot hear each other; all others can.
    Partial,
    /// Two nodes lose and find each other several times.
    Flap,
    /// All messages of one node are held back, and then arrive at once.
    Stall,
    /// Messages between two nodes take long.
    Delay,
    /// A node loses power, and with it what was not synced; it comes back.
    Crash,
    /// All nodes lose power at once and come back.
    Blackout,
    /// One node is cut off from all others.
    Isolate,
    /// The nodes fall into two groups.
    Split,
    /// One node's messages to another get lost, not those back.
    OneWay,
    /// The network is whole again.
    Heal,
    /// A disk takes long for each sync.
    SlowDisk,
    /// A disk has no room left, for some time.
    FullDisk,
    /// A process stands still: nothing gets out or in; then all its timers are due at once.
    Pause,
    /// A node's clock goes ahead at once.
    Jump,
    /// A node's clock goes too fast for some time.
    Drift,
    /// Streams break: what is left of loss above a transport that sends again.
    Loss,
    /// Calls overtake each other.
    Reorder,
    /// Some calls of Raft arrive a second time, later.
    Duplicate,
    /// A disk is lost; the machine comes back as another node, which takes the lost one's place.
    Wipe,
    /// A disk says that it has synced, and has not, until the power goes.
    Lie,
    /// A bit on a disk changes while the power is off. The node refuses to start and is replaced as if wiped.
    Rot,
}

/// A fault with its details drawn.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// These processes are killed, for so long.
    Kill(Vec<u64>, Duration),
    /// This node loses power at its so-manieth change of the disk from now, and is down for so long.
    Torn(u64, u64, Duration),
    /// These two lose each other now and find each other again after this time, so many times.
    Flap(u64, u64, Duration, u32),
    /// All messages of this node are held back for so long.
    Stall(u64, Duration),
    /// Messages between these two take so long.
    Delay(u64, u64, Duration),
    /// These nodes lose power, for so long.
    Crash(Vec<u64>, Duration),
    /// Messages from the one to the other get lost.
    Cut(Vec<(u64, u64)>),
    /// The network is whole again.
    Heal,
    /// This node's disk takes that long for each sync.
    Slow(u64, Duration),
    /// This node's disk has no room for so long.
    Fill(u64, Duration),
    /// This node stands still for so long.
    Pause(u64, Duration),
    /// This node's clock goes ahead by so much.
    Jump(u64, Duration),
    /// This node's clock goes too fast by so many percent, until healed.
    Drift(u64, u32),
    /// So many in a thousand reads of a stream break it, until healed.
    Lose(u32),
    /// Calls are opened late by anything up to this, until healed.
    Shuffle(Duration),
    /// So many in a thousand calls arrive again, until healed.
    Repeat(u32),
    /// This machine's disk is lost, and it is down for so long; unless another disk is not replaced yet.
    Wipe(u64, Duration),
    /// This machine's disk lies for so long, then loses power and is down for so long; unless another disk is not replaced or
    /// not all followers have all of the log.
    Lie(u64, Duration, Duration),
    /// This machine's disk rots while it is down for so long; unless another disk is not replaced yet.
    Rot(u64, Duration),
}

impl Act {
    /// Its kind, for the figures.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Kill(..) => "kill",
            Self::Torn(..) => "torn write",
            Self::Flap(..) => "flapping",
            Self::Stall(..) => "stall",
            Self::Delay(..) => "delay",
            Self::Crash(nodes, _) if nodes.len() > 1 => "blackout",
            Self::Crash(..) => "power cut",
            Self::Cut(pairs) if pairs.len() == 1 => "one-way",
            Self::Cut(_) => "partition",
            Self::Heal => "heal",
            Self::Slow(..) => "slow disk",
            Self::Fill(..) => "full disk",
            Self::Pause(..) => "pause",
            Self::Jump(..) => "clock jump",
            Self::Drift(..) => "clock drift",
            Self::Lose(_) => "loss",
            Self::Shuffle(_) => "reorder",
            Self::Repeat(_) => "duplicate",
            Self::Wipe(..) => "wipe",
            Self::Lie(..) => "fsync lie",
            Self::Rot(..) => "bit rot",
        }
    }
}
