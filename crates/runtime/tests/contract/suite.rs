//! What every runtime promises. Each case has a pod of its own; the observer is a second client that saw none of it.

use futures::StreamExt;
use runtime::{
    Container, ContainerId, ContainerRuntime, ContainerSpec, ContainerState, ExecSpec, Exit, MemoryRuntime, Namespaces,
    PodRef, Program, Resources, RuntimeError, SandboxId, SandboxSpec, Security, User,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

/// What the tests run, and what the twin does for it.
const EXIT_3: &[&str] = &["/bin/sh", "-c", "exit 3"];
const FOREVER: &[&str] = &["/bin/sh", "-c", "trap 'exit 5' TERM; > /ready; while true; do sleep 0.1; done"];
const STUBBORN: &[&str] = &["/bin/sh", "-c", "trap '' TERM; > /ready; while true; do sleep 0.1; done"];
/// Ends when one of those two has set its trap: before, a first process ignores signals.
const UNTIL_READY: &[&str] = &["/bin/sh", "-c", "until [ -e /ready ]; do usleep 10000; done"];
const HUNGRY: &[&str] = &["/bin/sh", "-c", "x=xxxxxxxxxxxxxxxx; while true; do x=$x$x; done"];
const MISSING: &[&str] = &["/bin/no-such-program"];
const HELLO: &[&str] = &["/bin/sh", "-c", "echo hello; exit 4"];
const CAT: &[&str] = &["/bin/cat"];

/// Longer than any container needs to end by itself; a suite that hangs fails by it.
const LONG: Duration = Duration::from_secs(60);

/// Long enough for a shell to set its trap, on a busy machine.
const GRACE: Duration = Duration::from_secs(2);

/// Makes the twin do what the shell does.
pub(crate) fn teach(twin: &MemoryRuntime) {
    let default = Program::default;
    twin.teach(EXIT_3, Program { exits: Some(3), ..default() });
    twin.teach(FOREVER, Program { exits_when_stopped: Some(5), ..default() });
    twin.teach(STUBBORN, Program { ignores_stop: true, ..default() });
    twin.teach(HUNGRY, Program { runs_out_of_memory: true, ..default() });
    twin.teach(MISSING, Program { cannot_start: Some("no such file or directory".into()), ..default() });
    twin.teach(HELLO, Program { prints: "hello\n".into(), exits: Some(4), ..default() });
    twin.teach(CAT, Program { echoes: true, ..default() });
}

type Runtime = Arc<dyn ContainerRuntime>;

/// All cases, one after the other.
pub(crate) async fn all(runtime: Runtime, observer: Runtime) {
    eprintln!("a runtime under test: {runtime:?}");
    images_are_found_by_any_name(&runtime).await;
    everything_may_be_repeated(&runtime).await;
    exit_codes_are_kept(&runtime, &observer).await;
    stop_asks_before_it_kills(&runtime).await;
    kills_for_memory_are_told(&runtime, &observer).await;
    what_cannot_start_says_why(&runtime).await;
    a_new_client_finds_everything(&runtime, &observer).await;
    commands_run_in_containers(&runtime).await;
    people_join_a_container(&runtime).await;
    news_of_containers_come(&runtime).await;
    a_stopped_sandbox_takes_no_containers(&runtime).await;
}

pub(crate) struct Pod {
    pub(crate) runtime: Runtime,
    pub(crate) sandbox: SandboxId,
}

pub(crate) fn sandbox_spec(name: &str) -> SandboxSpec {
    SandboxSpec {
        pod: PodRef { uid: format!("uid-{name}"), namespace: "default".into(), name: name.into() },
        attempt: 0,
        hostname: name.into(),
        namespaces: Namespaces::default(),
        sysctls: BTreeMap::new(),
        cgroup_parent: format!("/mesh-test-{}-{name}", std::process::id()).into(),
        labels: BTreeMap::from([("team/name".into(), "blue".into())]),
    }
}

impl Pod {
    pub(crate) async fn new(runtime: &Runtime, name: &str) -> Self {
        let sandbox = runtime.run_sandbox(&sandbox_spec(name)).await.expect("a sandbox");
        Self { runtime: runtime.clone(), sandbox }
    }

    pub(crate) fn spec(&self, name: &str, command: &[&str]) -> ContainerSpec {
        ContainerSpec {
            sandbox: self.sandbox.clone(),
            name: name.into(),
            image: "mesh.test/busybox:1".into(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            security: Security { user: Some(User { uid: 0, gid: None }), ..Security::default() },
            labels: BTreeMap::from([("spec".into(), "1234".into())]),
            ..ContainerSpec::default()
        }
    }

    pub(crate) async fn run(&self, spec: &ContainerSpec) -> ContainerId {
        let id = self.runtime.create(spec).await.expect("a container");
        self.runtime.start(&id).await.expect("starts");
        id
    }

    async fn until_ready(&self, id: &ContainerId) {
        let command = UNTIL_READY.iter().map(|word| (*word).to_owned()).collect();
        let ready = self.runtime.exec(id, &ExecSpec { command, ..ExecSpec::default() }).await.expect("runs");
        assert_eq!(ready.exit.await.expect("ends"), 0);
    }

    pub(crate) async fn end(self) {
        self.runtime.remove_sandbox(&self.sandbox).await.expect("removes");
        let left = self.runtime.containers().await.expect("lists");
        assert!(!left.iter().any(|container| container.sandbox == self.sandbox));
    }
}

async fn container(runtime: &Runtime, id: &ContainerId) -> Container {
    let all = runtime.containers().await.expect("lists");
    all.into_iter().find(|container| container.id == *id).expect("it is listed")
}

/// Waits for the news that a container has ended.
pub(crate) async fn exit(runtime: &Runtime, id: &ContainerId) -> Exit {
    let mut events = runtime.events().await.expect("events");
    let ended = async {
        loop {
            if let ContainerState::Exited(exit) = container(runtime, id).await.state {
                return exit;
            }
            events.next().await.expect("events go on");
        }
    };
    tokio::time::timeout(LONG, ended).await.expect("it ends")
}

async fn images_are_found_by_any_name(runtime: &Runtime) {
    let found = runtime.image("mesh.test/busybox:1").await.expect("answers").expect("it is there");
    assert_eq!(found.reference, "mesh.test/busybox:1");
    assert!(runtime.images().await.expect("lists").contains(&found));
    assert_eq!(runtime.image("mesh.test/other").await.expect("answers"), None);
    assert!(matches!(runtime.image("Not A Name").await, Err(RuntimeError::Invalid { field: "image", .. })));
    runtime.remove_image("mesh.test/other").await.expect("what is gone is not missed");
}

async fn everything_may_be_repeated(runtime: &Runtime) {
    let pod = Pod::new(runtime, "repeated").await;
    assert_eq!(Pod::new(runtime, "repeated").await.sandbox, pod.sandbox);
    let spec = pod.spec("web", FOREVER);
    let id = pod.run(&spec).await;
    assert_eq!(pod.run(&spec).await, id);
    pod.until_ready(&id).await;
    for _ in 0..2 {
        runtime.stop(&id, LONG).await.expect("stops");
    }
    for _ in 0..2 {
        runtime.remove(&id).await.expect("removes");
    }
    runtime.stop(&id, LONG).await.expect("what is gone is not missed");
    assert!(matches!(runtime.start(&id).await, Err(RuntimeError::NotFound { .. })));
    for _ in 0..2 {
        runtime.stop_sandbox(&pod.sandbox).await.expect("stops");
    }
    runtime.remove_sandbox(&pod.sandbox).await.expect("removes");
    pod.end().await;
}

async fn exit_codes_are_kept(runtime: &Runtime, observer: &Runtime) {
    let pod = Pod::new(runtime, "codes").await;
    let id = pod.run(&pod.spec("three", EXIT_3)).await;
    let seen = exit(runtime, &id).await;
    assert_eq!((seen.code, seen.oom_killed, &seen.message), (Some(3), false, &None));
    assert!(seen.finished_at >= seen.started_at);
    runtime.start(&id).await.expect("one that ran is left as it is");
    assert_eq!(exit(observer, &id).await, seen);
    pod.end().await;
}

async fn stop_asks_before_it_kills(runtime: &Runtime) {
    let pod = Pod::new(runtime, "stops").await;
    let check = async |name: &str, command: &[&str], grace: Duration, expect: i32| {
        let id = pod.run(&pod.spec(name, command)).await;
        pod.until_ready(&id).await;
        let begun = std::time::Instant::now();
        runtime.stop(&id, grace).await.expect("stops");
        assert_eq!(exit(runtime, &id).await.code, Some(expect), "{name}");
        begun.elapsed()
    };
    assert!(check("polite", FOREVER, LONG, 5).await < LONG);
    assert!(check("stubborn", STUBBORN, GRACE, 137).await >= GRACE);
    assert!(check("at-once", FOREVER, Duration::ZERO, 137).await < LONG);
    pod.end().await;
}

async fn kills_for_memory_are_told(runtime: &Runtime, observer: &Runtime) {
    let pod = Pod::new(runtime, "memory").await;
    let mut spec = pod.spec("hungry", HUNGRY);
    spec.resources = Resources { memory_bytes_max: Some(16 << 20), ..Resources::default() };
    let id = pod.run(&spec).await;
    let seen = exit(runtime, &id).await;
    assert_eq!((seen.code, seen.oom_killed), (Some(137), true));
    assert!(exit(observer, &id).await.oom_killed);
    pod.end().await;
}

async fn what_cannot_start_says_why(runtime: &Runtime) {
    let pod = Pod::new(runtime, "cannot").await;
    let id = runtime.create(&pod.spec("missing", MISSING)).await.expect("a container");
    let error = runtime.start(&id).await.expect_err("no such program");
    assert!(matches!(&error, RuntimeError::Start { message } if message.contains("no such file")), "{error:?}");
    let seen = exit(runtime, &id).await;
    assert_eq!(seen.code, Some(128));
    assert!(seen.message.expect("a message").contains("no such file"));
    let mut spec = pod.spec("imageless", EXIT_3);
    spec.image = "mesh.test/absent".into();
    assert!(matches!(runtime.create(&spec).await, Err(RuntimeError::ImageMissing(_))));
    pod.end().await;
}

async fn a_new_client_finds_everything(runtime: &Runtime, observer: &Runtime) {
    let pod = Pod::new(runtime, "adopted").await;
    let (made, running) = (pod.spec("made", EXIT_3), ContainerSpec { attempt: 2, ..pod.spec("running", FOREVER) });
    let made = runtime.create(&made).await.expect("a container");
    let running = pod.run(&running).await;
    let sandboxes = observer.sandboxes().await.expect("lists");
    let sandbox = sandboxes.iter().find(|sandbox| sandbox.id == pod.sandbox).expect("it is listed");
    let spec = sandbox_spec("adopted");
    assert_eq!((&sandbox.pod, sandbox.ready, &sandbox.labels), (&spec.pod, true, &spec.labels));
    assert_eq!(container(observer, &made).await.state, ContainerState::Created);
    let found = container(observer, &running).await;
    assert!(matches!(found.state, ContainerState::Running { .. }));
    assert_eq!((&found.pod, found.name.as_str(), found.attempt), (&spec.pod, "running", 2));
    assert_eq!(found.labels.get("spec").map(String::as_str), Some("1234"));
    assert_eq!(found.image, "mesh.test/busybox:1");
    pod.until_ready(&running).await;
    observer.stop(&running, LONG).await.expect("stops what another started");
    assert_eq!(exit(runtime, &running).await.code, Some(5));
    pod.end().await;
}

async fn commands_run_in_containers(runtime: &Runtime) {
    let pod = Pod::new(runtime, "exec").await;
    let id = pod.run(&pod.spec("web", FOREVER)).await;
    let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let mut hello =
        runtime.exec(&id, &ExecSpec { command: command(HELLO), ..ExecSpec::default() }).await.expect("runs");
    let mut output = String::new();
    hello.stdout.read_to_string(&mut output).await.expect("reads");
    assert_eq!((output.as_str(), hello.exit.await.expect("ends")), ("hello\n", 4));
    let mut cat = runtime.exec(&id, &ExecSpec { command: command(CAT), stdin: true, tty: false }).await.expect("runs");
    let mut input = cat.stdin.take().expect("its input");
    // More than the streams hold at once.
    let text = "0123456789abcdef".repeat(32 * 1024);
    let copied = text.clone();
    let writing = tokio::spawn(async move {
        input.write_all(copied.as_bytes()).await.expect("writes");
        input.shutdown().await.expect("ends");
    });
    let mut output = String::new();
    cat.stdout.read_to_string(&mut output).await.expect("reads");
    writing.await.expect("writes");
    assert!(output == text, "{} of {} bytes", output.len(), text.len());
    assert_eq!(cat.exit.await.expect("ends"), 0);
    let missing = runtime.exec(&id, &ExecSpec { command: command(MISSING), ..ExecSpec::default() }).await;
    assert!(matches!(missing, Err(RuntimeError::Exec { .. })), "{missing:?}");
    runtime.stop(&id, Duration::ZERO).await.expect("stops");
    let late = runtime.exec(&id, &ExecSpec { command: command(HELLO), ..ExecSpec::default() }).await;
    assert!(matches!(late, Err(RuntimeError::Conflict { .. })), "{late:?}");
    pod.end().await;
}

/// Reads until the word has come: before it may come what was said to who left.
async fn hears(stream: &mut (impl AsyncRead + Unpin), word: &str) {
    let mut heard = Vec::new();
    while !heard.windows(word.len()).any(|part| part == word.as_bytes()) {
        assert_ne!(stream.read_buf(&mut heard).await.expect("reads"), 0, "the stream ended after {heard:?}");
    }
}

async fn people_join_a_container(runtime: &Runtime) {
    let pod = Pod::new(runtime, "joined").await;
    let folder = tempfile::tempdir().expect("a folder");
    let log_path = |name: &str| Some(folder.path().join(name).join("0.log"));
    for tty in [false, true] {
        let name = format!("cat-{tty}");
        let spec =
            ContainerSpec { stdin: true, stdin_once: !tty, tty, log_path: log_path(&name), ..pod.spec(&name, CAT) };
        let id = pod.run(&spec).await;
        for word in ["one", "two"] {
            // Whoever goes leaves it running, unless it ends with him.
            let mut joined = runtime.attach(&id, true).await.expect("joins");
            let mut stdin = joined.stdin.take().expect("an input");
            stdin.write_all(format!("{word}\n").as_bytes()).await.expect("writes");
            assert_eq!(joined.stderr.is_none(), tty || runtime.version().await.expect("a version").name == "memory");
            if tty {
                hears(&mut joined.stdout, word).await;
                joined.control.resize(runtime::TerminalSize { width: 80, height: 25 }).await.expect("resizes");
            } else {
                // It ends at once: its last words come all the same.
                stdin.shutdown().await.expect("ends");
                let mut heard = String::new();
                joined.stdout.read_to_string(&mut heard).await.expect("hears");
                assert_eq!(heard, format!("{word}\n"));
                break;
            }
        }
        if tty {
            runtime.stop(&id, Duration::ZERO).await.expect("stops");
        }
        exit(runtime, &id).await;
        let late = runtime.attach(&id, false).await.expect_err("it has ended");
        assert!(matches!(late, RuntimeError::Conflict { .. }), "{late:?}");
    }
    let deaf = pod.run(&ContainerSpec { log_path: log_path("deaf"), ..pod.spec("deaf", FOREVER) }).await;
    pod.until_ready(&deaf).await;
    let joined = runtime.attach(&deaf, false).await.expect("joins");
    assert!(joined.stdin.is_none());
    pod.end().await;
}

async fn news_of_containers_come(runtime: &Runtime) {
    let pod = Pod::new(runtime, "news").await;
    let id = runtime.create(&pod.spec("three", EXIT_3)).await.expect("a container");
    let mut events = runtime.events().await.expect("events");
    runtime.start(&id).await.expect("starts");
    // Start and exit.
    for _ in 0..2 {
        let event = tokio::time::timeout(LONG, events.next()).await.expect("news").expect("events go on");
        assert_eq!(event.container, id);
    }
    pod.end().await;
}

async fn a_stopped_sandbox_takes_no_containers(runtime: &Runtime) {
    let pod = Pod::new(runtime, "stopped").await;
    let id = pod.run(&pod.spec("web", FOREVER)).await;
    runtime.stop_sandbox(&pod.sandbox).await.expect("stops");
    assert_eq!(exit(runtime, &id).await.code, Some(137));
    let late = runtime.create(&pod.spec("late", EXIT_3)).await;
    assert!(matches!(late, Err(RuntimeError::Conflict { .. })), "{late:?}");
    let sandboxes = runtime.sandboxes().await.expect("lists");
    assert!(sandboxes.iter().any(|sandbox| sandbox.id == pod.sandbox && !sandbox.ready));
    pod.end().await;
}
