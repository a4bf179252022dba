//! Carries out single steps of a plan. Main type: [`Steps`], for one lane. Nothing is decided here.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::kubelet::observed::{Image, Network, Volumes};
use ::kubelet::step::{HookAction, Outcome, Step, Target};
use ::kubelet::volume::VolumeSet;
use api::kinds::pod::POD;
use runtime::{ContainerId, Credentials, PullError, RuntimeError, SandboxId};
use serde_json::json;
use tokio::time::timeout;
use tracing::warn;

use super::checks::Checks;
use super::keeper::Keeper;
use super::machine::Machine;
use super::network::told;
use super::pulled::Standing;
use super::{convert, profiles, until, volumes};
use words::{last_words, remove_log};

mod words;

/// Said of a pod that wants users of its own; upstream's words for a runtime that has none to give.
const NO_USERS: &str = "can't set `spec.hostUsers: false`, runtime does not support user namespaces";

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
            Step::PullImage { reference, secrets, any, .. } => return self.pull(reference, secrets, *any).await,
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
            Step::RunSandbox(spec) if spec.own_users => return Err(Failure(NO_USERS.to_owned())),
            Step::RunSandbox(spec) => drop(runtime.run_sandbox(&convert::sandbox_spec(spec)).await?),
            Step::CreateContainer { prepare, spec } => {
                volumes::prepare::all(prepare.clone()).await?;
                if let Some(folder) = spec.log_path.parent() {
                    fs::create_dir_all(folder)?;
                }
                let seccomp = profiles::seccomp(&self.machine.places.seccomp, &spec.security.seccomp).await?;
                let created = runtime.create(&convert::container_spec(spec, seccomp)).await;
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

    async fn pull(&self, reference: &str, secrets: &[String], any: bool) -> Outcome {
        if any && let Some(image) = self.fetch(reference, Standing::Imported).await {
            return Outcome::Pulled(image);
        }
        let namespace = self.keeper.pod_ref().namespace;
        let known = self.machine.references.credentials(&namespace, secrets, reference).await;
        // Without any it is asked for as nobody.
        let mut tries: Vec<Option<Credentials>> = known.into_iter().map(Some).collect();
        if tries.is_empty() {
            tries.push(None);
        }
        let (mut refusals, mut is_silent) = (Vec::new(), true);
        for credentials in tries {
            match self.pull_as(reference, credentials.as_ref()).await {
                Ok(image) => return Outcome::Pulled(image),
                Err(error) => {
                    is_silent &= matches!(error, PullError::Unreachable { .. });
                    refusals.push(told(&error));
                }
            }
        }
        if any
            && is_silent
            && let Some(image) = self.fetch(reference, Standing::Public).await
        {
            return Outcome::Pulled(image);
        }
        refusals.dedup();
        let message = refusals.join(", ");
        Outcome::Failed { message: if refusals.len() > 1 { format!("[{message}]") } else { message } }
    }

    /// From another node, if one has it for everybody.
    async fn fetch(&self, reference: &str, standing: Standing) -> Option<Image> {
        let image = convert::image(self.machine.shelves.as_ref()?.fetch(reference, standing).await?);
        self.machine.listing.forget_images();
        if standing == Standing::Public
            && let Err(error) = self.machine.pulled.came(reference, &image, None)
        {
            warn!(image = reference, %error, "how an image came was not written");
        }
        Some(image)
    }

    async fn pull_as(&self, reference: &str, credentials: Option<&Credentials>) -> Result<Image, PullError> {
        let pulled = &self.machine.pulled;
        let unwritten = PullError::unwritten(reference);
        if credentials.is_some() {
            pulled.begins(reference).map_err(&unwritten)?;
        }
        match self.machine.runtime.pull(reference, credentials).await {
            Ok(image) => {
                self.machine.listing.forget_images();
                let image = convert::image(image);
                pulled.came(reference, &image, credentials).map_err(&unwritten)?;
                Ok(image)
            }
            Err(error) => {
                pulled.failed(reference).map_err(&unwritten)?;
                Err(error)
            }
        }
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
