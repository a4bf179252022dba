//! Who is left after a recovery, applied to a real store.

use store::{Entry, Outcome, State};

use super::*;
use crate::{KeyFingerprint, fixture, removed};

fn cluster_of(incarnation: u64) -> Cluster {
    Cluster {
        id: "c1".into(),
        incarnation,
        pod_ranges: vec!["10.42.0.0/16".parse().unwrap()],
        service_ranges: Vec::new(),
        node_prefix: 24,
        domain: "cluster.local".into(),
    }
}

fn with_pods(id: u64, role: Role) -> Member {
    Member { pod_ranges: vec![format!("10.42.{id}.0/24").parse().unwrap()], ..fixture::member(id, role) }
}

fn apply(state: &mut State, command: &Command) {
    let index = state.applied().index + 1;
    let applied = state.apply(Entry { index, term: 1 }, command);
    assert!(matches!(applied.outcome, Outcome::Applied { .. }), "{:?}", applied.outcome);
}

/// Three voters, a standby and a worker.
fn state() -> State {
    let mut state = State::default();
    let roles = [Role::Voter, Role::Voter, Role::Voter, Role::Standby, Role::Worker];
    for (id, role) in (1..).zip(roles) {
        let mut command = crate::found(&cluster_of(0), &with_pods(id, role), &[], RequestId(id.into()));
        command.guards.clear();
        apply(&mut state, &command);
    }
    state
}

fn roles(state: &State) -> Vec<(u64, Role)> {
    members(&state.view()).iter().map(|member| (member.id.0, member.role)).collect()
}

fn gone(state: &State) -> Vec<u64> {
    removed(&state.view()).iter().map(|(id, _)| id.0).collect()
}

#[test]
fn a_survivor_votes_alone_and_forgets_who_voted_beside_it() {
    // Who voted last, as the log of the survivor has it, and who is forgotten.
    let rows: [(u64, &[u64], &[u64]); 3] =
        [(1, &[1, 2, 3], &[2, 3]), (2, &[1, 2, 4], &[1, 3, 4]), (5, &[], &[1, 2, 3])];
    for (survivor, voters, forgotten) in rows {
        let mut state = state();
        let voters = voters.iter().copied().map(NodeId).collect();
        let recovery = survive(&state.view(), NodeId(survivor), &voters, 7, RequestId(99)).unwrap();
        apply(&mut state, &recovery.command);
        let expected = (1..=5).filter(|id| !forgotten.contains(id));
        let expected: Vec<_> =
            expected.map(|id| (id, if id == survivor { Role::Voter } else { Role::Worker })).collect();
        assert_eq!((roles(&state), gone(&state)), (expected, forgotten.to_vec()), "survivor {survivor}");
        assert_eq!(cluster(&state.view()).unwrap().incarnation, 7);
    }
}

#[test]
fn a_restored_state_has_one_new_member_which_may_have_an_old_name() {
    let mut state = state();
    let new = Member { id: NodeId(9), key: KeyFingerprint([9; 32]), ..with_pods(2, Role::Voter) };
    let recovery = restore(&state.view(), new.clone(), 3, RequestId(99)).unwrap();
    apply(&mut state, &recovery.command);
    assert_eq!(members(&state.view()), [new]);
    assert_eq!(gone(&state), [1, 2, 3, 4, 5]);
    assert_eq!(cluster(&state.view()).unwrap().incarnation, 3);
}

#[test]
fn what_is_no_cluster_or_no_member_is_refused() {
    let (none, some) = (State::default(), state());
    let survive = |state: &State| survive(&state.view(), NodeId(8), &BTreeSet::new(), 1, RequestId(1)).unwrap_err();
    assert_eq!(survive(&none), RecoveryRefused::Unfounded);
    assert_eq!(survive(&some), RecoveryRefused::NoMember(NodeId(8)));
}
