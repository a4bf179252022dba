//! Wire forms: stored samples stay readable and are still what is written; garbage is refused.

use std::{env, fs, path::PathBuf};

use proptest::prelude::*;

use crate::suite::{command, put, put_indexed};
use crate::wire::{CHUNK_LIMIT_BYTES, decode_command, decode_outcome, encode_command, encode_outcome};
use crate::{Command, Entry, Guard, Op, Outcome, Refusal, Restore, RestoreError, Revision, State};

/// Set to write the samples anew, which only a new version may need.
const WRITE_SAMPLES: &str = "MESH_WRITE_SAMPLES";

fn every_command() -> Command {
    let (a, one) = ("/a", "one");
    let guards = vec![
        Guard::Unchanged(a.into(), Revision(300)),
        Guard::Absent(a.into()),
        Guard::Present(a.into()),
        Guard::NoneUnder(a.into()),
        Guard::Flag(a.into(), one.into()),
        Guard::Term(7),
    ];
    let ops = vec![
        put_indexed(a, "text", &[("node", "n1")]),
        Op::Delete(a.into()),
        Op::Claim { name: a.into(), owner: one.into() },
        Op::Release { name: a.into(), owner: one.into() },
        Op::Count { name: a.into(), delta: -2, ceiling: Some(9) },
        Op::SetFlag(a.into(), one.into()),
    ];
    command(u128::MAX - 1, guards, ops)
}

fn outcomes() -> [Outcome; 4] {
    [
        Outcome::Applied { revision: Revision(300) },
        Outcome::Refused(Refusal::Guard(2)),
        Outcome::Refused(Refusal::Claimed { name: "ip".into(), holder: "one".into() }),
        Outcome::Refused(Refusal::Ceiling { name: "n".into(), value: 3 }),
    ]
}

fn small_state() -> State {
    let mut state = State::default();
    let claim = |owner: &str| Op::Claim { name: "ip".into(), owner: owner.into() };
    let count = Op::Count { name: "n".into(), delta: 2, ceiling: None };
    let commands = [
        vec![put_indexed("/a", "1", &[("node", "n1")]), put("/b", "1")],
        vec![put("/a", "2"), claim("one"), count, Op::SetFlag("f".into(), "1".into())],
        vec![put("/a", "3"), Op::Delete("/b".into())],
        vec![claim("two")],
    ];
    for (n, ops) in (1..).zip(commands) {
        state.apply(Entry { index: n, term: 2 }, &command(u128::from(n), vec![], ops));
    }
    state
}

/// The stored sample, which is also what is written today.
fn check_sample(name: &str, written: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name);
    if env::var_os(WRITE_SAMPLES).is_some() {
        fs::write(&path, written).unwrap();
    }
    let stored = fs::read(&path).unwrap();
    assert_eq!(written, stored, "{name} is written otherwise than stored: it needs a new version");
    stored
}

#[test]
fn reads_the_stored_samples() {
    let stored = check_sample("command-v1.bin", &encode_command(&every_command()).unwrap());
    assert_eq!(decode_command(&stored).unwrap(), every_command());
    for (place, outcome) in outcomes().into_iter().enumerate() {
        let stored = check_sample(&format!("outcome-v1-{place}.bin"), &encode_outcome(&outcome).unwrap());
        assert_eq!(decode_outcome(&stored).unwrap(), outcome);
    }
}

#[test]
fn restores_the_stored_snapshot() {
    let mut restore = Restore::default();
    for (place, chunk) in small_state().snapshot().chunks().enumerate() {
        restore.push(&check_sample(&format!("snapshot-v1-{place}.bin"), &chunk.unwrap())).unwrap();
    }
    assert_eq!(restore.finish().unwrap(), small_state());
}

#[test]
fn refuses_a_snapshot_with_a_part_missing() {
    let chunks: Vec<_> = small_state().snapshot().chunks().map(Result::unwrap).collect();
    for missing in 0..chunks.len() {
        let mut restore = Restore::default();
        let kept = chunks.iter().enumerate().filter(|(place, _)| *place != missing);
        let pushed = kept.map(|(_, chunk)| chunk).try_for_each(|chunk| restore.push(chunk));
        let restored = pushed.and_then(|()| restore.finish());
        assert!(matches!(restored, Err(RestoreError::Damaged(_) | RestoreError::CutOff(_))), "without {missing}");
    }
}

#[test]
fn chunks_of_a_large_state_are_bounded() {
    let mut state = State::default();
    let text = "x".repeat(10_000);
    for n in 1..=300 {
        let key = format!("/{}", n % 150);
        let op = put(&key, &format!("{text}{n}"));
        state.apply(Entry { index: n, term: 1 }, &command(u128::from(n), vec![], vec![op]));
    }
    let sizes: Vec<_> = state.snapshot().chunks().map(|chunk| chunk.unwrap().len()).collect();
    assert!(sizes.len() > 10 && sizes.iter().all(|size| *size < CHUNK_LIMIT_BYTES / 40), "{sizes:?}");
    // Twice the records would say that the window repeats what the state has.
    assert!(sizes.iter().sum::<usize>() < 310 * text.len());
}

proptest! {
    #[test]
    fn garbage_is_refused_and_never_panics(mut bytes: Vec<u8>, place: usize, value: u8) {
        let _ = (decode_command(&bytes), decode_outcome(&bytes), Restore::default().push(&bytes).is_ok());
        bytes.insert(0, 1);
        let _ = (decode_command(&bytes), decode_outcome(&bytes), Restore::default().push(&bytes).is_ok());
        let good = encode_command(&every_command()).unwrap();
        prop_assert!(decode_command(&[&good[..], &[0]].concat()).is_err());
        prop_assert!(decode_command(&good[..place % good.len()]).is_err());
        let mut flipped = good.clone();
        flipped[place % good.len()] = value;
        let _ = decode_command(&flipped);
    }
}
