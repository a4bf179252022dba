//! Admission, refusal and removal, applied to a real store.

use store::{Entry, Outcome, Refusal, State};

use super::*;
use crate::fixture;

const NOW: i64 = 1_000_000;

fn test_cluster() -> Cluster {
    Cluster {
        id: "c1".into(),
        incarnation: 0,
        pod_ranges: vec!["10.42.0.0/16".parse().unwrap()],
        service_ranges: vec!["10.43.0.0/16".parse().unwrap()],
        node_prefix: 24,
        domain: "cluster.local".into(),
    }
}

fn candidate(id: u64, name: &str) -> Candidate {
    Candidate {
        id: NodeId(id),
        key: KeyFingerprint([id as u8; 32]),
        name: name.into(),
        addresses: Vec::new(),
        api_addresses: Vec::new(),
        voter: VoterPreference::Auto,
        zone: String::new(),
        labels: BTreeMap::new(),
        replace: false,
        token_id: "many".into(),
        token_hash: "secret".into(),
    }
}

/// A founded cluster with the tokens `many`, `once` and `old`.
struct World {
    state: State,
    index: u64,
}

impl World {
    fn new() -> Self {
        let mut world = Self { state: State::default(), index: 0 };
        let cluster = test_cluster();
        let first = Member { pod_ranges: first_pod_ranges(&cluster), role: Role::Voter, ..plain(1, "n1") };
        assert!(world.apply(found(&cluster, &first, &[("node-ca", vec![1])], RequestId(1))));
        for (id, once, expires) in [("many", false, NOW + 1), ("once", true, NOW + 1), ("old", false, NOW)] {
            let secret_hash = "secret".into();
            let token = TokenRecord { id: id.into(), secret_hash, created: 0, expires, once, used_by: None };
            let request = RequestId(world.index as u128 + 100);
            let ops = vec![put(keys::token(id), &token)];
            assert!(world.apply(Command { request, guards: Vec::new(), ops }));
        }
        world
    }

    fn apply(&mut self, command: Command) -> bool {
        self.index += 1;
        let applied = self.state.apply(Entry { index: self.index, term: 1 }, &command);
        matches!(applied.outcome, Outcome::Applied { .. })
    }

    fn admit(&mut self, candidate: &Candidate) -> Result<Member, Refused> {
        let request = RequestId(u128::from(self.index) + 1_000);
        match admit(&self.state.view(), candidate, NOW, request)? {
            Admission::Already(member) => Ok(member),
            Admission::Admit(member, command) => {
                assert!(self.apply(command));
                Ok(*member)
            }
        }
    }
}

fn plain(id: u64, name: &str) -> Member {
    Member { name: name.into(), ..fixture::member(id, Role::Worker) }
}

#[test]
fn a_node_with_a_token_becomes_a_member_with_a_pod_range_of_its_own() {
    let mut world = World::new();
    let member = world.admit(&candidate(2, "n2")).unwrap();
    assert_eq!(member.pod_ranges, ["10.42.1.0/24".parse().unwrap()]);
    assert_eq!(world.admit(&candidate(2, "n2")).unwrap(), member, "joining again changes nothing");
    assert_eq!(members(&world.state.view()).len(), 2);
}

#[test]
fn bad_candidates_are_refused_with_the_reason() {
    let mut world = World::new();
    let token =
        |id: &str, secret: &str| Candidate { token_id: id.into(), token_hash: secret.into(), ..candidate(9, "n9") };
    assert_eq!(world.admit(&token("none", "secret")), Err(Refused::UnknownToken));
    assert_eq!(world.admit(&token("many", "guess")), Err(Refused::WrongSecret));
    assert_eq!(world.admit(&token("old", "secret")), Err(Refused::Expired));
    let taken = Refused::NameTaken { name: "n1".into(), holder: NodeId(1) };
    assert_eq!(world.admit(&candidate(9, "n1")), Err(taken));
    world.admit(&Candidate { token_id: "once".into(), ..candidate(2, "n2") }).unwrap();
    assert_eq!(world.admit(&token("once", "secret")), Err(Refused::Used("n2".into())));
}

#[test]
fn two_voters_cannot_spend_one_token_twice() {
    let mut world = World::new();
    let once = |id, name| Candidate { token_id: "once".into(), ..candidate(id, name) };
    let view = world.state.view();
    let commands = [once(2, "n2"), once(3, "n3")].map(|c| admit(&view, &c, NOW, RequestId(c.id.0.into())).unwrap());
    let applied = commands.map(|admission| match admission {
        Admission::Admit(_, command) => {
            world.apply(Command { request: RequestId(world.index as u128 + 500), ..command })
        }
        Admission::Already(_) => false,
    });
    assert_eq!(applied, [true, false]);
}

#[test]
fn a_removed_id_or_key_is_refused_for_ever_but_its_name_and_range_are_free() {
    let mut world = World::new();
    let member = world.admit(&candidate(2, "n2")).unwrap();
    assert!(world.apply(remove(&member, RequestId(77))));
    assert_eq!(world.admit(&candidate(2, "n2")), Err(Refused::Removed(NodeId(2))));
    assert_eq!(removed(&world.state.view()), [(NodeId(2), KeyFingerprint([2; 32]))]);
    let stolen = Candidate { key: KeyFingerprint([2; 32]), ..candidate(3, "n3") };
    assert_eq!(world.admit(&stolen), Err(Refused::Removed(NodeId(3))));
    assert_eq!(world.admit(&candidate(4, "n2")).unwrap().pod_ranges, member.pod_ranges);
}

#[test]
fn replace_retires_the_holder_of_the_name_in_the_same_transaction() {
    let mut world = World::new();
    world.admit(&candidate(2, "n2")).unwrap();
    world.admit(&Candidate { replace: true, ..candidate(3, "n2") }).unwrap();
    let ids: Vec<_> = members(&world.state.view()).into_iter().map(|member| member.id.0).collect();
    assert_eq!(ids, [1, 3]);
    assert_eq!(world.admit(&Candidate { replace: true, ..candidate(2, "n2") }), Err(Refused::Removed(NodeId(2))));
}

#[test]
fn founding_happens_once() {
    let mut world = World::new();
    let command = found(&test_cluster(), &plain(5, "n5"), &[], RequestId(78));
    world.index += 1;
    let applied = world.state.apply(Entry { index: world.index, term: 1 }, &command);
    assert_eq!(applied.outcome, Outcome::Refused(Refusal::Guard(0)));
}
