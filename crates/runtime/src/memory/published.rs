//! The twin's registries: images that can be pulled. Main type: [`Published`].

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::json;

use crate::{Credentials, Image, ImageConfig, PullError};

/// Images in registries, and who may have them.
#[derive(Debug, Default)]
pub(super) struct Published {
    images: BTreeMap<String, (Image, Option<Credentials>)>,
}

impl Published {
    pub(super) fn add(&mut self, image: Image, credentials: Option<Credentials>) {
        self.images.insert(image.reference.clone(), (image, credentials));
    }

    /// As a registry answers: one is there if it has an image.
    pub(super) fn find(&self, reference: String, who: Option<&Credentials>) -> Result<Image, PullError> {
        match self.images.get(&reference) {
            Some((image, None)) => Ok(image.clone()),
            Some((image, wanted)) if wanted.as_ref() == who => Ok(image.clone()),
            Some(_) => Err(PullError::Unauthorized { reference, reason: "authorization failed".to_owned() }),
            None if self.images.keys().any(|known| host(known) == host(&reference)) => {
                Err(PullError::NotFound { reference })
            }
            None => {
                let reason = format!("dial tcp: lookup {}: no such host", host(&reference));
                Err(PullError::Unreachable { reference, reason })
            }
        }
    }
}

/// The one part of a twin's image: its configuration.
pub(super) fn bytes(config: &ImageConfig) -> Bytes {
    let ImageConfig { entrypoint, command, env, working_dir, user, stop_signal } = config;
    let run = json!({
        "Entrypoint": entrypoint, "Cmd": command, "Env": env, "WorkingDir": working_dir, "User": user,
        "StopSignal": stop_signal,
    });
    json!({ "config": run, "rootfs": {} }).to_string().into()
}

fn host(reference: &str) -> &str {
    reference.split('/').next().unwrap_or_default()
}
