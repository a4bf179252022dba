//! What only real containers and real processes show: logs, limits, namespaces.

use crate::{
    fixture::Host,
    image,
    suite::{Pod, exit},
};
use runtime::{
    ContainerId, ContainerRuntime, ContainerSpec, ContainerState, ExecSpec, Resources, Rlimit, RuntimeError,
    log::{LogReader, LogWatcher, ReadOptions, log_path},
};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::io::AsyncReadExt;

/// What a container prints while nobody is there: 1 MiB a second, for four seconds.
const CHATTY: &str =
    "i=0; while [ $i -lt 40 ]; do seq $((i*16384)) $((i*16384+16383)); usleep 100000; i=$((i+1)); done";
const CHATTY_LINES: usize = 40 * 16384;

async fn pod(host: &Host, name: &str) -> Pod {
    let client = host.connect().await;
    client.import(&image::write(host.folder())).await.expect("imports");
    let client: Arc<dyn ContainerRuntime> = Arc::new(client);
    Pod::new(&client, name).await
}

async fn read_all(path: &Path, options: ReadOptions, watcher: &LogWatcher) -> String {
    let mut reader = LogReader::open(path, options, watcher).await.expect("a log");
    let mut text = Vec::new();
    while let Some(part) = reader.next().await.expect("reads") {
        text.extend_from_slice(&part);
    }
    String::from_utf8(text).expect("text")
}

fn with_log(host: &Host, spec: ContainerSpec) -> ContainerSpec {
    let pod = crate::suite::sandbox_spec("logs").pod;
    let path = log_path(&host.folder().join("logs"), &pod, &spec.name, spec.attempt);
    ContainerSpec { log_path: Some(path), ..spec }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_is_lost_while_the_caller_is_gone() {
    let Some(host) = Host::start().await else { return };
    let pod = pod(&host, "chatty").await;
    let spec = with_log(&host, pod.spec("chatty", &["/bin/sh", "-c", CHATTY]));
    let id = pod.run(&spec).await;
    // Nobody of us is there until another client comes.
    drop(pod);
    // awaited: nothing, the absence is the case.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let client: Arc<dyn ContainerRuntime> = Arc::new(host.connect().await);
    let watcher = LogWatcher::new().expect("inotify");
    let path = spec.log_path.expect("a log");
    // A follower joins while it prints, crosses rotations, and ends with it.
    let follow = ReadOptions { follow: true, ..ReadOptions::default() };
    let (text, ended) = tokio::join!(read_all(&path, follow, &watcher), exit(&client, &id));
    assert_eq!(ended.code, Some(0));
    assert_eq!(text.lines().count(), CHATTY_LINES);
    for (at, line) in text.lines().enumerate() {
        assert_eq!(line.parse::<usize>().ok(), Some(at));
    }
    let again = read_all(&path, ReadOptions::default(), &watcher).await;
    assert!(again == text);
    let tail = ReadOptions { tail: Some(2), timestamps: true, ..ReadOptions::default() };
    let tail = read_all(&path, tail, &watcher).await;
    assert!(tail.ends_with(&format!(" {}\n", CHATTY_LINES - 1)) && tail.lines().count() == 2, "{tail}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_have_the_pods_namespaces_and_their_own_limits() {
    let Some(host) = Host::start().await else { return };
    let pod = pod(&host, "limits").await;
    let script = "hostname; id -u; id -g; id -G; echo $FROM_IMAGE $FROM_POD; ulimit -n; echo err >&2; ls -d /dev/shm/*";
    let mut spec = with_log(&host, pod.spec("limits", &["/bin/sh", "-c", script]));
    spec.security.user = None;
    spec.env = vec![("FROM_POD".into(), "too".into())];
    spec.security.rlimits = vec![Rlimit { name: "RLIMIT_NOFILE".into(), soft: 512, hard: 1 << 30 }];
    spec.resources = Resources {
        cpu_shares: Some(512),
        cpu_quota: Some(50_000),
        cpu_period: Some(100_000),
        memory_bytes_max: Some(64 << 20),
        pids_max: Some(16),
        oom_score_adj: Some(-998),
    };
    let writer = pod.spec("writer", &["/bin/sh", "-c", "echo x > /dev/shm/shared; sleep 60"]);
    let writer = pod.run(&writer).await;
    let command = ["/bin/sh", "-c", "until cat /dev/shm/shared; do usleep 1000; done"].map(str::to_owned).to_vec();
    let waiting = ExecSpec { command, ..ExecSpec::default() };
    let mut output = pod.runtime.exec(&writer, &waiting).await.expect("runs");
    output.stdout.read_to_string(&mut String::new()).await.expect("reads");
    let id = pod.run(&spec).await;
    assert_eq!(exit(&pod.runtime, &id).await.code, Some(0));
    let watcher = LogWatcher::new().expect("inotify");
    let text =
        read_all(&spec.log_path.expect("a log"), ReadOptions { follow: true, ..ReadOptions::default() }, &watcher)
            .await;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.retain(|line| *line != "err");
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    assert_eq!(lines, [host_name.trim(), "33", "44", "44 7", "yes too", "512", "/dev/shm/shared"]);
    assert!(text.contains("err\n"));
    host.stop().await;
}

/// What a command in a container prints.
async fn said(pod: &Pod, id: &ContainerId, script: &str) -> String {
    let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    let mut ran = pod.runtime.exec(id, &ExecSpec { command, ..ExecSpec::default() }).await.expect("runs");
    let mut text = String::new();
    ran.stdout.read_to_string(&mut text).await.expect("reads");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_see_each_others_processes_where_they_share_them() {
    let Some(host) = Host::start().await else { return };
    let client = host.connect().await;
    client.import(&image::write(host.folder())).await.expect("imports");
    let runtime: Arc<dyn ContainerRuntime> = Arc::new(client);
    let mut wanted = crate::suite::sandbox_spec("shared");
    wanted.namespaces.shared_pid = true;
    let sandbox = runtime.run_sandbox(&wanted).await.expect("a sandbox");
    let pod = Pod { runtime: runtime.clone(), sandbox };
    let first = pod.run(&pod.spec("first", &["/bin/sleep", "1111"])).await;
    // It leaves children behind when it ends.
    let second = pod.run(&pod.spec("second", &["/bin/sh", "-c", "sleep 2222 & sleep 3333"])).await;
    let seen = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; grep -h ^Uid: /proc/1/status";
    let all = said(&pod, &first, seen).await;
    for part in ["/pause ", "sleep 1111", "sleep 2222", "sleep 3333", "65535"] {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert_eq!(
        said(&pod, &first, "ls /proc/1/root /proc/1/exe 2>&1; cat /proc/1/environ 2>&1")
            .await
            .matches("denied")
            .count(),
        3
    );
    // An orphan that ends is buried.
    said(&pod, &first, "(sleep 0.01 &)").await;
    let orphans = "while grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null; do usleep 1000; done; echo none";
    assert!(said(&pod, &first, orphans).await.ends_with("none\n"));
    runtime.stop(&second, Duration::ZERO).await.expect("stops");
    exit(&runtime, &second).await;
    let all = said(&pod, &first, seen).await;
    assert!(all.contains("sleep 1111") && !all.contains("sleep 2222"), "{all}");
    // Its restarted caller finds it as it is; without its first process it is none, and can be made anew.
    let ready = |all: Vec<runtime::Sandbox>| all.iter().any(|one| one.id == pod.sandbox && one.ready);
    let again = host.connect().await;
    assert!(ready(again.sandboxes().await.expect("lists")));
    let held = host.folder().join("pods/sandboxes").join(pod.sandbox.as_str()).join("pause");
    let number = std::fs::read_to_string(&held).expect("its number").parse().expect("a number");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(number), nix::sys::signal::Signal::SIGKILL).expect("it lives");
    // It holds this until it has ended.
    std::fs::File::open(&held).and_then(|held| held.lock()).expect("it ends");
    assert!(!ready(again.sandboxes().await.expect("lists")));
    exit(&runtime, &first).await;
    runtime.run_sandbox(&wanted).await.expect("made anew");
    assert!(ready(again.sandboxes().await.expect("lists")));
    let third = pod.run(&pod.spec("third", &["/bin/sleep", "4444"])).await;
    let all = said(&pod, &third, seen).await;
    assert!(all.contains("/pause ") && all.contains("sleep 4444") && !all.contains("sleep 1111"), "{all}");
    pod.end().await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_joins_the_processes_of_another() {
    let Some(host) = Host::start().await else { return };
    let pod = pod(&host, "beside").await;
    let target = pod.run(&pod.spec("target", &["/bin/sleep", "1111"])).await;
    let beside = |name: &str| ContainerSpec { beside: Some(target.clone()), ..pod.spec(name, &["/bin/sleep", "2222"]) };
    let other = pod.run(&beside("other")).await;
    let all = said(&pod, &other, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").await;
    assert!(all.contains("sleep 1111") && all.contains("sleep 2222"), "{all}");
    pod.runtime.stop(&target, Duration::ZERO).await.expect("stops");
    exit(&pod.runtime, &target).await;
    let late = pod.runtime.create(&beside("late")).await;
    assert!(matches!(late, Err(RuntimeError::Conflict { state: "does not run", .. })), "{late:?}");
    pod.end().await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_is_one() {
    let Some(host) = Host::start().await else { return };
    let pod = pod(&host, "terminal").await;
    let id = pod.run(&pod.spec("web", &["/bin/sleep", "60"])).await;
    let command = ["/bin/sh", "-c", "test -t 0 && test -t 1 && echo it is"].map(str::to_owned).to_vec();
    let mut shell = pod.runtime.exec(&id, &ExecSpec { command, tty: true, stdin: true }).await.expect("runs");
    shell.control.resize(runtime::TerminalSize { width: 80, height: 25 }).await.expect("resizes");
    let mut output = String::new();
    shell.stdout.read_to_string(&mut output).await.expect("reads");
    assert_eq!(output, "it is\r\n");
    assert!(shell.stderr.is_none());
    // A command whose asker goes is killed.
    let command = ["/bin/sleep", "600"].map(str::to_owned).to_vec();
    let sleeping = pod.runtime.exec(&id, &ExecSpec { command, ..ExecSpec::default() }).await.expect("runs");
    let mut stdout = sleeping.stdout;
    drop(sleeping.exit);
    let ended = tokio::time::timeout(Duration::from_secs(30), stdout.read_to_end(&mut Vec::new())).await;
    assert_eq!(ended.expect("it is killed").expect("reads"), 0);
    let all = pod.runtime.containers().await.expect("lists");
    assert!(all.iter().all(|container| matches!(container.state, ContainerState::Running { .. })));
    host.stop().await;
}
