//! `pods/portforward`: connections to a pod's ports, over SPDY, SPDY within a WebSocket, or a WebSocket's channels. Main item: [`answer`].
//! Spec: <https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets>.

mod channels;

use std::{collections::HashMap, io, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::Response;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tracing::debug;

use super::{
    Asked, Kubelets, Place,
    command::{has_node, may_connect},
    place,
    session::Idle,
    spdy::{self, Stream},
    upgrade::{self, Way},
    websocket::{Message, NORMAL, Reader, Writer},
};
use crate::{http::body::ReplyBody, shared::Shared, status::ApiError};

/// SPDY's bytes as a WebSocket's messages; and SPDY itself.
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const OVER_SPDY: &str = "portforward.k8s.io";

/// Connections at once through one forward.
const CONNECTIONS_MAX: usize = 256;

/// Streams whose other half has not come yet.
const HALVES_MAX: usize = 256;

/// Bytes that wait in a tunnel, and are read at once.
const TUNNEL_BYTES: usize = 64 << 10;
const READ_BYTES: usize = 32 << 10;

/// Forwards until the client ends it.
pub(super) async fn answer(shared: &Arc<Shared>, asked: Asked<'_>) -> Result<Response<ReplyBody>, ApiError> {
    may_connect(shared, &asked).await?;
    let pod = place::pod(shared, &asked.target).await?;
    let place = place::whole(&pod);
    has_node(&place)?;
    let (way, response) = upgrade::agree(asked.head, &[TUNNEL, channels::PROTOCOL], &[OVER_SPDY])?;
    let ports = match way {
        Way::WebSocket(channels::PROTOCOL) => channels::ports(&asked.head.query)?,
        _ => Vec::new(),
    };
    let kept = Arc::clone(&shared.streams.places).try_acquire_owned().map_err(|_| ApiError::too_many_requests())?;
    let kubelets = shared.streams.kubelets()?;
    let upgrade = asked.upgrade.ok_or_else(|| ApiError::bad_request("Upgrade request required"))?;
    let closing = shared.closing.clone();
    tokio::spawn(async move {
        let _kept = kept;
        let served = async {
            let io = TokioIo::new(upgrade.await.map_err(io::Error::other)?);
            match way {
                Way::Spdy(_) => forward(io, &kubelets, &place).await,
                Way::WebSocket(channels::PROTOCOL) => channels::serve(io, &ports, &kubelets, &place).await,
                Way::WebSocket(_) => {
                    let (ours, theirs) = tokio::io::duplex(TUNNEL_BYTES);
                    tokio::select! {
                        ended = tunnel(io, theirs) => ended,
                        ended = forward(ours, &kubelets, &place) => ended,
                    }
                }
            }
        };
        tokio::select! {
            ended = served => drop(ended.inspect_err(|error| debug!(%error, "forward broke"))),
            () = closing.cancelled() => {}
        }
    });
    Ok(response)
}

/// Carries bytes as messages.
async fn tunnel<S: AsyncRead + AsyncWrite>(io: S, inner: DuplexStream) -> io::Result<()> {
    let (reader, writer) = tokio::io::split(io);
    let (mut reader, mut writer) = (Reader::new(reader), Writer(writer));
    let (mut from, mut to) = tokio::io::split(inner);
    let (pongs, mut pinged) = mpsc::channel(1);
    let reading = async {
        while let Some(message) = reader.next().await? {
            match message {
                Message::Ping(payload) => drop(pongs.try_send(payload)),
                Message::Data(data) => to.write_all(&data).await?,
            }
        }
        to.shutdown().await
    };
    let writing = async {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(READ_BYTES);
            tokio::select! {
                Some(payload) = pinged.recv() => writer.pong(&payload).await?,
                read = from.read_buf(&mut buffer) => match read? {
                    0 => return writer.close(NORMAL).await,
                    _ => writer.binary(&buffer.split(), &[]).await?,
                },
            }
        }
    };
    tokio::select! { ended = reading => ended, ended = writing => ended }
}

/// Joins each connection's two streams, errors and data, to a connection to the pod.
async fn forward<S: AsyncRead + AsyncWrite>(io: S, kubelets: &Arc<dyn Kubelets>, place: &Place) -> io::Result<()> {
    let (mut streams, connection) = spdy::serve(io);
    let (idle, slots) = (Idle::new(), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let pairing = async {
        let mut halves: HashMap<String, Stream> = HashMap::new();
        let mut connections = JoinSet::new();
        while let Some(stream) = streams.recv().await {
            while connections.try_join_next().is_some() {}
            let id = format!("{} {}", stream.header("port"), stream.header("requestid"));
            let (Some(other), Ok(slot)) = (halves.remove(&id), slots.clone().try_acquire_owned()) else {
                match halves.len() < HALVES_MAX && slots.available_permits() > 0 {
                    true => drop(halves.insert(id, stream)),
                    false => stream.output.reset().await,
                }
                continue;
            };
            let is_error = |stream: &Stream| stream.header("streamtype") == "error";
            let (error, data) = if is_error(&stream) { (stream, other) } else { (other, stream) };
            let (kubelets, place, idle) = (kubelets.clone(), place.clone(), idle.clone());
            connections.spawn(async move {
                let _slot = slot;
                let port = data.header("port").to_owned();
                if let Err(why) = join(&*kubelets, &place, &port, data, &idle).await {
                    error.output.data(refusal(&place, &port, &why)).await;
                }
                error.output.finish().await;
            });
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = connection => ended,
        () = pairing => Ok(()),
        () = idle.expired() => Ok(()),
    }
}

/// What a client is told of a port that could not be forwarded.
fn refusal(place: &Place, port: &str, why: &str) -> Bytes {
    let Place { pod, namespace, uid, .. } = place;
    debug!(%pod, %namespace, %why, "port not forwarded");
    format!("error forwarding port {port} to pod {uid}, uid : {why}").into()
}

async fn join(kubelets: &dyn Kubelets, place: &Place, port: &str, mut data: Stream, idle: &Idle) -> Result<(), String> {
    let number = port.parse().ok().filter(|port: &u16| *port > 0);
    let joined = match number {
        Some(number) => {
            let output = Sink::Stream(data.output.clone());
            splice(kubelets, (place, number), &mut data.input, &output, idle).await
        }
        None => Err(format!("{port:?} is no port")),
    };
    data.output.finish().await;
    joined
}

/// Where what a pod says goes.
enum Sink {
    Stream(spdy::Output),
    Channel(channels::Channel),
}

impl Sink {
    async fn give(&self, bytes: Bytes) {
        match self {
            Self::Stream(output) => output.data(bytes).await,
            Self::Channel(channel) => channel.give(bytes).await,
        }
    }
}

/// Connects to a port, and carries what comes either way until the pod has said all.
async fn splice(
    kubelets: &dyn Kubelets,
    (place, port): (&Place, u16),
    input: &mut mpsc::Receiver<Bytes>,
    output: &Sink,
    idle: &Idle,
) -> Result<(), String> {
    let opened = kubelets.port_forward(place, port).await.map_err(|error| error.to_string())?;
    let (mut from, mut to) = tokio::io::split(opened);
    let sending = async {
        while let Some(bytes) = input.recv().await {
            idle.touch();
            to.write_all(&bytes).await?;
            to.flush().await?;
        }
        to.shutdown().await
    };
    let receiving = async {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(READ_BYTES);
            if from.read_buf(&mut buffer).await? == 0 {
                return Ok::<_, io::Error>(());
            }
            idle.touch();
            output.give(buffer.split().freeze()).await;
        }
    };
    tokio::pin!(sending);
    tokio::pin!(receiving);
    let ended = tokio::select! {
        // The client has said all: the pod may still answer.
        sent = &mut sending => match sent {
            Ok(()) => receiving.await,
            Err(error) => Err(error),
        },
        received = &mut receiving => received,
    };
    ended.map_err(|error| error.to_string())
}
