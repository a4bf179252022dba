//! `securityContext` of a pod and a container, together. Main function: [`resolve`].
//! Spec: <https://kubernetes.io/docs/tasks/configure-pod-container/security-context/>.
//! Leaves out: SELinux, user namespaces.

use api::gotext::quote;

use crate::{
    model::{Container, Pod, Profile},
    node::app_armor,
    spec::{Seccomp, Security, User},
    text::pod_name,
};

/// Why a container must not be made as it is. Nothing changes until its spec or image does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// It says root and not root.
    #[error("container's runAsUser breaks non-root policy (pod: {pod}, container: {container})")]
    RunAsRoot {
        /// Which pod, quoted.
        pod: String,
        /// Which container.
        container: String,
    },
    /// The image says root.
    #[error("container has runAsNonRoot and image will run as root (pod: {pod}, container: {container})")]
    ImageIsRoot {
        /// Which pod, quoted.
        pod: String,
        /// Which container.
        container: String,
    },
    /// The image names a user.
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root (pod: {pod}, container: {container})"
    )]
    ImageUserIsName {
        /// Whom.
        user: String,
        /// Which pod, quoted.
        pod: String,
        /// Which container.
        container: String,
    },
}

/// Who a container is and what it may do. `image_user` is what the image says.
///
/// # Errors
/// Where it would be root although it must not.
pub fn resolve(pod: &Pod, container: &Container, image_user: &str) -> Result<Security, SecurityError> {
    let (own, all) = (&container.security_context, &pod.spec.security_context);
    let user = own.run_as_user.or(all.run_as_user);
    let group = own.run_as_group.or(all.run_as_group);
    if own.run_as_non_root.or(all.run_as_non_root) == Some(true) {
        refuse_root(pod, container, user, image_user)?;
    }
    let id = |id: i64| u32::try_from(id).ok();
    // A group without a user goes with the image's user, if that is a number.
    let user = user.and_then(id).or_else(|| group.and(image_uid(image_user)));
    Ok(Security {
        user: user.map(|uid| User { uid, gid: group.and_then(id) }),
        groups: all.supplemental_groups.iter().copied().chain(all.fs_group).filter_map(id).collect(),
        add_capabilities: own.capabilities.add.iter().map(|name| plain(name)).collect(),
        drop_capabilities: own.capabilities.drop.iter().map(|name| plain(name)).collect(),
        privileged: own.privileged,
        read_only_root: own.read_only_root_filesystem,
        no_new_privileges: own.allow_privilege_escalation == Some(false),
        strict_groups: all.supplemental_groups_policy.as_deref() == Some("Strict"),
        seccomp: match own.seccomp_profile.as_ref().or(all.seccomp_profile.as_ref()) {
            Some(profile) if !own.privileged => seccomp(profile),
            _ => Seccomp::Unconfined,
        },
        app_armor: app_armor::profile(pod, container).map(str::to_owned),
    })
}

fn seccomp(profile: &Profile) -> Seccomp {
    match (profile.kind.as_str(), &profile.localhost_profile) {
        ("RuntimeDefault", _) => Seccomp::RuntimeDefault,
        ("Localhost", Some(file)) => Seccomp::Localhost(file.into()),
        _ => Seccomp::Unconfined,
    }
}

fn plain(capability: &str) -> String {
    let upper = capability.to_uppercase();
    upper.strip_prefix("CAP_").map(str::to_owned).unwrap_or(upper)
}

/// The user of `user:group`.
fn image_name(image_user: &str) -> &str {
    image_user.split(':').next().unwrap_or_default()
}

fn image_uid(image_user: &str) -> Option<u32> {
    let name = image_name(image_user);
    if name.is_empty() { Some(0) } else { name.parse().ok() }
}

fn refuse_root(pod: &Pod, container: &Container, user: Option<i64>, image_user: &str) -> Result<(), SecurityError> {
    let (pod, container) = (quote(&pod_name(pod)), container.name.clone());
    match (user, image_uid(image_user)) {
        (Some(0), _) => Err(SecurityError::RunAsRoot { pod, container }),
        (None, Some(0)) => Err(SecurityError::ImageIsRoot { pod, container }),
        (None, None) => Err(SecurityError::ImageUserIsName { user: image_name(image_user).to_owned(), pod, container }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(pod: Value, own: Value, image_user: &str, expect: Result<(Option<u32>, Option<u32>), &str>) {
        let object = json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"securityContext": pod, "containers": [{"name": "c", "securityContext": own}]},
        });
        let pod = Pod::read(&object).unwrap();
        let found = resolve(&pod, &pod.spec.containers[0], image_user);
        let found = found.map(|found| (found.user.map(|user| user.uid), found.user.and_then(|user| user.gid)));
        assert_eq!(found.map_err(|error| error.to_string()), expect.map_err(str::to_owned));
    }

    #[test]
    fn a_container_overrides_its_pod() {
        check(json!({}), json!({}), "", Ok((None, None)));
        check(json!({"runAsUser": 5, "runAsGroup": 6}), json!({}), "", Ok((Some(5), Some(6))));
        check(json!({"runAsUser": 5}), json!({"runAsUser": 7, "runAsGroup": 8}), "", Ok((Some(7), Some(8))));
        check(json!({"runAsGroup": 6}), json!({}), "33:44", Ok((Some(33), Some(6))));
        check(json!({"runAsGroup": 6}), json!({}), "www", Ok((None, None)));
    }

    #[test]
    fn non_root_is_checked_as_upstream_does() {
        let must = json!({"runAsNonRoot": true});
        check(must.clone(), json!({"runAsUser": 1}), "", Ok((Some(1), None)));
        check(must.clone(), json!({"runAsNonRoot": false}), "", Ok((None, None)));
        check(must.clone(), json!({}), "1000:0", Ok((None, None)));
        let place = "(pod: \"p_n(u)\", container: c)";
        let root = format!("container's runAsUser breaks non-root policy {place}");
        check(must.clone(), json!({"runAsUser": 0}), "", Err(&root));
        let image = format!("container has runAsNonRoot and image will run as root {place}");
        check(must.clone(), json!({}), "", Err(&image));
        check(must.clone(), json!({}), "0:5", Err(&image));
        let name = "container has runAsNonRoot and image has non-numeric user (www), cannot verify user is non-root";
        check(must, json!({}), "www:www", Err(&format!("{name} {place}")));
    }

    #[test]
    fn a_containers_profile_goes_before_its_pods() {
        let check = |pod: Value, own: Value, expect: Seccomp| {
            let object = json!({"spec": {"securityContext": pod, "containers": [{"securityContext": own}]}});
            let pod = Pod::read(&object).unwrap();
            assert_eq!(resolve(&pod, &pod.spec.containers[0], "").unwrap().seccomp, expect);
        };
        let profile = |kind: &str| json!({"seccompProfile": {"type": kind}});
        let local = json!({"seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/a.json"}});
        check(json!({}), json!({}), Seccomp::Unconfined);
        check(profile("RuntimeDefault"), json!({}), Seccomp::RuntimeDefault);
        check(profile("RuntimeDefault"), profile("Unconfined"), Seccomp::Unconfined);
        check(profile("RuntimeDefault"), json!({"privileged": true}), Seccomp::Unconfined);
        check(profile("Unconfined"), local, Seccomp::Localhost("profiles/a.json".into()));
    }

    #[test]
    fn capabilities_and_groups_are_taken_over() {
        let object = json!({"spec": {
            "securityContext": {"supplementalGroups": [1, 2], "fsGroup": 3, "supplementalGroupsPolicy": "Strict"},
            "containers": [{"securityContext": {
                "capabilities": {"add": ["NET_ADMIN", "CAP_SYS_TIME"], "drop": ["all"]}, "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
            }}],
        }});
        let pod = Pod::read(&object).unwrap();
        let found = resolve(&pod, &pod.spec.containers[0], "").unwrap();
        assert_eq!(found.groups, [1, 2, 3]);
        assert_eq!(
            (found.add_capabilities, found.drop_capabilities),
            (vec!["NET_ADMIN".into(), "SYS_TIME".into()], vec!["ALL".into()])
        );
        assert!(found.no_new_privileges && found.read_only_root && !found.privileged && found.strict_groups);
    }
}
