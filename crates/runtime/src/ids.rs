//! Ids that follow from what they name, so that making the same thing twice makes it once.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Its text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// A sandbox: 64 hexadecimal digits.
    SandboxId
}

id! {
    /// A container: 64 hexadecimal digits.
    ContainerId
}

impl SandboxId {
    /// The sandbox of a pod's attempt.
    #[must_use]
    pub fn of(pod_uid: &str, attempt: u32) -> Self {
        Self(hash(&["sandbox", pod_uid, &attempt.to_string()]))
    }
}

impl ContainerId {
    /// An attempt of a container in a sandbox.
    #[must_use]
    pub fn of(sandbox: &SandboxId, name: &str, attempt: u32) -> Self {
        Self(hash(&["container", sandbox.as_str(), name, &attempt.to_string()]))
    }
}

fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        // Lengths keep parts apart.
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hex(&hasher.finalize())
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_what_they_name() {
        let sandbox = SandboxId::of("uid", 0);
        assert_eq!(sandbox, SandboxId::of("uid", 0));
        assert_ne!(sandbox, SandboxId::of("uid", 1));
        assert_ne!(ContainerId::of(&sandbox, "a1", 1), ContainerId::of(&sandbox, "a", 11));
        assert_eq!(sandbox.as_str().len(), 64);
    }
}
