//! `/livez`, `/readyz` and `/healthz`: named checks, in the words Kubernetes has for them.
//! Spec: <https://kubernetes.io/docs/reference/using-api/health-checks/>.

use std::{fmt::Write, sync::Arc};

use futures::future::BoxFuture;
use parking_lot::RwLock;

/// Answers `Err(why)` while something is not well.
pub type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Which of the three documents a check belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Would a restart help?
    Live,
    /// Should requests come here?
    Ready,
}

/// The checks of a server.
#[derive(Default)]
pub struct Health {
    checks: RwLock<Vec<(&'static str, Probe, Check)>>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.checks.read().iter().map(|(name, ..)| name)).finish()
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Is all well?
    pub ok: bool,
    /// One line a check.
    pub text: String,
}

impl Health {
    /// Adds a check; those of [`Probe::Live`] count for readiness too.
    pub fn add(&self, name: &'static str, probe: Probe, check: Check) {
        self.checks.write().push((name, probe, check));
    }

    /// Runs the checks of a document, or the one of this name; `None` where there is none of this name.
    pub async fn report(&self, document: &str, only: Option<&str>, excluded: &[&str]) -> Option<Report> {
        if only == Some("ping") {
            return Some(Report { ok: true, text: "ok".into() });
        }
        let ready = document != "livez";
        let checks: Vec<_> =
            self.checks.read().iter().filter(|(_, probe, _)| ready || *probe == Probe::Live).cloned().collect();
        let mut text = if only.is_none() { "[+]ping ok\n".to_owned() } else { String::new() };
        let (mut ok, mut found) = (true, only.is_none());
        for (name, _, check) in checks.iter().filter(|(name, ..)| only.is_none_or(|o| o == *name)) {
            found = true;
            let result = if excluded.contains(name) { Ok(()) } else { check().await };
            ok &= result.is_ok();
            _ = match result {
                Ok(()) => writeln!(text, "[+]{name} ok"),
                Err(_) => writeln!(text, "[-]{name} failed: reason withheld"),
            };
        }
        _ = write!(text, "{document} check {}", if ok { "passed" } else { "failed" });
        found.then_some(Report { ok, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(document: &str, only: Option<&str>, expect: Option<(bool, &str)>) {
        let health = Health::default();
        health.add("storage", Probe::Ready, Arc::new(|| Box::pin(async { Err("no quorum".to_owned()) })));
        let report = health.report(document, only, &[]).await;
        assert_eq!(report.as_ref().map(|r| (r.ok, r.text.as_str())), expect);
    }

    #[tokio::test]
    async fn tells_which_check_failed() {
        check("livez", None, Some((true, "[+]ping ok\nlivez check passed"))).await;
        let failed = "[+]ping ok\n[-]storage failed: reason withheld\nreadyz check failed";
        check("readyz", None, Some((false, failed))).await;
        check("readyz", Some("nothing"), None).await;
        check("readyz", Some("ping"), Some((true, "ok"))).await;
    }
}
