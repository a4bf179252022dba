//! Who may call what: the caller table. **Fixed early.** One row per protocol and range of methods, one function.
//!
//! Roles come from the replicated membership and the peer's proven key, never from what a peer says of itself.
//! The table judges kinds of callers; which objects a caller may touch is judged by whoever serves the method.

use std::ops::RangeInclusive;

use crate::{Caller, Method, Protocol, Role};

/// Kinds of callers, as the rows name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Anybody, member or not.
    Anybody,
    /// Every member.
    Members,
    /// Members that hold the log: voters and standbys.
    LogHolders,
    /// Voters.
    Voters,
}

/// One row: callers of these kinds may call these methods.
struct Row {
    protocol: Protocol,
    methods: RangeInclusive<u16>,
    who: Who,
}

const fn row(protocol: Protocol, methods: RangeInclusive<u16>, who: Who) -> Row {
    Row { protocol, methods, who }
}

/// What is in no row is refused.
const TABLE: &[Row] = &[
    // Becoming a member; a member that asks again is told that it is one.
    row(Protocol::Join, 0..=0, Who::Anybody),
    // Append, vote, snapshot, leadership transfer.
    row(Protocol::Raft, 0x000..=0x0ff, Who::LogHolders),
    // A node's own affairs: its feed, its status, leaving.
    row(Protocol::Rpc, 0x000..=0x0ff, Who::Members),
    // Proposals and read indexes, forwarded by API servers.
    row(Protocol::Rpc, 0x100..=0x1ff, Who::Voters),
    // Logs, commands and ports of the callee's pods: an API server has judged the user. Volumes that a controller gave up.
    row(Protocol::Rpc, 0x200..=0x2ff, Who::Voters),
    row(Protocol::Gossip, 0..=0, Who::Members),
    // Only bytes: the user is proven to the API server within them.
    row(Protocol::Pipe, 0..=0, Who::Members),
    // Packets from the sender's own pod ranges. There are no streams, hence no methods to call.
    row(Protocol::Pods, 0..=0, Who::Members),
];

/// Whether this caller may call this method.
pub fn allowed(protocol: Protocol, method: Method, caller: Caller) -> bool {
    TABLE.iter().any(|row| row.protocol == protocol && row.methods.contains(&method.0) && row.who.includes(caller))
}

/// Whether this caller may call anything of this protocol: where not, its connection is not kept.
pub fn opens(protocol: Protocol, caller: Caller) -> bool {
    TABLE.iter().any(|row| row.protocol == protocol && row.who.includes(caller))
}

impl Who {
    fn includes(self, caller: Caller) -> bool {
        match (self, caller) {
            (Self::Anybody, _) | (Self::Members, Caller::Member(..)) => true,
            (Self::LogHolders, Caller::Member(_, role)) => matches!(role, Role::Voter | Role::Standby),
            (Self::Voters, Caller::Member(_, role)) => role == Role::Voter,
            (_, Caller::Anonymous) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;

    /// May: anonymous, worker, standby, voter.
    fn check(protocol: Protocol, method: u16, expect: [bool; 4]) {
        let member = |role| Caller::Member(NodeId(1), role);
        let callers = [Caller::Anonymous, member(Role::Worker), member(Role::Standby), member(Role::Voter)];
        let got = callers.map(|caller| allowed(protocol, Method(method), caller));
        assert_eq!(got, expect, "{protocol:?} {method:#x}");
    }

    #[test]
    fn the_whole_table() {
        const NONE: [bool; 4] = [false; 4];
        const MEMBERS: [bool; 4] = [false, true, true, true];
        const LOG_HOLDERS: [bool; 4] = [false, false, true, true];
        const VOTERS: [bool; 4] = [false, false, false, true];
        for (protocol, ranges) in [
            (Protocol::Join, vec![(0, 0, [true; 4]), (1, u16::MAX, NONE)]),
            (Protocol::Raft, vec![(0, 0xff, LOG_HOLDERS), (0x100, u16::MAX, NONE)]),
            (Protocol::Rpc, vec![(0, 0xff, MEMBERS), (0x100, 0x2ff, VOTERS), (0x300, u16::MAX, NONE)]),
            (Protocol::Gossip, vec![(0, 0, MEMBERS), (1, u16::MAX, NONE)]),
            (Protocol::Pipe, vec![(0, 0, MEMBERS), (1, u16::MAX, NONE)]),
            (Protocol::Pods, vec![(0, 0, MEMBERS), (1, u16::MAX, NONE)]),
        ] {
            for (first, last, expect) in ranges {
                (first..=last).for_each(|method| check(protocol, method, expect));
            }
        }
    }

    #[test]
    fn a_stranger_opens_nothing_but_join() {
        for (protocol, expect) in [
            (Protocol::Join, true),
            (Protocol::Raft, false),
            (Protocol::Rpc, false),
            (Protocol::Gossip, false),
            (Protocol::Pipe, false),
            (Protocol::Pods, false),
        ] {
            assert_eq!(opens(protocol, Caller::Anonymous), expect, "{protocol:?}");
        }
        assert!(!opens(Protocol::Raft, Caller::Member(NodeId(1), Role::Worker)));
    }
}
