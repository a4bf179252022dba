//! Security of a pod and of a container. Main types: [`PodSecurityContext`], [`SecurityContext`].

use serde::Deserialize;

/// `spec.securityContext`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSecurityContext {
    /// User of all containers.
    pub run_as_user: Option<i64>,
    /// Group of all containers.
    pub run_as_group: Option<i64>,
    /// Refuse root.
    pub run_as_non_root: Option<bool>,
    /// Further groups.
    pub supplemental_groups: Vec<i64>,
    /// Group that owns the volumes.
    pub fs_group: Option<i64>,
    /// `OnRootMismatch` or `Always`.
    pub fs_group_change_policy: Option<String>,
    /// `Strict`: groups that an image's `/etc/group` names are not added.
    pub supplemental_groups_policy: Option<String>,
    /// System calls of all containers.
    pub seccomp_profile: Option<Profile>,
    /// What all containers may touch.
    pub app_armor_profile: Option<Profile>,
    /// Kernel settings of the pod's namespaces.
    pub sysctls: Vec<Sysctl>,
    /// Labels, for downward use only.
    pub se_linux_options: Option<SeLinux>,
}

/// What confines a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Profile {
    /// `RuntimeDefault`, `Unconfined` or `Localhost`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which one of the node's own.
    pub localhost_profile: Option<String>,
}

/// A kernel setting.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Sysctl {
    /// As `net.core.somaxconn`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// SELinux labels; read, not used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SeLinux {
    /// Level.
    pub level: String,
}

/// A container's `securityContext`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecurityContext {
    /// User.
    pub run_as_user: Option<i64>,
    /// Group.
    pub run_as_group: Option<i64>,
    /// Refuse root.
    pub run_as_non_root: Option<bool>,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// Nearly the host's root.
    pub privileged: bool,
    /// The root filesystem cannot be written.
    pub read_only_root_filesystem: bool,
    /// Set-user-id programs work; true if unset.
    pub allow_privilege_escalation: Option<bool>,
    /// System calls.
    pub seccomp_profile: Option<Profile>,
    /// What it may touch.
    pub app_armor_profile: Option<Profile>,
}

/// Changes of the default set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Capabilities {
    /// Added.
    pub add: Vec<String>,
    /// Taken.
    pub drop: Vec<String>,
}
