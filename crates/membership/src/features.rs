//! The feature level: what commands and members of the cluster may make use of, so that a release which does not know it yet
//! is never met with it (DESIGN 3, "Upgrade"). A flag of the store; raised by the leader once every member knows the next
//! level, and never lowered. Decided by [`raise`].
//!
//! All members count, not only the voters: any of them may vote next, and one that is off now may come back. Whoever makes a
//! command, or sends a message, that an older release does not understand asks [`level`] first.

use std::collections::BTreeMap;

use store::{Guard, Op, View};

use crate::id::NodeId;
use crate::keys;
use crate::member::{decode, put};

/// The store's flag that holds it.
pub const FLAG: &str = "feature_level";

/// Where clusters start that were founded before there was a flag.
pub const OLDEST: u32 = 1;

/// The newest level that this release knows. What a level stands for never changes; something new takes the next one:
///
/// 1. what the first release understands
/// 2. members say which level they know
pub const NEWEST: u32 = 2;

/// The level in force.
pub fn level(view: &View) -> u32 {
    view.flag(FLAG).parse().unwrap_or(OLDEST)
}

/// What each member said that it knows; one that said nothing runs the first release, or has just joined.
pub fn known(view: &View) -> BTreeMap<NodeId, u32> {
    let records = view.range(keys::FEATURES, None);
    let known = records.filter_map(|record| {
        let id = record.key.strip_prefix(keys::FEATURES)?.parse().ok()?;
        Some((id, decode(record)?))
    });
    known.collect()
}

/// What a member says that it knows.
pub fn say(member: NodeId, level: u32) -> Op {
    put(keys::features(member), &level)
}

/// The level to raise to, if each of the members knows a higher one than that in force, and so does this release.
pub fn raise(members: impl IntoIterator<Item = NodeId>, known: &BTreeMap<NodeId, u32>, now: u32) -> Option<u32> {
    let levels = members.into_iter().map(|member| known.get(&member).copied().unwrap_or(OLDEST));
    levels.min().map(|lowest| lowest.min(NEWEST)).filter(|level| *level > now)
}

/// Guard and operation that put a level in force, unless another was meanwhile.
pub fn put_in_force(view: &View, level: u32) -> (Guard, Op) {
    (Guard::Flag(FLAG.into(), view.flag(FLAG).into()), found_with(level))
}

/// A new cluster starts with all that its founder knows.
pub fn found_with(level: u32) -> Op {
    Op::SetFlag(FLAG.into(), level.to_string().into())
}

#[cfg(test)]
mod tests {
    use store::{Command, Entry, Outcome, RequestId, State};

    use super::*;

    #[test]
    fn a_level_is_raised_once_every_member_knows_it_and_never_lowered() {
        // What each member said (0: nothing), the level in force, what it is raised to.
        let rows: &[(&[u32], u32, Option<u32>)] = &[
            (&[2, 2, 2], 1, Some(2)),
            (&[2, 2, 1], 1, None),
            (&[2, 2, 0], 1, None),
            (&[2], 1, Some(2)),
            (&[2, 2], 2, None),
            (&[1, 2], 2, None),
            // The leader runs an older release than the others: it puts in force what it knows itself.
            (&[7, 7, 7], 1, Some(NEWEST)),
            (&[7, 7, 7], NEWEST, None),
            (&[], 1, None),
        ];
        for (said, now, expected) in rows {
            let said = (1..).map(NodeId).zip(said.iter().copied());
            let known = said.clone().filter(|(_, level)| *level > 0).collect();
            let members: Vec<_> = said.clone().map(|(id, _)| id).collect();
            assert_eq!(raise(members, &known, *now), *expected, "{:?} at {now}", said.collect::<Vec<_>>());
        }
    }

    #[test]
    fn who_was_removed_holds_nobody_up() {
        let known = BTreeMap::from([(NodeId(1), 2), (NodeId(2), 1)]);
        assert_eq!(raise([NodeId(1)], &known, 1), Some(2));
    }

    #[test]
    fn a_level_is_put_in_force_once() {
        let mut state = State::default();
        assert_eq!((level(&state.view()), known(&state.view())), (OLDEST, BTreeMap::new()));
        let (guard, op) = put_in_force(&state.view(), 2);
        let outcomes = [1, 2].map(|request| {
            let (guards, ops) = (vec![guard.clone()], vec![op.clone(), say(NodeId(5), 2)]);
            let command = Command { request: RequestId(request), guards, ops };
            state.apply(Entry { index: request as u64, term: 1 }, &command).outcome
        });
        assert!(matches!(outcomes, [Outcome::Applied { .. }, Outcome::Refused(_)]), "{outcomes:?}");
        assert_eq!((level(&state.view()), known(&state.view())), (2, BTreeMap::from([(NodeId(5), 2)])));
    }
}
