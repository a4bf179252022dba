//! `status.phase`. Main function: [`of`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase>.

use crate::{
    model::{Kind, RestartPolicy},
    pod::{
        run::Run,
        view::{Now, View},
    },
};

/// `status.phase`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not all containers have run.
    Pending,
    /// All have run, and one does or will again.
    Running,
    /// All have ended well for good.
    Succeeded,
    /// All have ended for good, one of them not well.
    Failed,
}

impl Phase {
    /// As in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    /// Whether it stays.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Running, Self::Succeeded, Self::Failed].into_iter().find(|phase| phase.as_str() == text)
    }
}

/// The phase that follows from the containers. `over`: none of them is started again.
pub(super) fn of(run: &Run<'_>, views: &[View<'_>], over: bool) -> Phase {
    if let Some(phase) = of_init(run, views) {
        return phase;
    }
    let mains = || views.iter().filter(|view| view.kind == Kind::Main);
    if mains().any(|view| matches!(view.now, Now::Absent | Now::Created) && view.before.is_none()) {
        return Phase::Pending;
    }
    let goes_on = |view: &View<'_>| match view.ended() {
        None => true,
        Some(code) => !over && view.restarts(run.input.pod, code),
    };
    if mains().any(goes_on) {
        Phase::Running
    } else if mains().all(|view| view.ended() == Some(0)) {
        Phase::Succeeded
    } else {
        Phase::Failed
    }
}

fn of_init(run: &Run<'_>, views: &[View<'_>]) -> Option<Phase> {
    let pod = run.input.pod;
    let sandbox = run.sandbox().map(|sandbox| sandbox.attempt);
    let initialized = run.history.initialized.is_some() && run.history.initialized == sandbox;
    let main_ran = views.iter().any(|view| view.kind == Kind::Main && !matches!(view.now, Now::Absent));
    let (mut pending, mut failed) = (false, false);
    for view in views.iter().filter(|view| view.kind == Kind::Init) {
        match (view.is_sidecar(), view.ended()) {
            (true, _) => {
                let up = view.started(&run.input, &run.history) || view.ended().is_some();
                pending |= !up && !initialized && !main_ran;
            }
            (false, Some(0)) => {}
            (false, Some(_)) => failed = true,
            (false, None) => pending = true,
        }
    }
    let never = |view: &View<'_>| view.spec.restart_policy.unwrap_or(pod.spec.restart_policy) == RestartPolicy::Never;
    let for_good =
        |view: &View<'_>| view.ended().is_some_and(|code| code != 0 && !view.restarts(pod, code)) && never(view);
    if views.iter().any(|view| view.kind == Kind::Init && !view.is_sidecar() && for_good(view)) {
        return Some(Phase::Failed);
    }
    (pending || failed).then_some(Phase::Pending)
}
