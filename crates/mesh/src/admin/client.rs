//! The command's side of the admin socket.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use net::Channel;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use super::{Answer, Request, SOCKET};

/// How long a node may take to answer: leaving takes the longest.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Between two looks for the socket of a node that is still starting; there is no event to wait for.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// Asks the running node.
pub(crate) async fn ask<T: DeserializeOwned>(data_dir: &Path, request: &Request) -> Result<T> {
    exchange(connect(data_dir).await?, request, ANSWER_LIMIT).await
}

/// As [`ask`], for work that takes as long as `limit`.
pub(crate) async fn ask_for<T: DeserializeOwned>(data_dir: &Path, request: &Request, limit: Duration) -> Result<T> {
    exchange(connect(data_dir).await?, request, limit).await
}

/// As [`ask`], where more frames follow the answer.
pub(crate) async fn stream<T: DeserializeOwned>(data_dir: &Path, request: &Request) -> Result<(T, Channel)> {
    talk(connect(data_dir).await?, request, ANSWER_LIMIT).await
}

/// As [`ask`], where the node may not run yet.
pub(crate) async fn ask_within<T: DeserializeOwned>(
    data_dir: &Path,
    request: &Request,
    patience: Duration,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    let stream = loop {
        match connect(data_dir).await {
            Ok(stream) => break stream,
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => sleep(LOOK_PERIOD).await,
        }
    };
    exchange(stream, request, patience + ANSWER_LIMIT).await
}

/// Whether a node runs here.
pub(crate) async fn running(data_dir: &Path) -> Result<bool> {
    let path = data_dir.join(SOCKET);
    match UnixStream::connect(&path).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("{}: run this as the user that runs mesh", path.display())),
    }
}

async fn connect(data_dir: &Path) -> Result<UnixStream> {
    let path = data_dir.join(SOCKET);
    match UnixStream::connect(&path).await {
        Ok(stream) => Ok(stream),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => bail!(
            "mesh does not run here (nothing answers at {}): start it with `mesh up`, or name its data directory with \
             --data-dir",
            path.display()
        ),
        Err(error) => Err(error).with_context(|| format!("{}: run this as the user that runs mesh", path.display())),
    }
}

async fn exchange<T: DeserializeOwned>(stream: UnixStream, request: &Request, limit: Duration) -> Result<T> {
    talk(stream, request, limit).await.map(|(answer, _)| answer)
}

async fn talk<T: DeserializeOwned>(stream: UnixStream, request: &Request, limit: Duration) -> Result<(T, Channel)> {
    let (reader, writer) = stream.into_split();
    let mut channel = Channel::new(reader, writer);
    let ask = async {
        channel.send(&serde_json::to_vec(request)?).await?;
        channel.finish().await?;
        channel.receive().await?.ok_or_else(|| anyhow!("mesh ended before it answered"))
    };
    let answer = timeout(limit, ask).await.map_err(|_| anyhow!("mesh gave no answer within {limit:?}"))??;
    let answer: Answer = serde_json::from_slice(&answer)?;
    Ok((serde_json::from_value(answer.map_err(|words| anyhow!(words))?)?, channel))
}
