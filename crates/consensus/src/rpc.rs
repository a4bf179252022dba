//! Answers proposals and read indexes that other nodes forward to the leader. Main type: [`RpcService`].

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use net::{Caller, Channel, ChannelError, Method, Serve};
use tokio::time::timeout;
use tracing::debug;

use crate::{
    codec,
    node::Inner,
    wire::{ProposeResponse, methods},
};

/// How long a caller may take to send its command.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// Serves [`methods::PROPOSE`] and [`methods::READ_INDEX`] of [`net::Protocol::Rpc`].
pub struct RpcService(pub(crate) Arc<Inner>);

impl Serve for RpcService {
    fn serve(self: Arc<Self>, caller: Caller, method: Method, channel: Channel) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Err(error) = self.answer(caller, method, channel).await {
                debug!(%error, ?caller, ?method, "call ended");
            }
        })
    }
}

impl RpcService {
    async fn answer(&self, caller: Caller, method: Method, mut channel: Channel) -> Result<(), ChannelError> {
        if caller == Caller::Anonymous {
            return Ok(());
        }
        let Ok(Some(request)) = timeout(REQUEST_LIMIT, channel.receive()).await.unwrap_or(Ok(None)) else {
            return Ok(());
        };
        let answer = match method {
            methods::PROPOSE => match store::wire::decode_command(&request) {
                Ok(_) => codec::encode(&ProposeResponse::from(self.0.propose_here(request).await)),
                // Decoded before it enters the log: there, every node would fail on it.
                Err(error) => codec::encode(&ProposeResponse::Refused(error.to_string())),
            },
            methods::READ_INDEX => codec::encode(&self.0.read_index_here().await),
            _ => return Ok(()),
        };
        channel.send(&answer).await?;
        channel.finish().await
    }
}
