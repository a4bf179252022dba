//! A command's streams between its node and a client, whichever way that speaks. Main item: [`run`].

use std::{future::Future, sync::Arc, time::Duration};

use api::status::{Cause, Details, Status};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
    time::Instant,
};

use super::{Command, Exit, IDLE_TIMEOUT, Process, Size, StreamError};
use crate::status::ApiError;

/// Numbers of the streams, as WebSocket clients and nodes know them.
pub(super) const STDIN: u8 = 0;
pub(super) const STDOUT: u8 = 1;
pub(super) const STDERR: u8 = 2;
pub(super) const ERROR: u8 = 3;
pub(super) const RESIZE: u8 = 4;

/// Messages that wait, either way.
pub(super) const QUEUE: usize = 4;

/// Bytes of output in one message.
const READ_BYTES: usize = 32 << 10;

/// What a client sends. When no more can come, it has gone.
#[derive(Debug)]
pub(super) enum Incoming {
    /// Input of the command.
    Stdin(Bytes),
    /// The end of it.
    StdinEnd,
    /// Its terminal has another size.
    Resize(Size),
}

impl Incoming {
    /// A size, as clients write it.
    pub(super) fn resize(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().map(Self::Resize)
    }
}

/// What a client gets.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// Bytes of a stream.
    Data(u8, Bytes),
    /// How the command ended: the last there is.
    Ended(Bytes),
}

/// When something last moved.
#[derive(Clone)]
pub(super) struct Idle(Arc<Mutex<Instant>>);

impl Idle {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(super) fn touch(&self) {
        *self.0.lock() = Instant::now();
    }

    /// Returns once nothing has moved for [`IDLE_TIMEOUT`].
    pub(super) async fn expired(&self) {
        loop {
            let left = (*self.0.lock() + IDLE_TIMEOUT).saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// Serves a command until it ends or its client goes.
pub(super) async fn run(
    command: Command,
    start: impl Future<Output = Result<Process, StreamError>>,
    mut input: mpsc::Receiver<Incoming>,
    output: mpsc::Sender<Outgoing>,
) {
    let process = match start.await {
        Ok(process) => process,
        Err(error) => return end(&output, &failed(&error)).await,
    };
    let Process { stdin, stdout, stderr, resize, exit } = process;
    let idle = Idle::new();
    let ended = async {
        let (_, _, exit) =
            tokio::join!(copy(STDOUT, stdout, &output, &idle), copy(STDERR, stderr, &output, &idle), exit);
        end(&output, &told(&command, exit)).await;
    };
    tokio::select! {
        () = ended => {}
        () = feed(stdin, resize, &mut input, &idle) => {}
        () = idle.expired() => {}
    }
}

/// Returns when the client has gone.
async fn feed(
    mut stdin: Option<Box<dyn tokio::io::AsyncWrite + Send + Unpin>>,
    resize: mpsc::Sender<Size>,
    input: &mut mpsc::Receiver<Incoming>,
    idle: &Idle,
) {
    while let Some(message) = input.recv().await {
        idle.touch();
        match message {
            Incoming::Stdin(bytes) => {
                let Some(to) = &mut stdin else { continue };
                let written = async {
                    to.write_all(&bytes).await?;
                    to.flush().await
                };
                if written.await.is_err() {
                    // It reads no more; its output and end still matter.
                    stdin = None;
                }
            }
            Incoming::StdinEnd => {
                if let Some(mut to) = stdin.take() {
                    let _ = to.shutdown().await;
                }
            }
            // A later one comes if this one is not taken.
            Incoming::Resize(size) => drop(resize.try_send(size)),
        }
    }
}

async fn copy(
    number: u8,
    from: Option<Box<dyn AsyncRead + Send + Unpin>>,
    output: &mpsc::Sender<Outgoing>,
    idle: &Idle,
) {
    let Some(mut from) = from else { return };
    loop {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        match from.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        idle.touch();
        if output.send(Outgoing::Data(number, buffer.freeze())).await.is_err() {
            return;
        }
    }
}

async fn end(output: &mpsc::Sender<Outgoing>, status: &Status) {
    let status = serde_json::to_vec(status).unwrap_or_default();
    // A client that has gone needs no word.
    let _ = output.send(Outgoing::Ended(status.into())).await;
}

/// How an end is told: the client takes the exit code from it.
fn told(command: &Command, exit: Exit) -> Status {
    match exit {
        Exit::Code(0) => Status::success(None),
        Exit::Code(code) => {
            let words = command.command.join(" ");
            let message = format!(
                "command terminated with non-zero exit code: error executing command [{words}], exit code {code}"
            );
            let cause = Cause { reason: "ExitCode".into(), message: code.to_string(), field: String::new() };
            let details = Details { causes: vec![cause], ..Details::default() };
            Status { code: 0, ..Status::failure(500, "NonZeroExitCode", message, Some(details)) }
        }
        Exit::Failed(why) => failed(&StreamError::Failed(why)),
    }
}

fn failed(error: &StreamError) -> Status {
    let error = match error {
        StreamError::Failed(why) => ApiError::internal(format_args!("error executing command in container: {why}")),
        StreamError::NoContainer(_) => ApiError::internal(format_args!("unable to upgrade connection: {error}")),
        other => ApiError::internal(other),
    };
    *error.status
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ends_are_told_as_clients_read_them() {
        let command = Command { command: vec!["sh".into(), "-c".into(), "exit 3".into()], ..Command::default() };
        let json = |exit| serde_json::to_value(told(&command, exit)).expect("JSON");
        assert_eq!(json(Exit::Code(0))["status"], "Success");
        let three = json(Exit::Code(3));
        assert_eq!(three["reason"], "NonZeroExitCode");
        assert_eq!(three["details"]["causes"], json!([{ "reason": "ExitCode", "message": "3" }]));
        let words = "command terminated with non-zero exit code: error executing command [sh -c exit 3], exit code 3";
        assert_eq!(three["message"], words);
        let failed = json(Exit::Failed("no such file".into()));
        assert_eq!(failed["message"], "Internal error occurred: error executing command in container: no such file");
        assert_eq!(failed["code"], 500);
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_runs_from_input_to_status() {
        let (stdin, echoed) = tokio::io::duplex(64);
        let (resize, _sizes) = mpsc::channel(1);
        let process = Process {
            stdin: Some(Box::new(stdin)),
            stdout: Some(Box::new(echoed)),
            stderr: None,
            resize,
            exit: Box::pin(async { Exit::Code(0) }),
        };
        let ((input, from), (to, mut output)) = (mpsc::channel(QUEUE), mpsc::channel(QUEUE));
        let running = run(Command::default(), async { Ok(process) }, from, to);
        let client = async {
            input.send(Incoming::Stdin(Bytes::from_static(b"hello"))).await.expect("taken");
            input.send(Incoming::StdinEnd).await.expect("taken");
            let mut seen = Vec::new();
            while let Some(message) = output.recv().await {
                match message {
                    Outgoing::Data(number, bytes) => seen.extend([&[number][..], &bytes].concat()),
                    Outgoing::Ended(status) => return (seen, String::from_utf8_lossy(&status).into_owned()),
                }
            }
            panic!("no end")
        };
        let ((), (seen, status)) = tokio::join!(running, client);
        assert_eq!(seen, b"\x01hello");
        assert!(status.contains("Success"), "{status}");
    }
}
