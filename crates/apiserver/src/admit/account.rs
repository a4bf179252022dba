//! Waiting for the ServiceAccount that every namespace gets: who makes a namespace and a pod in one go is not refused for being
//! quicker than the controller. Main function: [`await_default`]. Upstream's admission looks as often.

use std::{sync::Arc, time::Duration};

use api::{
    kinds::{Kind, namespace::NAMESPACE, pod::POD, read::text, service_account::SERVICE_ACCOUNT},
    meta,
};
use serde_json::Value;
use store::Freshness;

use crate::{object, shared::Shared};

/// Looks before the pod is judged as things are.
const LOOKS: usize = 10;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(150);

/// The account of a pod that names none.
const DEFAULT: &str = "default";

/// Returns when the pod's namespace has its default ServiceAccount, if that is the pod's; at the latest after 1.5 s.
pub async fn await_default(shared: &Arc<Shared>, kind: &Kind, pod: &Value) {
    if kind.kind != POD.kind || !["", DEFAULT].contains(&text(pod, "/spec/serviceAccountName")) {
        return;
    }
    let (account, namespace) = (
        object::key(&SERVICE_ACCOUNT, meta::namespace(pod), DEFAULT),
        object::key(&NAMESPACE, "", meta::namespace(pod)),
    );
    for _ in 0..LOOKS {
        let Ok(view) = shared.storage.read(Freshness::Any).await else { return };
        if view.get(&account).is_some() || view.get(&namespace).is_none() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
