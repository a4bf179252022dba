//! `pods/portforward`: connections to a pod's ports, over SPDY, or SPDY within a WebSocket. Main item: [`answer`].
//! Spec: <https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets>.
//! Left out: the older protocol over WebSocket, whose ports are fixed when it starts.

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
    may_connect(shared, &asked)?;
    let pod = place::pod(shared, &asked.target).await?;
    let place = place::whole(&pod);
    has_node(&place)?;
    let (way, response) = upgrade::agree(asked.head, &[TUNNEL], &[OVER_SPDY])?;
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
                    let (pod, namespace, uid) = (&place.pod, &place.namespace, &place.uid);
                    let text = format!("error forwarding port {port} to pod {uid}, uid : {why}");
                    debug!(%pod, %namespace, %why, "port not forwarded");
                    error.output.data(text.into()).await;
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

async fn join(kubelets: &dyn Kubelets, place: &Place, port: &str, mut data: Stream, idle: &Idle) -> Result<(), String> {
    let number = port.parse().ok().filter(|port: &u16| *port > 0);
    let opened = match number {
        Some(number) => kubelets.port_forward(place, number).await.map_err(|error| error.to_string()),
        None => Err(format!("{port:?} is no port")),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(why) => {
            data.output.finish().await;
            return Err(why);
        }
    };
    let (mut from, mut to) = tokio::io::split(opened);
    let output = data.output.clone();
    let sending = async {
        while let Some(bytes) = data.input.recv().await {
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
            let bytes: Bytes = buffer.split().freeze();
            output.data(bytes).await;
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
    output.finish().await;
    ended.map_err(|error| error.to_string())
}
