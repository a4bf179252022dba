//! Tables of the quorum's rules: what the plan wants, and the steps it takes until it rests.

use super::*;
use crate::fixture::member;

fn ids(ids: &[u64]) -> BTreeSet<NodeId> {
    ids.iter().map(|id| NodeId(*id)).collect()
}

fn quorum(voters: &[u64], learners: &[u64]) -> Quorum {
    let leader = voters.first().map(|id| NodeId(*id));
    Quorum { leader, voters: ids(voters), learners: ids(learners), caught_up: ids(learners) }
}

/// Carries the plan out until it rests, and returns the steps.
fn settle(members: &mut Vec<Member>, quorum: &mut Quorum, dead: &BTreeSet<NodeId>) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(step) = plan(members, quorum, dead, MAX_VOTERS) {
        match &step {
            Step::AddLearner(id) => {
                quorum.learners.insert(*id);
                quorum.caught_up.insert(*id);
            }
            Step::SetVoters(voters) => {
                let all: BTreeSet<_> = quorum.voters.union(&quorum.learners).copied().collect();
                quorum.learners = all.difference(voters).copied().collect();
                quorum.voters = voters.clone();
                quorum.leader = quorum.leader.filter(|id| voters.contains(id)).or(voters.first().copied());
            }
            Step::DropLearner(id) => drop(quorum.learners.remove(id)),
            Step::SetRole(id, role) => members.iter_mut().filter(|m| m.id == *id).for_each(|m| m.role = *role),
            Step::Remove(id) => members.retain(|member| member.id != *id),
        }
        steps.push(step);
        assert!(steps.len() < 50, "the plan must come to rest: {steps:?}");
    }
    steps
}

#[test]
fn quorum_follows_the_number_of_members() {
    for (count, voters, standbys) in [(1, 1, 0), (2, 1, 1), (3, 3, 0), (4, 3, 1), (5, 5, 0), (9, 5, 2)] {
        let mut members: Vec<_> = (1..=count).map(|id| member(id, Role::Worker)).collect();
        let mut state = quorum(&[1], &[]);
        settle(&mut members, &mut state, &ids(&[]));
        assert_eq!((state.voters.len(), state.learners.len()), (voters, standbys), "{count} members");
        assert!(members.iter().all(|m| (m.role == Role::Voter) == state.voters.contains(&m.id)));
    }
}

#[test]
fn three_members_become_voters_in_one_step_once_both_learners_caught_up() {
    let mut members: Vec<_> = (1..=3).map(|id| member(id, Role::Standby)).collect();
    let mut state = quorum(&[1], &[2, 3]);
    assert_eq!(plan(&members, &state, &ids(&[]), 5), Some(Step::SetVoters(ids(&[1, 2, 3]))));
    state.caught_up.remove(&NodeId(3));
    assert!(!matches!(plan(&members, &state, &ids(&[]), 5), Some(Step::SetVoters(_))));
    members[1].role = Role::Worker;
    assert_eq!(plan(&members, &state, &ids(&[]), 5), Some(Step::SetRole(NodeId(2), Role::Standby)));
}

#[test]
fn a_dead_voter_is_replaced_by_a_standby_but_never_dropped_without_one() {
    let mut members: Vec<_> = (1..=4).map(|id| member(id, Role::Voter)).collect();
    let mut state = quorum(&[1, 2, 3], &[4]);
    settle(&mut members, &mut state, &ids(&[2]));
    assert_eq!(state.voters, ids(&[1, 3, 4]));
    let mut members: Vec<_> = (1..=3).map(|id| member(id, Role::Voter)).collect();
    let mut state = quorum(&[1, 2, 3], &[]);
    settle(&mut members, &mut state, &ids(&[2]));
    assert_eq!(state.voters, ids(&[1, 2, 3]));
}

#[test]
fn a_leaving_member_gives_up_its_vote_and_is_removed() {
    let mut members: Vec<_> = (1..=3).map(|id| member(id, Role::Voter)).collect();
    members[0].leaving = true;
    let mut state = quorum(&[1, 2, 3], &[]);
    let steps = settle(&mut members, &mut state, &ids(&[]));
    assert_eq!(steps.last(), Some(&Step::Remove(NodeId(1))));
    assert_eq!(members.len(), 2);
    assert_eq!(state.voters.len(), 1);
}

#[test]
fn zones_and_preferences_are_respected() {
    let mut members: Vec<_> = (1..=6).map(|id| member(id, Role::Worker)).collect();
    for (member, zone) in members.iter_mut().zip(["a", "a", "a", "b", "b", "c"]) {
        member.zone = zone.into();
    }
    members[3].voter = VoterPreference::Never;
    let state = Quorum { leader: Some(NodeId(1)), voters: ids(&[1]), ..Quorum::default() };
    assert_eq!(wanted_voters(&members, &state, &ids(&[]), 3), ids(&[1, 5, 6]));
    members[1].voter = VoterPreference::Prefer;
    assert!(wanted_voters(&members, &state, &ids(&[]), 3).contains(&NodeId(2)));
}

/// Four or more members, voters and learners by id; returns the voters once the plan rests.
fn settled(
    count: u64,
    voters: &[u64],
    learners: &[u64],
    dead: &[u64],
    change: impl Fn(&mut Member),
) -> BTreeSet<NodeId> {
    let role = |id| if voters.contains(&id) { Role::Voter } else { Role::Standby };
    let mut members: Vec<_> = (1..=count).map(|id| member(id, role(id))).collect();
    members.iter_mut().for_each(change);
    let mut state = quorum(voters, learners);
    state.leader = voters.iter().find(|id| !dead.contains(id)).map(|id| NodeId(*id));
    state.caught_up = state.caught_up.difference(&ids(dead)).copied().collect();
    settle(&mut members, &mut state, &ids(dead));
    state.voters
}

#[test]
fn the_dead_are_replaced_one_after_the_other_and_take_no_vote_back() {
    for (count, voters, learners, dead, expect) in [
        (7, &[1, 2, 3, 4, 5][..], &[6, 7][..], &[5][..], &[1, 2, 3, 4, 6][..]),
        (7, &[1, 2, 3, 4, 6], &[7], &[4, 5], &[1, 2, 3, 6, 7]),
        // The dead came back: it waits as a standby.
        (7, &[1, 2, 3, 6, 7], &[], &[], &[1, 2, 3, 6, 7]),
        (7, &[1, 2, 3, 6, 7], &[4, 5], &[2], &[1, 3, 4, 6, 7]),
        // The leader died, another leads.
        (4, &[1, 2, 3], &[4], &[1], &[2, 3, 4]),
        // Nobody is left to replace them: the set never shrinks.
        (5, &[1, 2, 3, 4, 5], &[], &[4, 5], &[1, 2, 3, 4, 5]),
        (3, &[1, 2, 3], &[], &[2, 3], &[1, 2, 3]),
    ] {
        assert_eq!(settled(count, voters, learners, dead, |_| {}), ids(expect), "{voters:?} of {count}, dead {dead:?}");
    }
}

#[test]
fn who_may_never_vote_replaces_nobody_and_gives_its_vote_up() {
    let never = |of: u64| {
        move |member: &mut Member| {
            if member.id == NodeId(of) {
                member.voter = VoterPreference::Never;
            }
        }
    };
    assert_eq!(settled(4, &[1, 2, 3], &[], &[2], never(4)), ids(&[1, 2, 3]));
    assert_eq!(settled(4, &[1, 2, 3], &[4], &[], never(2)), ids(&[1, 3, 4]));
    assert_eq!(settled(4, &[1, 2, 3], &[4], &[], never(1)), ids(&[2, 3, 4]));
}

#[test]
fn voters_spread_over_zones_that_come_later_and_then_rest() {
    let zones = |zones: &'static str| {
        move |member: &mut Member| {
            let at = usize::try_from(member.id.0 - 1).unwrap();
            member.zone = zones[at..=at].into();
        }
    };
    for (names, voters, learners, dead, expect) in [
        // One vote a zone, as soon as there are three.
        ("aabc", &[1, 2, 3][..], &[4][..], &[][..], &[1, 3, 4][..]),
        ("aabb", &[1, 2, 3], &[4], &[], &[1, 2, 3]),
        ("aaaa", &[1, 2, 3], &[4], &[], &[1, 2, 3]),
        // A zone died: its vote goes elsewhere rather than nowhere.
        ("abca", &[1, 2, 3], &[4], &[3], &[1, 2, 4]),
        ("abcabc", &[1, 2, 3, 4, 5], &[6], &[3], &[1, 2, 4, 5, 6]),
    ] {
        let count = names.len() as u64;
        assert_eq!(settled(count, voters, learners, dead, zones(names)), ids(expect), "{names}, dead {dead:?}");
    }
}

#[test]
fn a_standby_that_has_the_log_takes_a_dead_voters_place_before_a_better_one_has_it() {
    let mut members: Vec<_> = (1..=4).map(|id| member(id, Role::Voter)).collect();
    members.push(member(5, Role::Standby));
    members[3].role = Role::Standby;
    (0..4).for_each(|at| members[at].zone = "a".into());
    members[4].zone = "b".into();
    members.push(Member { voter: VoterPreference::Never, ..member(6, Role::Worker) });
    let mut state = quorum(&[1, 2, 3], &[4, 5]);
    state.caught_up = ids(&[4]);
    assert_eq!(plan(&members, &state, &ids(&[3]), 3), Some(Step::SetVoters(ids(&[1, 2, 4]))));
    assert!(!matches!(plan(&members, &state, &ids(&[]), 3), Some(Step::SetVoters(_))), "nobody is dead");
}

#[test]
fn a_removal_that_would_cost_the_quorum_is_refused_with_the_remedy() {
    for (count, voters, silent, leaver, expect) in [
        (1, &[1][..], &[][..], 1, Some("is the last member")),
        (3, &[1, 2, 3], &[3], 3, None),
        (3, &[1, 2, 3], &[3], 2, None),
        (4, &[1, 2, 3], &[3, 4], 2, Some("1 of 3 voters would be alive")),
        (4, &[1, 2, 3], &[3, 4], 4, None),
        (5, &[1, 2, 3, 4, 5], &[4, 5], 5, None),
        (2, &[1], &[], 2, None),
        (2, &[1], &[2], 1, Some("start n2 again, or remove that first")),
    ] {
        let members: Vec<_> = (1..=count).map(|id| member(id, Role::Voter)).collect();
        let leaver = &members[leaver - 1];
        let told = removable(&members, &quorum(voters, &[]), &ids(silent), leaver, MAX_VOTERS);
        let told = told.err().map(|error| error.to_string());
        match expect {
            None => assert_eq!(told, None, "{leaver:?}"),
            Some(part) => assert!(told.as_ref().is_some_and(|told| told.contains(part)), "{told:?} lacks {part:?}"),
        }
    }
}

#[test]
fn a_vote_is_not_handed_to_the_dead() {
    let mut members = vec![member(1, Role::Voter), member(2, Role::Standby)];
    members[0].leaving = true;
    let state = quorum(&[1], &[2]);
    assert_eq!(plan(&members, &state, &ids(&[2]), 5), None, "the leaver waits for its heir");
    assert_eq!(plan(&members, &state, &ids(&[]), 5), Some(Step::SetVoters(ids(&[2]))));
}

#[test]
fn a_dead_voter_keeps_its_vote_rather_than_a_dead_newcomer_gets_one() {
    let mut members: Vec<_> = (1..=6).map(|id| member(id, Role::Voter)).collect();
    members.iter_mut().for_each(|one| one.zone = "a".into());
    members[5] = member(6, Role::Standby);
    let mut state = quorum(&[1, 2, 3, 4, 5], &[6]);
    state.caught_up.remove(&NodeId(6));
    assert_eq!(plan(&members, &state, &ids(&[5, 6]), 5), Some(Step::DropLearner(NodeId(6))), "the set stays");
}
