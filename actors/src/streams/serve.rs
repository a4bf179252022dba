//! Answers other nodes that want streams of this node's pods. Main item: [`serve`].

use std::time::Duration;

use apiserver::streams::{Exit, Process, Size};
use futures::StreamExt;
use net::{Channel, Method};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::local::Local;
use super::wire::{ATTACH, Answer, EXEC, FRAME_BYTES_MAX, LOGS, PORT_FORWARD, Part, QUESTION_BYTES_MAX, Question};
use crate::host::Error;

/// How long a caller may take to ask.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Frames that wait to be sent.
const QUEUE: usize = 4;

/// Serves one exchange to its end.
///
/// # Errors
/// When the channel breaks, or carries no question.
pub async fn serve(local: &Local, method: Method, mut channel: Channel) -> Result<(), Error> {
    let question = timeout(QUESTION_TIMEOUT, channel.receive_within(QUESTION_BYTES_MAX)).await??;
    let question: Question = serde_json::from_slice(&question.ok_or("no question")?)?;
    let Question { place, log, command, port } = &question;
    match method {
        LOGS => match local.logs(place, log).await {
            Ok(log) => send_log(agreed(channel).await?, log).await,
            Err(error) => refuse(channel, Err(error)).await,
        },
        EXEC | ATTACH => {
            let started = match method {
                EXEC => local.exec(place, command).await,
                _ => local.attach(place, command).await,
            };
            match started {
                Ok(process) => carry(agreed(channel).await?, process).await,
                Err(error) => refuse(channel, Err(error)).await,
            }
        }
        PORT_FORWARD => match local.port_forward(place, *port).await {
            Ok(mut connection) => {
                let (reader, writer) = agreed(channel).await?.into_raw();
                let mut raw = tokio::io::join(reader, writer);
                tokio::io::copy_bidirectional(&mut raw, &mut connection).await?;
                Ok(())
            }
            Err(error) => refuse(channel, Err(error)).await,
        },
        _ => Err("no such stream".into()),
    }
}

async fn agreed(mut channel: Channel) -> Result<Channel, Error> {
    let answer: Answer = Ok(());
    channel.send(&serde_json::to_vec(&answer)?).await?;
    Ok(channel)
}

async fn refuse(mut channel: Channel, answer: Answer) -> Result<(), Error> {
    channel.send(&serde_json::to_vec(&answer)?).await?;
    Ok(channel.finish().await?)
}

async fn send_log(channel: Channel, mut log: futures::stream::BoxStream<'static, bytes::Bytes>) -> Result<(), Error> {
    let (mut receiver, mut sender) = channel.split();
    let sending = async {
        while let Some(part) = log.next().await {
            for frame in part.chunks(FRAME_BYTES_MAX) {
                sender.send(frame).await?;
            }
        }
        Ok(sender.finish().await?)
    };
    tokio::select! {
        sent = sending => sent,
        // The caller sends nothing: what comes is his end.
        _ = receiver.receive() => Ok(()),
    }
}

/// Carries a command's streams until it ends or the caller goes.
async fn carry(channel: Channel, process: Process) -> Result<(), Error> {
    let Process { mut stdin, stdout, stderr, resize, exit } = process;
    let (mut receiver, mut sender) = channel.split();
    let (frames, mut waiting) = mpsc::channel::<Vec<u8>>(QUEUE);
    let running = async {
        let (_, _, exit) = tokio::join!(copy(Part::Stdout, stdout, &frames), copy(Part::Stderr, stderr, &frames), exit);
        let _ = frames.send(Part::Exit.frame(&serde_json::to_vec::<Exit>(&exit).unwrap_or_default())).await;
        drop(frames);
    };
    let sending = async {
        while let Some(frame) = waiting.recv().await {
            sender.send(&frame).await?;
        }
        Ok::<_, Error>(sender.finish().await?)
    };
    let receiving = async {
        while let Some(frame) = receiver.receive().await? {
            match Part::of(&frame) {
                Some((Part::Stdin, [])) => {
                    if let Some(mut input) = stdin.take() {
                        let _ = input.shutdown().await;
                    }
                }
                Some((Part::Stdin, bytes)) => {
                    let Some(input) = &mut stdin else { continue };
                    // One that reads no more still has output.
                    if input.write_all(bytes).await.is_err() || input.flush().await.is_err() {
                        stdin = None;
                    }
                }
                Some((Part::Resize, size)) => {
                    let size: Size = serde_json::from_slice(size)?;
                    // Another follows one that is not taken.
                    let _ = resize.try_send(size);
                }
                _ => {}
            }
        }
        Ok::<_, Error>(())
    };
    tokio::select! {
        (sent, ()) = async { tokio::join!(sending, running) } => sent,
        gone = receiving => gone,
    }
}

async fn copy(part: Part, from: Option<Box<dyn AsyncRead + Send + Unpin>>, frames: &mpsc::Sender<Vec<u8>>) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; FRAME_BYTES_MAX];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => {
                if frames.send(part.frame(&buffer[..read])).await.is_err() {
                    return;
                }
            }
        }
    }
}
