//! Asks another node for streams of its pods. Every end of a stream ends the exchange.

use std::time::Duration;

use apiserver::streams::{Command, Duplex, Exit, LogOptions, Place, Process, Size, StreamError};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use net::{Channel, Dial, Method, NodeId, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::wire::{ATTACH, Answer, EXEC, FRAME_BYTES_MAX, LOGS, PORT_FORWARD, Part, Question};

/// How long a node may take to answer, starting a command included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a stream that wait here.
const STREAM_BYTES: usize = 64 << 10;

/// Sizes of a terminal that wait.
const SIZES_MAX: usize = 4;

/// Asks, and gives the channel that the stream comes by.
async fn ask(dial: &impl Dial, node: NodeId, method: Method, question: Question) -> Result<Channel, StreamError> {
    let name = question.place.node.clone();
    let unreachable = |error: &dyn std::fmt::Display| StreamError::Unreachable(format!("node {name:?}: {error}"));
    let asking = async {
        let opened = dial.open(node, Protocol::Rpc, method).await;
        let mut channel = opened.map_err(|error| unreachable(&error))?;
        let question = serde_json::to_vec(&question).map_err(|error| unreachable(&error))?;
        channel.send(&question).await.map_err(|error| unreachable(&error))?;
        let answer = channel.receive().await.map_err(|error| unreachable(&error))?;
        let answer = answer.ok_or_else(|| unreachable(&"it serves no streams"))?;
        let answer: Answer = serde_json::from_slice(&answer).map_err(|error| unreachable(&error))?;
        answer.map(|()| channel)
    };
    let answered = timeout(ANSWER_TIMEOUT, asking).await;
    answered.map_err(|_| unreachable(&format_args!("no answer within {ANSWER_TIMEOUT:?}")))?
}

/// See [`apiserver::streams::Kubelets::logs`].
pub(super) async fn logs(
    dial: &impl Dial,
    node: NodeId,
    place: &Place,
    options: &LogOptions,
) -> Result<BoxStream<'static, Bytes>, StreamError> {
    let question = Question { place: place.clone(), log: options.clone(), ..Question::default() };
    let channel = ask(dial, node, LOGS, question).await?;
    // The channel stays whole: the node ends when our side of it does.
    Ok(stream::unfold(channel, |mut channel| async move {
        let part = channel.receive_within(FRAME_BYTES_MAX).await.ok().flatten()?;
        Some((part, channel))
    })
    .boxed())
}

/// See [`apiserver::streams::Kubelets::exec`].
pub(super) async fn exec(
    dial: &impl Dial,
    node: NodeId,
    place: &Place,
    command: &Command,
) -> Result<Process, StreamError> {
    run(dial, node, EXEC, place, command).await
}

/// See [`apiserver::streams::Kubelets::attach`].
pub(super) async fn attach(
    dial: &impl Dial,
    node: NodeId,
    place: &Place,
    command: &Command,
) -> Result<Process, StreamError> {
    run(dial, node, ATTACH, place, command).await
}

/// See [`apiserver::streams::Kubelets::port_forward`].
pub(super) async fn port_forward(
    dial: &impl Dial,
    node: NodeId,
    place: &Place,
    port: u16,
) -> Result<Box<dyn Duplex>, StreamError> {
    let question = Question { place: place.clone(), port, ..Question::default() };
    let (reader, writer) = ask(dial, node, PORT_FORWARD, question).await?.into_raw();
    Ok(Box::new(tokio::io::join(reader, writer)))
}

async fn run(
    dial: &impl Dial,
    node: NodeId,
    method: Method,
    place: &Place,
    command: &Command,
) -> Result<Process, StreamError> {
    let question = Question { place: place.clone(), command: command.clone(), ..Question::default() };
    let channel = ask(dial, node, method, question).await?;
    let (stdin, input) = tokio::io::duplex(STREAM_BYTES);
    let (stdout, output) = tokio::io::duplex(STREAM_BYTES);
    let (stderr, errors) = tokio::io::duplex(STREAM_BYTES);
    let (resize, sizes) = mpsc::channel(SIZES_MAX);
    let (ended, exit) = oneshot::channel();
    let stdin = command.stdin.then_some(stdin);
    let has_input = stdin.is_some();
    let (receiver, sender) = channel.split();
    tokio::spawn(async move {
        let sending = send(sender, has_input.then_some(input), sizes);
        let mut ended = ended;
        tokio::select! {
            exit = receive(receiver, output, errors) => drop(ended.send(exit)),
            () = sending => {}
            // Whoever waited for the end has given up.
            () = ended.closed() => {}
        }
    });
    Ok(Process {
        stdin: stdin.map(|stdin| Box::new(stdin) as _),
        stdout: Some(Box::new(stdout)),
        stderr: Some(Box::new(stderr)),
        resize,
        exit: Box::pin(async move { exit.await.unwrap_or_else(|_| lost()) }),
    })
}

fn lost() -> Exit {
    Exit::Failed("the connection to its node was lost".to_owned())
}

/// Sends input and sizes until the node takes no more. The end of the input is told; the channel stays.
async fn send(mut to: net::channel::Sender, input: Option<DuplexStream>, mut sizes: mpsc::Receiver<Size>) {
    let (mut input, mut buffer) = (input, vec![0; FRAME_BYTES_MAX - 1]);
    loop {
        let frame = tokio::select! {
            read = read(&mut input, &mut buffer) => {
                if read == 0 {
                    input = None;
                }
                Part::Stdin.frame(&buffer[..read])
            }
            Some(size) = sizes.recv() => Part::Resize.frame(&serde_json::to_vec(&size).unwrap_or_default()),
        };
        if to.send(&frame).await.is_err() {
            // What the node has said still counts.
            return std::future::pending().await;
        }
    }
}

/// Bytes read; 0 at the end, and after it for ever nothing.
async fn read(input: &mut Option<DuplexStream>, buffer: &mut [u8]) -> usize {
    match input {
        Some(input) => input.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

async fn receive(mut from: net::channel::Receiver, mut output: DuplexStream, mut errors: DuplexStream) -> Exit {
    while let Ok(Some(frame)) = from.receive().await {
        // Whoever reads no more misses nothing.
        match Part::of(&frame) {
            Some((Part::Stdout, bytes)) => drop(output.write_all(bytes).await),
            Some((Part::Stderr, bytes)) => drop(errors.write_all(bytes).await),
            Some((Part::Exit, exit)) => return serde_json::from_slice(exit).unwrap_or_else(|_| lost()),
            _ => {}
        }
    }
    lost()
}
