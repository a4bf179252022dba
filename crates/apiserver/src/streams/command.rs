//! `pods/exec` and `pods/attach`: a command's streams, over WebSocket or SPDY. Main item: [`answer`].
//! Spec: <https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets>.

use std::{io, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Response;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::timeout,
};
use tracing::debug;

use super::{
    Asked, Command, place,
    session::{self, ERROR, Incoming, Outgoing, QUEUE, RESIZE, STDERR, STDIN, STDOUT},
    spdy,
    upgrade::{self, Way},
    websocket::{Message, NORMAL, Reader, Writer},
};
use crate::{authz, http::body::ReplyBody, http::query::Query, route::Verb, shared::Shared, status::ApiError};

/// Protocols over WebSocket: the second cannot end the input, the third is for what knows text only.
const V5: &str = "v5.channel.k8s.io";
const V4: &str = "v4.channel.k8s.io";
const V4_TEXT: &str = "v4.base64.channel.k8s.io";
/// The protocol over SPDY.
const OVER_SPDY: &[&str] = &[V4];
const OVER_WEBSOCKET: &[&str] = &[V5, V4, V4_TEXT];

/// The number that ends another stream, of version 5.
const CLOSE: u8 = 255;

/// How long a client may take to say goodbye, or to open its streams.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs or attaches.
pub(super) async fn answer(shared: &Arc<Shared>, asked: Asked<'_>) -> Result<Response<ReplyBody>, ApiError> {
    may_connect(shared, &asked).await?;
    let runs = asked.target.sub.is_some_and(|sub| sub.name == "exec");
    let command = command(&asked.head.query, runs)?;
    let pod = place::pod(shared, &asked.target).await?;
    let place = place::find(&pod, asked.head.query.get("container"))?;
    has_node(&place)?;
    let (way, response) = upgrade::agree(asked.head, OVER_WEBSOCKET, OVER_SPDY)?;
    let kept = Arc::clone(&shared.streams.places).try_acquire_owned().map_err(|_| ApiError::too_many_requests())?;
    let kubelets = shared.streams.kubelets()?;
    let upgrade = asked.upgrade.ok_or_else(|| ApiError::bad_request("Upgrade request required"))?;
    let closing = shared.closing.clone();
    tokio::spawn(async move {
        let _kept = kept;
        let served = async {
            let io = TokioIo::new(upgrade.await.map_err(io::Error::other)?);
            let started = command.clone();
            let start = async move {
                match runs {
                    true => kubelets.exec(&place, &started).await,
                    false => kubelets.attach(&place, &started).await,
                }
            };
            let ((input, from), (to, output)) = (mpsc::channel(QUEUE), mpsc::channel(QUEUE));
            let running = session::run(command.clone(), start, from, to);
            let spoken = async {
                match way {
                    Way::WebSocket(protocol) => websocket(io, protocol, input, output).await,
                    Way::Spdy(_) => over_spdy(io, &command, input, output).await,
                }
            };
            tokio::join!(running, spoken).1
        };
        tokio::select! {
            ended = served => drop(ended.inspect_err(|error| debug!(%error, "stream broke"))),
            () = closing.cancelled() => {}
        }
    });
    Ok(response)
}

/// A client that connects must be allowed to create, whatever its method; a WebSocket's is always GET.
pub(super) async fn may_connect(shared: &Shared, asked: &Asked<'_>) -> Result<(), ApiError> {
    match upgrade::is_websocket(asked.head) && asked.verb != Verb::Create {
        true => authz::target(shared, &asked.user, Verb::Create, &asked.target, &asked.head.query).await,
        false => Ok(()),
    }
}

/// A pod that waits for a node has nothing to connect to.
pub(super) fn has_node(place: &super::Place) -> Result<(), ApiError> {
    match place.node.is_empty() {
        true => Err(ApiError::bad_request(format!("pod {} does not have a host assigned", place.pod))),
        false => Ok(()),
    }
}

fn command(query: &Query, runs: bool) -> Result<Command, ApiError> {
    let tty = query.flag("tty");
    let command = Command {
        command: query.all("command").map(str::to_owned).collect(),
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        // A terminal has one output.
        stderr: query.flag("stderr") && !tty,
        tty,
    };
    if !command.stdin && !command.stdout && !command.stderr {
        return Err(ApiError::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    if runs && command.command.is_empty() {
        return Err(ApiError::bad_request("you must specify at least one command for the container"));
    }
    Ok(command)
}

/// A message a stream; its first byte is the stream's number.
async fn websocket<S: AsyncRead + AsyncWrite>(
    io: S,
    protocol: &'static str,
    input: mpsc::Sender<Incoming>,
    mut output: mpsc::Receiver<Outgoing>,
) -> io::Result<()> {
    let (reader, writer) = tokio::io::split(io);
    let (mut reader, mut writer) = (Reader::new(reader), Writer(writer));
    let is_text = protocol == V4_TEXT;
    let (pongs, mut pinged) = mpsc::channel(QUEUE);
    let reading = async {
        while let Some(message) = reader.next().await? {
            match message {
                // One that is not taken is followed by another.
                Message::Ping(payload) => drop(pongs.try_send(payload)),
                Message::Data(data) => {
                    if let Some(message) = incoming(&data, is_text) {
                        // What comes after the command's end is read all the same: a client that is sending yet would be
                        // cut off before it hears how the command ended.
                        let _ = input.send(message).await;
                    }
                }
            }
        }
        drop(input);
        Ok::<_, io::Error>(reader)
    };
    let writing = async {
        // Tells clients that wait for a word that they are connected.
        write(&mut writer, is_text, STDOUT, &Bytes::new()).await?;
        loop {
            tokio::select! {
                Some(payload) = pinged.recv() => writer.pong(&payload).await?,
                message = output.recv() => match message {
                    Some(Outgoing::Data(number, data)) => write(&mut writer, is_text, number, &data).await?,
                    Some(Outgoing::Ended(status)) => {
                        write(&mut writer, is_text, ERROR, &status).await?;
                        return writer.close(NORMAL).await;
                    }
                    None => return writer.close(NORMAL).await,
                },
            }
        }
    };
    tokio::pin!(reading);
    tokio::pin!(writing);
    tokio::select! {
        read = &mut reading => drop(read?),
        written = &mut writing => {
            written?;
            // What we said would be lost if we left before the client: it says goodbye too.
            let _ = timeout(GOODBYE_TIMEOUT, reading).await;
        }
    }
    Ok(())
}

async fn write<W: AsyncWrite + Unpin>(
    writer: &mut Writer<W>,
    is_text: bool,
    number: u8,
    data: &[u8],
) -> io::Result<()> {
    match is_text {
        true => writer.text(&format!("{number}{}", STANDARD.encode(data))).await,
        false => writer.binary(&[number], data).await,
    }
}

fn incoming(data: &Bytes, is_text: bool) -> Option<Incoming> {
    let (number, data) = match is_text {
        true => (data.first()?.checked_sub(b'0')?, STANDARD.decode(&data[1..]).ok()?.into()),
        false => (*data.first()?, data.slice(1..)),
    };
    match number {
        STDIN => Some(Incoming::Stdin(data)),
        RESIZE => Incoming::resize(&data),
        CLOSE if data.first() == Some(&STDIN) => Some(Incoming::StdinEnd),
        _ => None,
    }
}

/// A SPDY stream a stream; a header of each tells which.
async fn over_spdy<S: AsyncRead + AsyncWrite>(
    io: S,
    command: &Command,
    input: mpsc::Sender<Incoming>,
    mut output: mpsc::Receiver<Outgoing>,
) -> io::Result<()> {
    let (mut streams, connection) = spdy::serve(io);
    let speaking = async {
        let mut wanted: Vec<&str> = vec!["error"];
        let rest =
            [("stdin", command.stdin), ("stdout", command.stdout), ("stderr", command.stderr), ("resize", command.tty)];
        wanted.extend(rest.iter().filter(|(_, wanted)| *wanted).map(|(name, _)| *name));
        let mut opened = Vec::new();
        let all = async {
            while opened.len() < wanted.len() {
                let Some(stream) = streams.recv().await else { break };
                let name = stream.header("streamtype").to_owned();
                match wanted.contains(&name.as_str()) {
                    true => opened.push((name, stream)),
                    false => stream.output.reset().await,
                }
            }
        };
        if timeout(HANDSHAKE_TIMEOUT, all).await.is_err() || opened.len() < wanted.len() {
            return;
        }
        let (mut outputs, mut inputs) = (Vec::new(), Vec::new());
        for (name, stream) in opened {
            match name.as_str() {
                "stdin" | "resize" => inputs.push((name == "stdin", stream)),
                "stdout" => outputs.push((STDOUT, stream)),
                "stderr" => outputs.push((STDERR, stream)),
                _ => outputs.push((ERROR, stream)),
            }
        }
        let reading = async {
            let inputs = inputs.into_iter().map(|(is_stdin, stream)| read(is_stdin, stream, input.clone()));
            futures::future::join_all(inputs).await;
            // The end of the input is not that of the session.
            std::future::pending::<()>().await;
        };
        let writing = async {
            while let Some(message) = output.recv().await {
                let (number, data, is_end) = match message {
                    Outgoing::Data(number, data) => (number, data, false),
                    Outgoing::Ended(status) => (ERROR, status, true),
                };
                if let Some((_, stream)) = outputs.iter().find(|(of, _)| *of == number) {
                    stream.output.data(data).await;
                }
                if is_end {
                    for (_, stream) in &outputs {
                        stream.output.finish().await;
                    }
                    return;
                }
            }
        };
        tokio::select! {
            () = reading => {}
            () = writing => {}
        }
    };
    tokio::pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        () = speaking => {}
    }
    // The client closes once it has read everything.
    drop(input);
    drop(streams);
    timeout(GOODBYE_TIMEOUT, connection).await.unwrap_or(Ok(()))
}

/// Passes on what a client writes; its end ends the input, not the session.
async fn read(is_stdin: bool, mut stream: spdy::Stream, input: mpsc::Sender<Incoming>) {
    while let Some(data) = stream.input.recv().await {
        let message = match is_stdin {
            true => Some(Incoming::Stdin(data)),
            false => Incoming::resize(&data),
        };
        if let Some(message) = message
            && input.send(message).await.is_err()
        {
            return;
        }
    }
    if is_stdin {
        // Nobody listens to the end of what has ended.
        let _ = input.send(Incoming::StdinEnd).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_client_that_is_sending_yet_hears_how_the_command_ended() {
        let (server, mut client) = duplex(1 << 16);
        let (input, from) = mpsc::channel(QUEUE);
        let (to, output) = mpsc::channel(QUEUE);
        drop(from); // the command has ended
        let stdin = [0x82, 0x83, 0, 0, 0, 0, STDIN, b'a', b'b'];
        let goodbye = [0x88, 0x80, 0, 0, 0, 0];
        let speaking = async {
            let mut connected = [0; 3];
            client.read_exact(&mut connected).await.expect("the word that it is connected");
            client.write_all(&stdin).await.expect("taken");
            to.send(Outgoing::Ended(Bytes::from_static(b"{}"))).await.expect("taken");
            let mut said = [0; 9];
            client.read_exact(&mut said).await.expect("the end");
            client.write_all(&goodbye).await.expect("taken");
            said
        };
        let (served, said) = tokio::join!(websocket(server, V5, input, output), speaking);
        served.expect("ends well");
        assert_eq!(said, [0x82, 3, ERROR, b'{', b'}', 0x88, 2, 3, 0xe8]);
    }
}
