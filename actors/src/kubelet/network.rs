//! Who attaches pods to the network. Main type: [`Network`]: [`PodNetwork`] on a machine, a twin in tests.

use futures::future::BoxFuture;
use net::pod::{Attachment, PodNetwork};

/// Attaches pods. Every request may be repeated.
pub trait Network: Send + Sync + 'static {
    /// Gives a pod a network namespace and addresses.
    fn attach<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<Attachment, String>>;
    /// Takes them away.
    fn detach<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<(), String>>;
    /// All pods that have them, those of earlier processes included.
    fn attached(&self) -> Vec<(String, Attachment)>;
    /// Where a pod is attached.
    fn attachment(&self, uid: &str) -> Option<Attachment> {
        self.attached().into_iter().find(|(attached, _)| attached == uid).map(|(_, attachment)| attachment)
    }
}

impl Network for PodNetwork {
    fn attach<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<Attachment, String>> {
        Box::pin(async move { PodNetwork::attach(self, uid).await.map_err(|error| told(&error)) })
    }

    fn detach<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move { PodNetwork::detach(self, uid).await.map_err(|error| told(&error)) })
    }

    fn attached(&self) -> Vec<(String, Attachment)> {
        PodNetwork::attached(self)
    }
}

/// An error and its causes, as people read them.
pub fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", told(cause)),
        None => error.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod twin {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use parking_lot::Mutex;

    use super::*;

    /// Addresses and no network.
    #[derive(Debug, Default)]
    pub(crate) struct NoNetwork(Mutex<BTreeMap<String, Attachment>>);

    impl Network for NoNetwork {
        fn attach<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<Attachment, String>> {
            let mut attached = self.0.lock();
            let number = attached.len() as u8 + 2;
            let address = Ipv4Addr::new(10, 42, 0, number).into();
            let made = Attachment { netns: format!("/run/netns/{uid}").into(), addresses: vec![address] };
            let attachment = attached.entry(uid.to_owned()).or_insert(made).clone();
            Box::pin(async move { Ok(attachment) })
        }

        fn detach<'a>(&'a self, uid: &'a str) -> BoxFuture<'a, Result<(), String>> {
            self.0.lock().remove(uid);
            Box::pin(async { Ok(()) })
        }

        fn attached(&self) -> Vec<(String, Attachment)> {
            self.0.lock().iter().map(|(uid, attachment)| (uid.clone(), attachment.clone())).collect()
        }
    }
}
