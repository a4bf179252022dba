//! [`membership::voters::plan`] in a world in which members die, come back, join, are wiped and leave. Main function:
//! [`run`].
//!
//! Raft is modelled as: where more than half of the voters are up, one of them leads and every step succeeds. Judged at
//! every step: steps come to an end; the voters never become fewer than the members ask for, nor mostly dead; nobody votes
//! who must not; and in a cluster left alone for long no dead member votes while a living one could.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use membership::{
    KeyFingerprint, Member, NodeId, Role, VoterPreference,
    voters::{MAX_VOTERS, Quorum, Step, plan, quorum_size, removable},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::Account;

/// Seconds in the life of a world.
const LIFE: u64 = 4 * 3600;

/// Seconds of silence after which a voter counts as dead.
const DEAD_AFTER: u64 = 30;

/// Seconds until a learner that is up has caught up.
const CATCH_UP: u64 = 3;

/// Seconds without a fault after which all must be settled.
const SETTLED_AFTER: u64 = DEAD_AFTER + 4 * CATCH_UP;

/// Most members, dead and alive.
const MEMBERS: usize = 9;

/// Steps in one second: far more than all members together need.
const STEPS: usize = 64;

/// Chance of a fault in one second.
const FAULT_CHANCE: f64 = 0.01;

/// Longest time that a member is down, in seconds.
const DOWN: u64 = 400;

#[derive(Debug, Default)]
struct World {
    now: u64,
    next_id: u64,
    members: Vec<Member>,
    quorum: Quorum,
    /// Until when members are down, and since when they are silent.
    down: BTreeMap<NodeId, u64>,
    silent_since: BTreeMap<NodeId, u64>,
    /// When learners were added.
    added: BTreeMap<NodeId, u64>,
    last_fault: u64,
    account: Account,
}

/// Some hours of one world.
///
/// # Errors
/// The invariant that did not hold, when and how.
pub fn run(seed: u64) -> Result<Account, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::default();
    world.join(&mut rng);
    world.quorum.voters = world.members.iter().map(|member| member.id).collect();
    world.account.simulated = Duration::from_secs(LIFE);
    while world.now < LIFE {
        world.now += 1;
        if rng.random_bool(FAULT_CHANCE) {
            world.trouble(&mut rng);
        }
        let acted = world.act();
        acted.map_err(|why| {
            format!("seed {seed}, second {}: {why}; {:?}, {:?}", world.now, world.quorum, world.members)
        })?;
    }
    Ok(world.account)
}

impl World {
    fn join(&mut self, rng: &mut StdRng) {
        self.next_id += 1;
        let voter = match rng.random_range(0..8) {
            0 if self.next_id > 1 => VoterPreference::Never,
            1 => VoterPreference::Prefer,
            _ => VoterPreference::Auto,
        };
        self.members.push(Member {
            id: NodeId(self.next_id),
            name: format!("n{}", self.next_id),
            key: KeyFingerprint([0; 32]),
            addresses: Vec::new(),
            api_addresses: Vec::new(),
            pod_addresses: Vec::new(),
            role: if self.next_id == 1 { Role::Voter } else { Role::Worker },
            voter,
            zone: format!("z{}", rng.random_range(0..3)),
            pod_ranges: Vec::new(),
            leaving: false,
            labels: BTreeMap::new(),
        });
    }

    fn is_up(&self, id: NodeId) -> bool {
        !self.down.contains_key(&id)
    }

    fn trouble(&mut self, rng: &mut StdRng) {
        let place = rng.random_range(0..self.members.len());
        let (id, most) = (self.members[place].id, rng.random_range(1..DOWN));
        match rng.random_range(0..6) {
            0 if self.members.len() < MEMBERS => self.join(rng),
            1 if self.may_go(place) => self.members[place].leaving = true,
            // A wiped machine: its old self is removed by a person, as soon as the rest can do without it.
            2 if self.may_go(place) && self.members.len() > 1 && self.quorum.leader != Some(id) => {
                self.down.insert(id, u64::MAX);
                self.members[place].leaving = true;
                self.join(rng);
            }
            3 => drop(self.down.entry(id).or_insert(self.now + 1)), // a blip
            _ => drop(self.down.entry(id).or_insert(self.now + most)),
        }
        self.account.faults += 1;
        self.last_fault = self.now;
    }

    fn may_go(&self, place: usize) -> bool {
        let silent = self.silent_since.keys().copied().collect();
        let staying = self.members.iter().filter(|member| !member.leaving).count();
        staying > 1
            && self.members.iter().all(|member| !member.leaving)
            && removable(&self.members, &self.quorum, &silent, &self.members[place], MAX_VOTERS).is_ok()
    }

    fn act(&mut self) -> Result<(), String> {
        self.tick();
        let up = self.quorum.voters.iter().filter(|id| self.is_up(**id)).count();
        if up * 2 <= self.quorum.voters.len() {
            self.last_fault = self.now; // nothing can be decided: waiting for machines is no fault of the plan
            return Ok(());
        }
        let stays = self.quorum.leader.filter(|id| self.is_up(*id) && self.quorum.voters.contains(id));
        self.quorum.leader = stays.or_else(|| self.quorum.voters.iter().find(|id| self.is_up(**id)).copied());
        let since = |at: &u64| self.now - at >= DEAD_AFTER;
        let dead: BTreeSet<NodeId> = self.silent_since.iter().filter(|(_, at)| since(at)).map(|(id, _)| *id).collect();
        for _ in 0..STEPS {
            let Some(step) = plan(&self.members, &self.quorum, &dead, MAX_VOTERS) else {
                return self.judge_rest(&dead);
            };
            self.account.decisions += 1;
            if let Step::SetVoters(voters) = &step {
                self.judge_change(voters, &dead)?;
            }
            self.apply(step);
        }
        Err(format!("{STEPS} steps, and no end"))
    }

    /// A second passes: who is up is heard, and learners catch up.
    fn tick(&mut self) {
        let now = self.now;
        let back = self.down.len();
        self.down.retain(|_, end| *end > now);
        if self.down.len() < back {
            self.last_fault = now;
        }
        self.silent_since.retain(|id, _| self.down.contains_key(id));
        for id in self.down.keys() {
            self.silent_since.entry(*id).or_insert(now);
        }
        let ready = |(id, at): &(&NodeId, &u64)| !self.down.contains_key(id) && now - **at >= CATCH_UP;
        self.quorum.caught_up.extend(self.added.iter().filter(ready).map(|(id, _)| *id));
        let follows = |id: &NodeId| self.quorum.voters.contains(id) || self.quorum.learners.contains(id);
        let follows: BTreeSet<NodeId> = self.quorum.caught_up.iter().filter(|id| follows(id)).copied().collect();
        self.quorum.caught_up = follows;
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::AddLearner(id) => {
                self.quorum.learners.insert(id);
                self.added.insert(id, self.now);
            }
            Step::DropLearner(id) => {
                self.quorum.learners.remove(&id);
                self.quorum.caught_up.remove(&id);
                self.added.remove(&id);
            }
            Step::SetVoters(voters) => {
                let former = std::mem::replace(&mut self.quorum.voters, voters);
                for id in &former {
                    self.added.entry(*id).or_insert(self.now);
                }
                self.quorum.learners.extend(former);
                let voters = &self.quorum.voters;
                self.quorum.learners.retain(|id| !voters.contains(id));
            }
            Step::SetRole(id, role) => {
                self.members.iter_mut().filter(|member| member.id == id).for_each(|member| member.role = role);
            }
            Step::Remove(id) => {
                self.members.retain(|member| member.id != id);
                self.down.remove(&id);
                self.last_fault = self.now;
            }
        }
    }

    /// How many should vote.
    fn wanted(&self) -> usize {
        let staying: Vec<&Member> = self.members.iter().filter(|member| !member.leaving).collect();
        let eligible = staying.iter().filter(|member| member.voter != VoterPreference::Never).count();
        let size = quorum_size(staying.len(), MAX_VOTERS).min(eligible);
        if size == 0 { 0 } else { size - (size + 1) % 2 }
    }

    fn judge_change(&self, voters: &BTreeSet<NodeId>, dead: &BTreeSet<NodeId>) -> Result<(), String> {
        let now = &self.quorum.voters;
        let living = |set: &BTreeSet<NodeId>| set.difference(dead).count();
        let may = |id: &NodeId| {
            let member = self.members.iter().find(|member| member.id == *id);
            member.is_some_and(|member| member.voter != VoterPreference::Never)
        };
        if voters.is_empty() || voters.len() < now.len().min(self.wanted()) {
            return Err(format!("{voters:?} are too few"));
        }
        if living(voters) * 2 <= voters.len() && living(now) * 2 > now.len() {
            return Err(format!("{voters:?} are mostly dead: {dead:?}"));
        }
        match voters.difference(now).find(|id| !may(id) || !self.quorum.caught_up.contains(id)) {
            Some(id) => Err(format!("{id} must not vote, or has no log")),
            None => Ok(()),
        }
    }

    fn judge_rest(&self, dead: &BTreeSet<NodeId>) -> Result<(), String> {
        if self.now - self.last_fault < SETTLED_AFTER {
            return Ok(());
        }
        let voters = &self.quorum.voters;
        let votable = |member: &&Member| !member.leaving && member.voter != VoterPreference::Never;
        let living = self.members.iter().filter(votable).filter(|member| self.is_up(member.id)).count();
        // A vote for one that never had the log would only make the quorum harder to reach.
        if living >= self.wanted() && voters.len() != self.wanted() {
            return Err(format!("{} vote instead of {}", voters.len(), self.wanted()));
        }
        let spare = self.members.iter().find(|member| {
            let free = !voters.contains(&member.id) && !dead.contains(&member.id) && self.is_up(member.id);
            free && !member.leaving && member.voter != VoterPreference::Never
        });
        match (voters.intersection(dead).next(), spare) {
            (Some(lost), Some(spare)) => Err(format!("{lost} is dead and votes, {} could", spare.name)),
            _ => Ok(()),
        }
    }
}
