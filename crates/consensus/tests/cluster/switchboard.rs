//! A network within one process: [`net::Dial`] over in-memory pipes. Main type: [`Switchboard`].

use std::{collections::BTreeMap, sync::Arc};

use futures::future::BoxFuture;
use net::{Caller, Channel, Dial, DialError, Method, NodeId, Protocol, Role, Serve};
use parking_lot::Mutex;

/// Bytes under way in one direction of a channel.
const PIPE: usize = 1 << 20;

type Services = BTreeMap<(NodeId, u8), Arc<dyn Serve>>;

/// Connects the nodes that are plugged in.
#[derive(Clone, Default)]
pub(crate) struct Switchboard(Arc<Mutex<Services>>);

/// One node's line.
struct Line {
    board: Switchboard,
    from: NodeId,
}

impl Switchboard {
    pub(crate) fn plug(&self, node: &consensus::Node) {
        let mut services = self.0.lock();
        services.insert((node.id(), Protocol::Raft as u8), node.raft_service());
        services.insert((node.id(), Protocol::Rpc as u8), node.rpc_service());
    }

    pub(crate) fn unplug(&self, id: NodeId) {
        self.0.lock().retain(|(of, _), _| *of != id);
    }

    pub(crate) fn line(&self, from: NodeId) -> Arc<dyn Dial> {
        Arc::new(Line { board: self.clone(), from })
    }
}

impl Dial for Line {
    fn open(&self, to: NodeId, protocol: Protocol, method: Method) -> BoxFuture<'_, Result<Channel, DialError>> {
        let service = {
            let services = self.board.0.lock();
            // A node that is unplugged reaches nobody.
            let plugged = services.contains_key(&(self.from, protocol as u8));
            services.get(&(to, protocol as u8)).filter(|_| plugged).cloned()
        };
        let from = self.from;
        Box::pin(async move {
            let service = service.ok_or(DialError::Unknown(to))?;
            let (here, there) = tokio::io::duplex(PIPE);
            let channel = |end| {
                let (reader, writer) = tokio::io::split(end);
                Channel::new(reader, writer)
            };
            tokio::spawn(service.serve(Caller::Member(from, Role::Voter), method, channel(there)));
            Ok(channel(here))
        })
    }
}
