//! Who of the members votes (DESIGN: 1 voter for 1-2 members, 3 for 3-4, 5 from 5 on, counted over members, so that
//! failures never shrink the set). A pure plan: one step at a time, decided anew after each.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{NodeId, Role};
use crate::member::{Member, VoterPreference};

/// Learners kept beside the voters, ready to replace one that died.
pub const STANDBYS: usize = 2;

/// The largest quorum, unless configured: five survive two losses; more only slow every write.
pub const MAX_VOTERS: usize = 5;

/// What raft says of its own membership.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quorum {
    /// Who leads.
    pub leader: Option<NodeId>,
    /// Who votes.
    pub voters: BTreeSet<NodeId>,
    /// Who receives the log without a vote.
    pub learners: BTreeSet<NodeId>,
    /// Which of the learners hold nearly all of the log.
    pub caught_up: BTreeSet<NodeId>,
}

/// The next change to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Start sending the log.
    AddLearner(NodeId),
    /// Hand the cluster key to those that gain a vote, then change the voters in one joint step.
    SetVoters(BTreeSet<NodeId>),
    /// Stop sending the log.
    DropLearner(NodeId),
    /// Write down what raft decided.
    SetRole(NodeId, Role),
    /// All who gave up their part: forget this member.
    Remove(NodeId),
}

/// The number of voters for this many members.
pub fn quorum_size(members: usize, max: usize) -> usize {
    let size = match members {
        0..=2 => 1,
        3..=4 => 3,
        _ => 5,
    };
    size.min(max)
}

/// The next step towards the wanted quorum; `None` where all is as wanted. `dead` are members that have been silent
/// for so long that they should be replaced.
pub fn plan(members: &[Member], quorum: &Quorum, dead: &BTreeSet<NodeId>, max: usize) -> Option<Step> {
    let voters = wanted_voters(members, quorum, dead, max);
    let learners = wanted_learners(members, quorum, &voters, dead);
    let known = |id: &NodeId| quorum.voters.contains(id) || quorum.learners.contains(id);
    if let Some(id) = voters.union(&learners).find(|id| !known(id)) {
        return Some(Step::AddLearner(*id));
    }
    // Voters refuse the calls of a node they know as a mere worker: what a newcomer is must be in the log before it votes.
    let newcomer = |member: &&Member| quorum.learners.contains(&member.id) && member.role == Role::Worker;
    if let Some(member) = members.iter().find(newcomer) {
        return Some(Step::SetRole(member.id, Role::Standby));
    }
    let ready = voters.difference(&quorum.voters).all(|id| quorum.caught_up.contains(id));
    if voters != quorum.voters && ready && !voters.is_empty() {
        return Some(Step::SetVoters(voters));
    }
    let needed = |id: &NodeId| voters.contains(id) || learners.contains(id);
    if let Some(id) = quorum.learners.iter().find(|id| !needed(id)) {
        return Some(Step::DropLearner(*id));
    }
    set_roles(members, quorum)
}

fn set_roles(members: &[Member], quorum: &Quorum) -> Option<Step> {
    let actual = |id: &NodeId| match () {
        () if quorum.voters.contains(id) => Role::Voter,
        () if quorum.learners.contains(id) => Role::Standby,
        () => Role::Worker,
    };
    let wrong = members.iter().find(|member| member.role != actual(&member.id));
    if let Some(member) = wrong {
        return Some(Step::SetRole(member.id, actual(&member.id)));
    }
    let gone = members.iter().find(|member| member.leaving && member.role == Role::Worker);
    gone.map(|member| Step::Remove(member.id))
}

fn wanted_voters(members: &[Member], quorum: &Quorum, dead: &BTreeSet<NodeId>, max: usize) -> BTreeSet<NodeId> {
    let staying = members.iter().filter(|member| !member.leaving).count();
    let eligible: Vec<&Member> =
        members.iter().filter(|member| !member.leaving && member.voter != VoterPreference::Never).collect();
    let size = largest_odd(quorum_size(staying, max).min(eligible.len()));
    let mut zones = BTreeMap::<&str, usize>::new();
    let mut chosen = BTreeSet::new();
    let mut left = eligible;
    while chosen.len() < size {
        let rank = |member: &&Member| {
            let crowd = zones.get(member.zone.as_str()).copied().unwrap_or(0);
            rank(member, quorum, dead, crowd)
        };
        let Some(at) = (0..left.len()).min_by_key(|at| rank(&left[*at])) else { break };
        let member = left.swap_remove(at);
        *zones.entry(&member.zone).or_default() += 1;
        chosen.insert(member.id);
    }
    chosen
}

/// Even quorums survive no more than the odd one below them.
fn largest_odd(count: usize) -> usize {
    if count == 0 { 0 } else { count - (count + 1) % 2 }
}

/// Lower is better: the living before the dead, the leader and the voters that are there before newcomers (each
/// change costs), then preference, then a zone with fewer voters, then those that have the log.
fn rank(member: &Member, quorum: &Quorum, dead: &BTreeSet<NodeId>, crowd: usize) -> impl Ord + use<> {
    let id = member.id;
    let preference = member.voter != VoterPreference::Prefer;
    (
        dead.contains(&id),
        quorum.leader != Some(id),
        !quorum.voters.contains(&id),
        preference,
        crowd,
        !quorum.caught_up.contains(&id),
        !quorum.learners.contains(&id),
        id,
    )
}

/// Those about to vote, and the standbys: members that have the log already first.
fn wanted_learners(
    members: &[Member],
    quorum: &Quorum,
    voters: &BTreeSet<NodeId>,
    dead: &BTreeSet<NodeId>,
) -> BTreeSet<NodeId> {
    let mut candidates: Vec<&Member> = members
        .iter()
        .filter(|member| !member.leaving && !voters.contains(&member.id) && !dead.contains(&member.id))
        .filter(|member| member.voter != VoterPreference::Never)
        .collect();
    candidates.sort_by_key(|member| (!quorum.learners.contains(&member.id), member.id));
    let standbys = candidates.iter().take(STANDBYS).map(|member| member.id);
    standbys.chain(voters.difference(&quorum.voters).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::KeyFingerprint;

    fn member(id: u64, role: Role) -> Member {
        Member {
            id: NodeId(id),
            name: format!("n{id}"),
            key: KeyFingerprint([id as u8; 32]),
            addresses: Vec::new(),
            api_addresses: Vec::new(),
            pod_addresses: Vec::new(),
            role,
            voter: VoterPreference::Auto,
            zone: String::new(),
            pod_ranges: Vec::new(),
            leaving: false,
            labels: Default::default(),
        }
    }

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
}
