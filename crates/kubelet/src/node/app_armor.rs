//! Whether this node can confine a pod as its AppArmor profiles say. Main function: [`confine`].
//! Spec: <https://kubernetes.io/docs/tutorials/security/apparmor/>. Leaves out the old annotations; loads no profile itself.

use api::gotext::quote;

use super::admit::REJECTED;
use crate::{
    history::Verdict,
    model::{Container, Pod},
};

/// What `RuntimeDefault` stands for: the profile that containerd loads for Kubernetes.
const RUNTIME_DEFAULT: &str = "cri-containerd.apparmor.d";

/// The profile of one container; `None` for what the runtime does by itself.
#[must_use]
pub fn profile<'a>(pod: &'a Pod, container: &'a Container) -> Option<&'a str> {
    let own = container.security_context.app_armor_profile.as_ref();
    let profile = own.or(pod.spec.security_context.app_armor_profile.as_ref())?;
    match profile.kind.as_str() {
        "RuntimeDefault" => Some(RUNTIME_DEFAULT),
        "Localhost" => profile.localhost_profile.as_deref(),
        _ => None,
    }
}

/// Whether all profiles of a pod can be enforced. `loaded` are the kernel's; `None` where it has no AppArmor.
///
/// # Errors
/// Where one cannot: `status.reason` and `status.message` of the failed Pod.
pub fn confine(pod: &Pod, loaded: impl FnOnce() -> Option<Vec<String>>) -> Result<(), Verdict> {
    let mut wanted = pod.all_containers().filter_map(|(_, container)| profile(pod, container)).peekable();
    if wanted.peek().is_none() {
        return Ok(());
    }
    let why = match loaded() {
        None => "AppArmor is not enabled on the host".to_owned(),
        Some(loaded) => match wanted.find(|name| !loaded.iter().any(|one| one == name)) {
            None => return Ok(()),
            Some(missing) => format!("profile {} is not loaded", quote(missing)),
        },
    };
    Err(Verdict { reason: "AppArmor".to_owned(), message: format!("{REJECTED}Cannot enforce AppArmor: {why}") })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(pod: Value, own: Value, loaded: Option<&[&str]>, expect: Option<&str>) {
        let object = json!({"spec": {"securityContext": pod, "containers": [{"securityContext": own}]}});
        let pod = Pod::read(&object).unwrap();
        let loaded = loaded.map(|names| names.iter().map(|one| (*one).to_owned()).collect());
        let found = confine(&pod, || loaded).err().map(|verdict| verdict.message);
        assert_eq!(found, expect.map(|why| format!("Pod was rejected: Cannot enforce AppArmor: {why}")));
    }

    #[test]
    fn a_profile_is_enforced_or_its_pod_refused() {
        let profile = |kind: &str| json!({"appArmorProfile": {"type": kind}});
        let local = json!({"appArmorProfile": {"type": "Localhost", "localhostProfile": "own"}});
        let none = "AppArmor is not enabled on the host";
        check(json!({}), json!({}), None, None);
        check(profile("Unconfined"), json!({}), None, None);
        check(profile("RuntimeDefault"), json!({}), None, Some(none));
        check(profile("RuntimeDefault"), profile("Unconfined"), None, None);
        check(json!({}), local.clone(), None, Some(none));
        check(json!({}), local.clone(), Some(&[]), Some(r#"profile "own" is not loaded"#));
        check(json!({}), local, Some(&["other", "own"]), None);
        check(profile("RuntimeDefault"), json!({}), Some(&[RUNTIME_DEFAULT]), None);
    }
}
