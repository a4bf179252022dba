//! What is to be done, executable without choices. Main types: [`Lane`], [`Step`].
//!
//! Lanes run at the same time. The steps of a lane run in order; the first that fails ends its lane. At most one lane of a
//! key is in flight. Whoever runs them plans again after each lane, with the results; a plan may say again what is under way.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;

use crate::{
    observed::Image,
    probe::Check,
    spec::{ContainerSpec, SandboxSpec},
    volume::VolumeSet,
};

/// Steps that run in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// What it is about.
    pub key: LaneKey,
    /// In order.
    pub steps: Vec<Step>,
    /// A lane of the same key that is in flight is left to run if its deadline is this one or earlier. Else (it has none, or a later one) it is
    /// abandoned, and this one runs. `None` never displaces anything. No steps: it is only abandoned, which counts as its end.
    pub deadline: Option<Timestamp>,
}

/// What a lane is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum LaneKey {
    /// Volumes, network, sandbox, the end.
    Pod,
    /// Life of the container of a name.
    Container(String),
    /// A probe of the container of a name.
    Probe(String, crate::probe::Sort),
    /// Reading and removing what ended, by the container's name.
    Ended(String),
    /// Refreshing files in volumes of a pod that runs.
    Refresh,
}

/// One thing to do. Each may be repeated.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Make the folders and write the files; then [`crate::observed::Volumes::Ready`] has the set's fingerprint. A failure reads
    /// `MountVolume.SetUp failed for volume "x" : ...`.
    PrepareVolumes(VolumeSet),
    /// Give the pod a network of its own.
    AttachNetwork,
    /// Make a sandbox.
    RunSandbox(SandboxSpec),
    /// Get an image. Answer [`Outcome::Pulled`].
    PullImage {
        /// The reference, as in the spec.
        reference: String,
        /// Which container it is for.
        container: String,
        /// Which attempt of it.
        attempt: u32,
        /// Names of Secrets (`kubernetes.io/dockerconfigjson`) that may open the registry.
        secrets: Vec<String>,
        /// Whether any image of that name will do: other nodes may be asked for theirs.
        any: bool,
    },
    /// Write the small files, make the folders, then make the container.
    CreateContainer {
        /// What has to be there first, in order.
        prepare: Vec<Prepare>,
        /// The container.
        spec: Box<ContainerSpec>,
    },
    /// Start it.
    StartContainer(Target),
    /// Ask it to end with its stop signal, kill it at the deadline, return when it has ended.
    StopContainer {
        /// Which.
        target: Target,
        /// When it is to be killed.
        deadline: Timestamp,
        /// The least time between asking and killing.
        grace_min: Duration,
    },
    /// Forget a container that ended. Its log file goes too if `log` is given.
    RemoveContainer {
        /// Which.
        target: Target,
        /// The log to remove.
        log: Option<PathBuf>,
    },
    /// Kill what runs in a sandbox and take its namespaces away.
    StopSandbox {
        /// Which.
        id: String,
    },
    /// Forget a sandbox and its containers.
    RemoveSandbox {
        /// Which.
        id: String,
    },
    /// Take the pod's network away.
    DetachNetwork,
    /// Unmount and remove `<pods_dir>/<uid>`, but for the history.
    RemoveVolumes,
    /// Run a hook.
    RunHook {
        /// Whose.
        target: Target,
        /// Which.
        hook: Hook,
        /// What it does.
        action: HookAction,
        /// When it has failed; `None`: it takes what it takes.
        timeout: Option<Duration>,
    },
    /// Run a probe. Answer [`Outcome::Probed`].
    Probe {
        /// Whose.
        target: Target,
        /// Which.
        sort: crate::probe::Sort,
        /// What it does.
        check: Check,
        /// When it has failed.
        timeout: Duration,
    },
    /// Read a container's last words. Answer [`Outcome::Text`].
    ReadTerminationMessage {
        /// Whose.
        target: Target,
        /// The file on the host.
        file: PathBuf,
        /// At most so many bytes of it, from its start.
        bytes_max: usize,
        /// If the file is empty: the end of this log instead, at most [`LOG_LINES_MAX`] lines and [`LOG_BYTES_MAX`] bytes.
        log: Option<PathBuf>,
    },
    /// Delete the Pod from the API: grace 0, precondition this uid.
    Confirm {
        /// The pod's uid.
        uid: String,
    },
}

/// Most lines of a log that stand for a termination message; upstream's number.
pub const LOG_LINES_MAX: usize = 80;

/// Most bytes of a log that stand for a termination message; upstream's number.
pub const LOG_BYTES_MAX: usize = 2048;

/// One attempt of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Its name in the pod.
    pub name: String,
    /// How many there were before.
    pub attempt: u32,
    /// Its id; `None`: the one that a step before it in the lane made.
    pub id: Option<String>,
}

/// What has to be there before a container is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepare {
    /// A file, replaced if it differs. Parents are made.
    File {
        /// Absolute.
        path: PathBuf,
        /// Content.
        text: String,
        /// Permissions.
        mode: u32,
    },
    /// A folder within a volume that a container may have changed: made without following links out of `root`.
    SubPath {
        /// The volume's folder.
        root: PathBuf,
        /// Relative to it; has no `..`.
        path: PathBuf,
        /// Permissions of what is made.
        mode: u32,
    },
}

/// Which hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// After the start.
    PostStart,
    /// Before the stop.
    PreStop,
}

/// What a hook does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookAction {
    /// As a probe does; an HTTP answer of 400 or more is a failure.
    Check(Check),
    /// Wait.
    Sleep(Duration),
}

/// What came of a step. Handed to the next plan once; a lost one does no harm.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// The step.
    pub step: Step,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It is not done.
    Failed {
        /// Why, as users read it.
        message: String,
    },
    /// The image is there.
    Pulled(Image),
    /// A probe ran.
    Probed(crate::probe::Answer),
    /// What was read.
    Text(String),
}
