//! Carries out single steps of a plan. Main type: [`Steps`], for one lane. Nothing is decided here.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::kubelet::observed::{Network, Volumes};
use ::kubelet::step::{HookAction, LOG_BYTES_MAX, LOG_LINES_MAX, Outcome, Step, Target};
use ::kubelet::volume::VolumeSet;
use api::kinds::pod::POD;
use runtime::{ContainerId, Credentials, RuntimeError, SandboxId, log::Entry};
use serde_json::json;
use tokio::time::timeout;

use super::checks::Checks;
use super::keeper::Keeper;
use super::machine::Machine;
use super::network::told;
use super::{convert, until, volumes};

/// How much of a log's end is looked at for last words: [`LOG_LINES_MAX`] lines of some length each.
const LOG_TAIL_BYTES: u64 = 64 << 10;

/// Steps of one lane.
pub struct Steps<'a> {
    machine: &'a Arc<Machine>,
    keeper: &'a Arc<Keeper>,
    /// The container that a step of this lane made.
    made: Option<ContainerId>,
}

impl std::fmt::Debug for Steps<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steps").field("pod", &self.keeper.uid).finish_non_exhaustive()
    }
}

/// A step that was not done; its text is what users read.
struct Failure(String);

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        match &error {
            RuntimeError::Start { message } => Self(convert::start_error(message)),
            other => Self(told(other)),
        }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self(message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl<'a> Steps<'a> {
    /// For one lane.
    pub fn new(machine: &'a Arc<Machine>, keeper: &'a Arc<Keeper>) -> Self {
        Self { machine, keeper, made: None }
    }

    /// Carries out a step.
    pub async fn run(&mut self, step: &Step) -> Outcome {
        let done = match step {
            Step::PullImage { reference, secrets, .. } => return self.pull(reference, secrets).await,
            Step::Probe { target, check, timeout, .. } => {
                return Outcome::Probed(self.checks(target).probe(check, *timeout).await);
            }
            Step::ReadTerminationMessage { file, bytes_max, log, .. } => {
                return last_words(file.clone(), *bytes_max, log.clone()).await;
            }
            Step::PrepareVolumes(set) => self.prepare_volumes(set).await,
            Step::RemoveVolumes => self.remove_volumes().await,
            Step::AttachNetwork => self.attach().await,
            Step::DetachNetwork => self.detach().await,
            Step::RunHook { target, action, timeout, .. } => self.hook(target, action, *timeout).await,
            Step::Confirm { uid } => self.confirm(uid).await,
            runtime => self.ask_runtime(runtime).await,
        };
        match done {
            Ok(()) => Outcome::Done,
            Err(Failure(message)) => Outcome::Failed { message },
        }
    }

    async fn ask_runtime(&mut self, step: &Step) -> Result<(), Failure> {
        let runtime = &self.machine.runtime;
        match step {
            Step::RunSandbox(spec) => drop(runtime.run_sandbox(&convert::sandbox_spec(spec)).await?),
            Step::CreateContainer { prepare, spec } => {
                volumes::prepare::all(prepare.clone()).await?;
                if let Some(folder) = spec.log_path.parent() {
                    fs::create_dir_all(folder)?;
                }
                let created = runtime.create(&convert::container_spec(spec)).await;
                if matches!(created, Err(RuntimeError::ImageMissing(_))) {
                    self.machine.listing.forget_images();
                }
                self.made = Some(created?);
            }
            Step::StartContainer(target) => runtime.start(&self.id(target)?).await?,
            Step::StopContainer { target, deadline, grace_min } => {
                runtime.stop(&self.id(target)?, until(*deadline).max(*grace_min)).await?;
            }
            Step::RemoveContainer { target, log } => {
                runtime.remove(&self.id(target)?).await?;
                if let Some(log) = log {
                    remove_log(log)?;
                }
            }
            Step::StopSandbox { id } => runtime.stop_sandbox(&SandboxId::from(id.clone())).await?,
            Step::RemoveSandbox { id } => runtime.remove_sandbox(&SandboxId::from(id.clone())).await?,
            other => return Err(Failure(format!("no such request of a runtime: {other:?}"))),
        }
        Ok(())
    }

    fn id(&self, target: &Target) -> Result<ContainerId, Failure> {
        let made = || self.made.clone();
        let id = target.id.clone().map(ContainerId::from).or_else(made);
        id.ok_or_else(|| Failure(format!("container {:?} was not made", target.name)))
    }

    fn checks(&self, target: &Target) -> Checks<'_> {
        let id = target.id.clone().map(ContainerId::from).or_else(|| self.made.clone()).unwrap_or_default();
        Checks { runtime: &*self.machine.runtime, container: id }
    }

    async fn pull(&self, reference: &str, secrets: &[String]) -> Outcome {
        let namespace = self.keeper.pod_ref().namespace;
        let known = self.machine.references.credentials(&namespace, secrets, reference).await;
        // Without any it is asked for as nobody.
        let mut tries: Vec<Option<Credentials>> = known.into_iter().map(Some).collect();
        if tries.is_empty() {
            tries.push(None);
        }
        let mut message = String::new();
        for credentials in tries {
            match self.machine.runtime.pull(reference, credentials.as_ref()).await {
                Ok(image) => {
                    self.machine.listing.forget_images();
                    return Outcome::Pulled(convert::image(image));
                }
                Err(error) => message = told(&error),
            }
        }
        Outcome::Failed { message }
    }

    async fn prepare_volumes(&self, set: &VolumeSet) -> Result<(), Failure> {
        let pod = self.keeper.pod_ref();
        let before = self.keeper.inner.lock().tokens.clone();
        let mut writer = volumes::Writer { machine: self.machine, pod: &pod, tokens: before };
        writer.prepare(set).await?;
        let mut inner = self.keeper.inner.lock();
        inner.tokens = writer.tokens;
        inner.volumes = Volumes::Ready { fingerprint: set.fingerprint };
        Ok(())
    }

    async fn remove_volumes(&self) -> Result<(), Failure> {
        let dir = self.machine.pod_dir(&self.keeper.uid);
        volumes::mounts::blocking(move || volumes::remove(&dir)).await?;
        self.keeper.inner.lock().volumes = Volumes::Absent;
        Ok(())
    }

    fn network(&self) -> Result<Arc<dyn super::network::Network>, Failure> {
        let network = self.machine.network.borrow().clone();
        network.ok_or_else(|| Failure("the pods' network is not ready".to_owned()))
    }

    async fn attach(&self) -> Result<(), Failure> {
        let attachment = self.network()?.attach(&self.keeper.uid).await?;
        let network = Network { namespace: attachment.netns, addresses: attachment.addresses };
        self.keeper.inner.lock().network = Some(network);
        Ok(())
    }

    async fn detach(&self) -> Result<(), Failure> {
        self.network()?.detach(&self.keeper.uid).await?;
        self.keeper.inner.lock().network = None;
        Ok(())
    }

    async fn hook(&self, target: &Target, action: &HookAction, limit: Option<Duration>) -> Result<(), Failure> {
        let run = async {
            match action {
                HookAction::Sleep(duration) => {
                    tokio::time::sleep(*duration).await;
                    Ok(())
                }
                HookAction::Check(check) => self.checks(target).hook(check).await,
            }
        };
        let ended = match limit {
            Some(limit) => timeout(limit, run).await.map_err(|_| format!("no end within {limit:?}"))?,
            None => run.await,
        };
        Ok(ended?)
    }

    async fn confirm(&self, uid: &str) -> Result<(), Failure> {
        let pod = self.keeper.pod_ref();
        let options = json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": uid } });
        match self.machine.api.delete(&POD, &pod.namespace, &pod.name, &options).await {
            Ok(_) => Ok(()),
            // It is gone, or another of its name is there.
            Err(error) if [404, 409].contains(&error.code()) => Ok(()),
            Err(error) => Err(Failure(error.to_string())),
        }
    }
}

/// Removes a container's log and the files it was rotated into.
fn remove_log(log: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (log.parent(), log.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let rotated = |file: &str| file == name || file.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        if entry.file_name().to_str().is_some_and(rotated) {
            fs::remove_file(entry.path())?;
        }
    }
    // The last attempt's takes the folder along.
    let _ = fs::remove_dir(folder);
    Ok(())
}

/// What a container left to say: the start of its file, else the end of its log.
async fn last_words(file: PathBuf, bytes_max: usize, log: Option<PathBuf>) -> Outcome {
    let read = volumes::mounts::blocking(move || {
        let said = file_start(&file, bytes_max)?;
        match log {
            Some(log) if said.is_empty() => log_end(&log),
            _ => Ok(said),
        }
    });
    match read.await {
        Ok(text) => Outcome::Text(text),
        Err(message) => Outcome::Failed { message },
    }
}

fn file_start(file: &Path, bytes_max: usize) -> io::Result<String> {
    let nofollow = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = match fs::OpenOptions::new().read(true).custom_flags(nofollow).open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(bytes_max as u64).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn log_end(log: &Path) -> io::Result<String> {
    let mut file = match fs::File::open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    let entries: Vec<Entry<'_>> = bytes.split(|byte| *byte == b'\n').filter_map(Entry::parse).collect();
    let mut text = Vec::new();
    for entry in &entries[entries.len().saturating_sub(LOG_LINES_MAX)..] {
        text.extend_from_slice(entry.content);
        if !entry.partial {
            text.push(b'\n');
        }
    }
    let start = text.len().saturating_sub(LOG_BYTES_MAX);
    Ok(String::from_utf8_lossy(&text[start..]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn last_words_are_the_file_or_the_logs_end() {
        let dir = tempfile::tempdir().unwrap();
        let (file, log) = (dir.path().join("words"), dir.path().join("0.log"));
        let check = async |max: usize, with_log: bool, expect: &str| {
            let said = last_words(file.clone(), max, with_log.then(|| log.clone())).await;
            assert_eq!(said, Outcome::Text(expect.to_owned()));
        };
        check(10, true, "").await;
        fs::write(&log, "2026-01-01T00:00:00.000000000Z stdout F one\n2026-01-01T00:00:00.000000001Z stderr P tw\n2026-01-01T00:00:00.000000002Z stderr F o\n").unwrap();
        check(10, false, "").await;
        check(10, true, "one\ntwo\n").await;
        fs::write(&file, "good bye").unwrap();
        check(4, true, "good").await;
    }

    #[test]
    fn a_log_goes_with_what_it_was_rotated_into() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("web");
        fs::create_dir(&folder).unwrap();
        for name in ["1.log", "1.log.20260101", "11.log"] {
            fs::write(folder.join(name), "").unwrap();
        }
        remove_log(&folder.join("1.log")).unwrap();
        remove_log(&folder.join("1.log")).unwrap();
        let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["11.log"]);
    }
}
