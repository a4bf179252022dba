//! A host's promises: no key lost, failures retried, panics contained.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::sync::mpsc;

use super::*;
use crate::stage::Stage;

struct Probe {
    ran: mpsc::Sender<&'static str>,
    fail_first: Arc<AtomicUsize>,
}

impl Work for Probe {
    type Key = &'static str;

    fn run(&self, key: Self::Key) -> BoxFuture<'_, Result<Next, Error>> {
        Box::pin(async move {
            self.ran.send(key).await?;
            match key {
                "panic" => panic!("as asked"),
                "hang" => std::future::pending().await,
                "fail" if self.fail_first.fetch_sub(1, SeqCst) > 0 => Err("as asked".into()),
                _ => Ok(Next::Done),
            }
        })
    }
}

/// Refreshes the keys and returns the first runs, with the host's observation.
fn observe(keys: &[&'static str], expected_runs: usize) -> (Vec<&'static str>, usize, Observation) {
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
    let stage = Stage::open(&runtime).unwrap();
    let (sender, mut ran) = mpsc::channel(16);
    let (builds, fails) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(1)));
    let counted = builds.clone();
    let rules = Rules { name: "probe", deadline: Duration::from_millis(50), resync: None };
    let handle = stage.host(rules, move || {
        counted.fetch_add(1, SeqCst);
        Probe { ran: sender.clone(), fail_first: fails.clone() }
    });
    let seen = runtime.block_on(async {
        keys.iter().for_each(|key| handle.refresh(key));
        let mut runs = Vec::new();
        for _ in 0..expected_runs {
            runs.push(tokio::time::timeout(Duration::from_secs(10), ran.recv()).await.unwrap().unwrap());
        }
        // The last run's end is seen by asking until it is counted.
        let observation = loop {
            let observation = handle.observe().await.unwrap();
            if observation.runs + observation.errors + observation.rebuilt >= expected_runs as u64 {
                break observation;
            }
            tokio::task::yield_now().await;
        };
        (runs, builds.load(SeqCst), observation)
    });
    runtime.block_on(handle.stop());
    seen
}

#[test]
fn every_key_runs_although_the_mailbox_holds_one_wake_up() {
    let (mut runs, builds, seen) = observe(&["a", "b", "c"], 3);
    runs.sort_unstable();
    assert_eq!((runs.as_slice(), builds, seen.runs), (["a", "b", "c"].as_slice(), 1, 3));
}

#[test]
fn a_failed_key_is_tried_again() {
    let (runs, builds, seen) = observe(&["fail"], 2);
    assert_eq!((runs.len(), builds, seen.errors, seen.runs), (2, 1, 1, 1));
}

#[test]
fn a_panic_builds_the_work_anew_and_three_set_the_key_aside() {
    let (_, builds, seen) = observe(&["panic"], 3);
    assert_eq!((builds, seen.rebuilt, seen.aside), (3, 3, vec!["\"panic\"".to_owned()]));
}

#[test]
fn a_run_without_progress_is_ended() {
    let (_, _, seen) = observe(&["hang"], 1);
    assert_eq!(seen.last_error.as_deref(), Some("no progress within its deadline"));
}
