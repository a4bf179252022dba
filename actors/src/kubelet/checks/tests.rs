//! Probes and hooks against servers on loopback and a runtime in memory.

use runtime::{ContainerSpec, ImageConfig, MemoryRuntime, PodRef, Program, SandboxSpec};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

/// A server that answers every connection with these bytes.
async fn server(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

fn get(port: u16) -> Check {
    Check::Http { tls: false, host: "127.0.0.1".into(), port, path: "/x".into(), headers: Vec::new() }
}

#[tokio::test]
async fn http_probes_judge_by_the_status() {
    let runtime = MemoryRuntime::default();
    let checks = Checks { runtime: &runtime, container: ContainerId::default() };
    let check = async |answer: &'static str, expect: Answer| {
        let port = server(answer).await;
        assert_eq!(checks.probe(&get(port), LIMIT).await, expect, "{answer}");
    };
    check("HTTP/1.1 204 No Content\r\n\r\n", Answer::Success).await;
    check(
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        Answer::Failure("HTTP probe failed with statuscode: 500".into()),
    )
    .await;
    check(
        "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
        Answer::Warning("Probe terminated redirects".into()),
    )
    .await;
}

#[tokio::test]
async fn refused_connections_are_told_in_upstreams_words() {
    let runtime = MemoryRuntime::default();
    let checks = Checks { runtime: &runtime, container: ContainerId::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = format!("dial tcp 127.0.0.1:{port}: connect: connection refused");
    let tcp = Check::Tcp { host: "127.0.0.1".into(), port };
    assert_eq!(checks.probe(&tcp, LIMIT).await, Answer::Failure(refused.clone()));
    let expect = format!("Get \"http://127.0.0.1:{port}/x\": {refused}");
    assert_eq!(checks.probe(&get(port), LIMIT).await, Answer::Failure(expect));
}

#[tokio::test]
async fn commands_are_judged_by_their_exit() {
    let runtime = MemoryRuntime::default();
    runtime.add_image("busybox", ImageConfig { command: vec!["sh".into()], ..ImageConfig::default() });
    let pod = PodRef { uid: "u".into(), ..PodRef::default() };
    let sandbox = runtime.run_sandbox(&SandboxSpec { pod, ..SandboxSpec::default() }).await.unwrap();
    let spec = ContainerSpec { sandbox, name: "c".into(), image: "busybox".into(), ..ContainerSpec::default() };
    let container = runtime.create(&spec).await.unwrap();
    runtime.start(&container).await.unwrap();
    runtime.teach(&["good"], Program::default());
    runtime.teach(&["bad"], Program { exits: Some(1), prints: "no such file".into(), ..Program::default() });
    let checks = Checks { runtime: &runtime, container };
    let exec = |command: &str| Check::Exec { command: vec![command.into()] };
    assert_eq!(checks.probe(&exec("good"), LIMIT).await, Answer::Success);
    assert_eq!(checks.probe(&exec("bad"), LIMIT).await, Answer::Failure("no such file".into()));
    assert_eq!(checks.hook(&exec("bad")).await.unwrap_err(), "command 'bad' exited with 1: no such file");
}

#[test]
fn durations_are_printed_as_go_does() {
    let check = |ms: u64, expect: &str| assert_eq!(go(Duration::from_millis(ms)), expect);
    check(500, "500ms");
    check(1_000, "1s");
    check(1_500, "1.5s");
    check(90_000, "1m30s");
}
