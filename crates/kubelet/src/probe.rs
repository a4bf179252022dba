//! Probes: when each runs and what its answers mean. Main type: [`State`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes>.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    model::{Container, Probe},
    text::{later, seconds},
};

mod lookup;

pub use lookup::{check, hook};

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sort {
    /// The others wait for it.
    Startup,
    /// Its failure restarts the container.
    Liveness,
    /// Its success makes it ready.
    Readiness,
}

/// What a probe or hook does, with nothing left to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Run a command in the container.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
    },
    /// GET; 200 to 399 succeeds. Certificates are not verified. Redirects to another host count as success with a warning.
    Http {
        /// Over TLS.
        tls: bool,
        /// Address or name.
        host: String,
        /// Port.
        port: u16,
        /// Path and query, starts with `/`.
        path: String,
        /// Headers, those of the spec first. `Host` among them is to be sent as the request's host.
        headers: Vec<(String, String)>,
    },
    /// Connect.
    Tcp {
        /// Address or name.
        host: String,
        /// Port.
        port: u16,
    },
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        /// Address.
        host: String,
        /// Port.
        port: u16,
        /// Service, or empty.
        service: String,
    },
    /// It cannot be run at all, as when a named port does not exist; fails with this.
    Impossible {
        /// Why.
        message: String,
    },
}

/// What a probe answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Good.
    Success,
    /// Good, with something to tell.
    Warning(String),
    /// Bad: exit code, status code, refused connection; with its output, at most 10 KiB.
    Failure(String),
    /// It could not be carried out; counts as bad.
    Error(String),
}

/// Where a probe of one attempt of a container is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Which attempt.
    pub attempt: u32,
    /// What counts now; `None` before the first that counts.
    pub result: Option<bool>,
    /// Equal answers in a row, and which.
    pub run: u32,
    /// What those answers were.
    pub last: bool,
    /// When it is due again; `None` before the first.
    pub next_at: Option<Timestamp>,
}

/// What an answer has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing new.
    None,
    /// The result has changed.
    Result,
    /// A liveness or startup probe has failed for good: the container is to be restarted.
    Restart,
}

impl Sort {
    /// As events say.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }

    /// The probe of this sort.
    #[must_use]
    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
        }
    }

    /// All, the one that the others wait for first.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Liveness, Self::Readiness];
}

impl State {
    /// When it is next to run, for a container that runs since `started_at`. What lies further ahead than a probe ever waits was
    /// noted before the clock went back, and does not count.
    #[must_use]
    pub fn due(&self, probe: &Probe, started_at: Timestamp, now: Timestamp) -> Timestamp {
        let first = if started_at > now { now } else { later(started_at, seconds(probe.initial_delay_seconds)) };
        let next = self.next_at.filter(|next| *next <= later(now, seconds(probe.period_seconds.max(1))));
        next.map_or(first, |next| next.max(first))
    }

    /// Takes an answer that came at `now` to a question asked at `asked_at`.
    pub fn take(&mut self, sort: Sort, probe: &Probe, answer: &Answer, asked_at: Timestamp) -> Change {
        let good = matches!(answer, Answer::Success | Answer::Warning(_));
        self.run = if self.run > 0 && self.last == good { self.run.saturating_add(1) } else { 1 };
        self.last = good;
        self.next_at = Some(later(asked_at, seconds(probe.period_seconds.max(1))));
        let threshold = if good { probe.success_threshold } else { probe.failure_threshold };
        if i64::from(self.run) < threshold.max(1) || self.result == Some(good) {
            return Change::None;
        }
        self.result = Some(good);
        if good || sort == Sort::Readiness { Change::Result } else { Change::Restart }
    }
}

/// What an event says of an answer: reason and message. Nothing for a success.
#[must_use]
pub fn told(sort: Sort, answer: &Answer) -> Option<(&'static str, String)> {
    let sort = sort.as_str();
    match answer {
        Answer::Success => None,
        Answer::Warning(text) => Some(("ProbeWarning", format!("{sort} probe warning: {text}"))),
        Answer::Failure(text) => Some(("Unhealthy", format!("{sort} probe failed: {text}"))),
        Answer::Error(text) => {
            Some(("Unhealthy", format!("{sort} probe errored and resulted in unknown state: {text}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use jiff::SignedDuration;
    use serde_json::{Value, json};

    use super::*;

    fn probe(fields: Value) -> Probe {
        serde_json::from_value(fields).unwrap()
    }

    /// `+` success, `-` failure, each a period apart; the changes as `.`, `r`esult, `R`estart.
    fn check_run(sort: Sort, fields: Value, answers: &str, expect: &str, result: Option<bool>) {
        let (probe, mut state) = (probe(fields), State::default());
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut found = String::new();
        for answer in answers.chars() {
            let answer = if answer == '+' { Answer::Success } else { Answer::Failure("no".into()) };
            let at = state.due(&probe, start, state.next_at.unwrap_or(start));
            found.push(match state.take(sort, &probe, &answer, at) {
                Change::None => '.',
                Change::Result => 'r',
                Change::Restart => 'R',
            });
            assert_eq!(state.next_at, Some(later(at, seconds(probe.period_seconds))));
        }
        assert_eq!((found.as_str(), state.result), (expect, result), "{answers}");
    }

    #[test]
    fn thresholds_count_answers_in_a_row() {
        check_run(Sort::Readiness, json!({}), "+", "r", Some(true));
        check_run(Sort::Readiness, json!({}), "+--+--+---", "r........r", Some(false));
        check_run(Sort::Readiness, json!({"successThreshold": 2}), "+-++", "...r", Some(true));
        check_run(Sort::Liveness, json!({}), "--+---", "..r..R", Some(false));
        check_run(Sort::Startup, json!({"failureThreshold": 1}), "-", "R", Some(false));
        check_run(Sort::Readiness, json!({"failureThreshold": 2}), "---", ".r.", Some(false));
    }

    #[test]
    fn the_first_waits_for_its_delay() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let probe = probe(json!({"initialDelaySeconds": 7}));
        assert_eq!(State::default().due(&probe, start, start), later(start, seconds(7)));
    }

    #[test]
    fn a_clock_that_went_back_delays_nothing() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let probe = probe(json!({"initialDelaySeconds": 7, "periodSeconds": 5}));
        let check = |started: i64, next: Option<i64>, now: i64, expect: i64| {
            let at = |second: i64| start.checked_add(SignedDuration::from_secs(second)).unwrap();
            let state = State { next_at: next.map(at), ..State::default() };
            assert_eq!(state.due(&probe, at(started), at(now)), at(expect), "{started} {next:?} {now}");
        };
        check(0, Some(105), 100, 105);
        check(0, Some(90), 100, 90);
        check(0, Some(700), 100, 7);
        check(600, None, 100, 100);
        check(600, Some(105), 100, 105);
        check(600, Some(700), 100, 100);
    }

    #[test]
    fn events_are_those_of_upstream() {
        let check = |answer: Answer, expect: Option<(&'static str, &str)>| {
            assert_eq!(told(Sort::Liveness, &answer), expect.map(|(reason, text)| (reason, text.to_owned())));
        };
        check(Answer::Success, None);
        check(
            Answer::Failure("HTTP probe failed with statuscode: 500".into()),
            Some(("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500")),
        );
        check(
            Answer::Error("x".into()),
            Some(("Unhealthy", "Liveness probe errored and resulted in unknown state: x")),
        );
        check(Answer::Warning("x".into()), Some(("ProbeWarning", "Liveness probe warning: x")));
    }

    #[test]
    fn names_and_addresses_are_looked_up() {
        let container: Container =
            serde_json::from_value(json!({"ports": [{"name": "web", "containerPort": 8080}]})).unwrap();
        let ip = Some(IpAddr::from([10, 0, 0, 3]));
        let found = check(
            &probe(json!({"httpGet": {"port": "web", "path": "ok", "httpHeaders": [{"name": "Host", "value": "h"}]}})),
            &container,
            ip,
        );
        let headers = [("Host", "h"), ("User-Agent", "kube-probe/1.36"), ("Accept", "*/*")]
            .map(|(name, value)| (name.into(), value.into()));
        assert_eq!(
            found,
            Check::Http {
                tls: false,
                host: "10.0.0.3".into(),
                port: 8080,
                path: "/ok".into(),
                headers: headers.into()
            }
        );
        let missing = check(&probe(json!({"tcpSocket": {"port": "http"}})), &container, ip);
        assert_eq!(missing, Check::Impossible { message: "strconv.Atoi: parsing \"http\": invalid syntax".into() });
        assert_eq!(
            check(&probe(json!({"tcpSocket": {"port": 5, "host": "x"}})), &container, None),
            Check::Tcp { host: "x".into(), port: 5 }
        );
    }
}
