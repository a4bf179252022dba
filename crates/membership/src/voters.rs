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

/// Why a member cannot be removed: what would be left could not agree on anything any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unremovable {
    /// Nobody would be left.
    #[error("node {0} is the last member; stop it and remove its data directory to give the cluster up")]
    Last(String),
    /// Too few of those who would vote then are alive.
    #[error(
        "without node {name}, {alive} of {wanted} voters would be alive, too few to agree: start {} again, or remove \
         that first", silent.join(" or ")
    )]
    Quorum {
        /// Whose removal was asked for.
        name: String,
        /// How many of the voters would be alive.
        alive: usize,
        /// How many would vote.
        wanted: usize,
        /// Names of those that would vote and are silent.
        silent: Vec<String>,
    },
}

/// Whether the rest can go on without this member; `silent` are members that are not heard now.
///
/// # Errors
/// [`Unremovable`] says why not, and the remedy.
pub fn removable(
    members: &[Member],
    quorum: &Quorum,
    silent: &BTreeSet<NodeId>,
    leaver: &Member,
    max: usize,
) -> Result<(), Unremovable> {
    let rest: Vec<Member> = members.iter().filter(|member| member.id != leaver.id).cloned().collect();
    if rest.is_empty() {
        return Err(Unremovable::Last(leaver.name.clone()));
    }
    let voters = wanted_voters(&rest, quorum, silent, max);
    let lost = rest.iter().filter(|member| voters.contains(&member.id) && silent.contains(&member.id));
    let lost: Vec<String> = lost.map(|member| member.name.clone()).collect();
    let (wanted, alive) = (voters.len(), voters.len() - lost.len());
    if alive * 2 > wanted {
        return Ok(());
    }
    Err(Unremovable::Quorum { name: leaver.name.clone(), alive, wanted, silent: lost })
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
    let ready = can_agree(&voters, dead) && voters.difference(&quorum.voters).all(|id| quorum.caught_up.contains(id));
    if voters != quorum.voters && ready && !voters.is_empty() {
        return Some(Step::SetVoters(voters));
    }
    if let Some(stopgap) = stopgap(members, quorum, dead, max).filter(|_| !ready) {
        return Some(Step::SetVoters(stopgap));
    }
    let needed = |id: &NodeId| voters.contains(id) || learners.contains(id);
    if let Some(id) = quorum.learners.iter().find(|id| !needed(id)) {
        return Some(Step::DropLearner(*id));
    }
    set_roles(members, quorum)
}

/// Whether more than half are alive. A joint change needs both majorities (Raft, section 6): one to voters that are mostly
/// dead would end writes until they return, so a leaver keeps its vote as long as nobody else can take it.
fn can_agree(voters: &BTreeSet<NodeId>, dead: &BTreeSet<NodeId>) -> bool {
    voters.difference(dead).count() * 2 > voters.len()
}

/// Whoever has the log takes a dead voter's place at once, although another would be the better choice: that one is still
/// catching up, and one more death meanwhile could end the quorum.
fn stopgap(members: &[Member], quorum: &Quorum, dead: &BTreeSet<NodeId>, max: usize) -> Option<BTreeSet<NodeId>> {
    let has_log = |member: &&Member| quorum.voters.contains(&member.id) || quorum.caught_up.contains(&member.id);
    let holders: Vec<Member> = members.iter().filter(has_log).cloned().collect();
    let voters = wanted_voters(&holders, quorum, dead, max.min(quorum.voters.len()));
    let lost = |voters: &BTreeSet<NodeId>| voters.intersection(dead).count();
    (voters.len() == quorum.voters.len() && lost(&voters) < lost(&quorum.voters)).then_some(voters)
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

/// Lower is better: the living before the dead, and of these who votes already (no other can catch up), the leader (to depose
/// it costs an election), then preference, then a zone with fewer voters, then the voters that are there before newcomers
/// (each change costs), then those that have the log. A set that is spread already stays as it is: within a zone its voters
/// come first.
fn rank(member: &Member, quorum: &Quorum, dead: &BTreeSet<NodeId>, crowd: usize) -> impl Ord + use<> {
    let id = member.id;
    let preference = member.voter != VoterPreference::Prefer;
    let dead = dead.contains(&id);
    (
        dead,
        dead && !quorum.voters.contains(&id),
        quorum.leader != Some(id),
        preference,
        crowd,
        !quorum.voters.contains(&id),
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
mod tests;
