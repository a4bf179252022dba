//! Images: whether one has to be pulled, and how long to wait after a failure. Main function: [`decide`].
//! Spec: <https://kubernetes.io/docs/concepts/containers/images/>; images that were pulled with credentials: KEP-2535,
//! <https://kubernetes.io/docs/concepts/containers/images/#ensureimagepullcredentialverification>.

use std::time::Duration;

use api::gotext::quote;
use jiff::Timestamp;

use crate::{history::Backoff, model::Container, observed::Image, text::later};

/// The wait after the first pull that failed; doubles. Upstream's numbers.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(10);

/// The longest wait between two pulls.
pub const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// Longest reference that is looked at: a host, a path of 255 and a digest.
const REFERENCE_MAX: usize = 1_024;

/// What to do about the image of a container that is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is there.
    Present,
    /// Get it.
    Pull,
    /// Not now: waiting reason and message. There may be a time at which it is worth another look.
    Wait {
        /// As `ImagePullBackOff`.
        reason: &'static str,
        /// For people.
        message: String,
        /// When to look again.
        until: Option<Timestamp>,
    },
}

/// Whether the image has to be pulled. `pulled`: it was, for this attempt of the container.
#[must_use]
pub fn decide(
    container: &Container,
    present: Option<&Image>,
    pulled: bool,
    backoff: Option<&Backoff>,
    now: Timestamp,
) -> Decision {
    let image = &container.image;
    if !is_reference(image) {
        let name = quote(image);
        let why = if image.contains(|c: char| c.is_ascii_uppercase()) && is_reference(&image.to_lowercase()) {
            "repository name must be lowercase"
        } else {
            "invalid reference format"
        };
        let why = if why.starts_with("repo") { format!("invalid reference format: {why}") } else { why.to_owned() };
        let message = format!("Failed to apply default image tag {name}: couldn't parse image name {name}: {why}");
        return Decision::Wait { reason: "InvalidImageName", message, until: None };
    }
    match (policy(container), present) {
        ("Never", found) if found.is_none_or(|found| found.withheld) => {
            let message = format!("Container image {} is not present with pull policy of Never", quote(image));
            return Decision::Wait { reason: "ErrImageNeverPull", message, until: None };
        }
        ("Never" | "IfNotPresent", Some(found)) if !found.withheld => return Decision::Present,
        (_, Some(_)) if pulled => return Decision::Present,
        _ => {}
    }
    match backoff.and_then(|backoff| Some((backoff, backoff.until?))) {
        Some((backoff, until)) if until > now => {
            let message = format!("Back-off pulling image {}: ErrImagePull: {}", quote(image), backoff.message);
            Decision::Wait { reason: "ImagePullBackOff", message, until: Some(until) }
        }
        _ => Decision::Pull,
    }
}

/// `imagePullPolicy`; if unset, what the API server would have made of it.
pub(crate) fn policy(container: &Container) -> &str {
    if !container.image_pull_policy.is_empty() {
        return &container.image_pull_policy;
    }
    let (name, tag) = split_tag(&container.image);
    let fixed = name.contains('@') || tag.is_some_and(|tag| tag != "latest");
    if fixed { "IfNotPresent" } else { "Always" }
}

/// A reference without its tag, and that.
fn split_tag(reference: &str) -> (&str, Option<&str>) {
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (reference, None),
    }
}

/// A reference without its tag and digest: what a credential opens.
#[must_use]
pub fn repository(reference: &str) -> &str {
    split_tag(reference.split('@').next().unwrap_or_default()).0
}

/// What an image is in `imageID`: its repository and digest.
#[must_use]
pub fn id(reference: &str, digest: &str) -> String {
    format!("{}@{digest}", repository(reference))
}

/// Remembers a pull that failed.
pub(crate) fn failed(backoff: &mut Backoff, message: String, now: Timestamp) {
    // Long ago is a new story.
    if backoff.last_at.is_some_and(|last| crate::text::between(last, now) > BACKOFF_MAX * 2) {
        backoff.failures = 0;
    }
    let wait = BACKOFF_FIRST.saturating_mul(1 << backoff.failures.min(16)).min(BACKOFF_MAX);
    *backoff = Backoff {
        failures: backoff.failures.saturating_add(1),
        last_at: Some(now),
        until: Some(later(now, wait)),
        message,
        told: false,
    };
}

/// Whether a text is a reference: `[host[:port]/]path[:tag][@digest]`.
/// Spec: <https://github.com/distribution/reference>.
fn is_reference(text: &str) -> bool {
    if text.is_empty() || text.len() > REFERENCE_MAX {
        return false;
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let (name, tag) = split_tag(rest);
    let hex = |text: &str| text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digest =
        digest.is_none_or(|digest| digest.split_once(':').is_some_and(|(kind, text)| !kind.is_empty() && hex(text)));
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let tag = tag.is_none_or(|tag| {
        tag.len() <= 128
            && tag.bytes().next().is_some_and(word)
            && tag.bytes().all(|byte| word(byte) || b".-".contains(&byte))
    });
    digest && tag && is_name(name)
}

fn is_name(name: &str) -> bool {
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" || host != host.to_lowercase() => {
            (Some(host), path)
        }
        _ => (None, name),
    };
    let host = host.is_none_or(|host| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        !host.is_empty()
            && host.bytes().all(inner)
            && host.bytes().next().is_some_and(|byte| byte != b'-' && byte != b'.')
    });
    host && path.split('/').all(is_component)
}

/// Lower case letters and digits, with separators within: one dot, one or two underscores, any number of dashes.
fn is_component(component: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends = bytes.first().is_some_and(plain) && bytes.last().is_some_and(plain);
    let separators =
        component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).filter(|part| !part.is_empty());
    let known = |part: &str| matches!(part, "." | "_" | "__") || part.bytes().all(|byte| byte == b'-');
    ends && separators.into_iter().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_other_texts() {
        for good in [
            "busybox",
            "busybox:1.36",
            "a/b/c",
            "localhost:5000/x:y",
            "reg.example/x@sha256:0123456789abcdef0123456789abcdef",
            "a__b/c--d.e",
            "[::1]:5000/x",
        ] {
            assert!(is_reference(good), "{good}");
        }
        for bad in ["", "UPPER", "a b", "a//b", "a:", "a:b:c", "-a", "a_", "a..b", "x@sha256:12", "a/:b", ":x"] {
            assert!(!is_reference(bad), "{bad}");
        }
    }

    #[test]
    fn policies_decide() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let check = |image: &str, policy: &str, present: bool, pulled: bool, expect: &str| {
            let container = Container { image: image.into(), image_pull_policy: policy.into(), ..Container::default() };
            let found = Image::default();
            let text = match decide(&container, present.then_some(&found), pulled, None, now) {
                Decision::Wait { reason, message, .. } => format!("{reason}: {message}"),
                other => format!("{other:?}"),
            };
            assert_eq!(text, expect, "{image} {policy}");
        };
        check("a:1", "IfNotPresent", true, false, "Present");
        check("a:1", "IfNotPresent", false, false, "Pull");
        check("a:1", "", true, false, "Present");
        check("a", "", true, false, "Pull");
        check("a", "Always", true, true, "Present");
        check("a", "Never", true, false, "Present");
        check(
            "a",
            "Never",
            false,
            false,
            "ErrImageNeverPull: Container image \"a\" is not present with pull policy of Never",
        );
        check(
            "a b",
            "Always",
            false,
            false,
            "InvalidImageName: Failed to apply default image tag \"a b\": couldn't parse image name \"a b\": invalid reference format",
        );
    }

    #[test]
    fn what_is_withheld_counts_as_absent_until_it_was_pulled() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let found = Image { withheld: true, ..Image::default() };
        let check = |policy: &str, pulled: bool, expect: &str| {
            let container = Container { image: "a:1".into(), image_pull_policy: policy.into(), ..Container::default() };
            let text = format!("{:?}", decide(&container, Some(&found), pulled, None, now));
            assert!(text.contains(expect), "{policy} {pulled}: {text}");
        };
        check("IfNotPresent", false, "Pull");
        check("IfNotPresent", true, "Present");
        check("Always", false, "Pull");
        check("Never", false, "ErrImageNeverPull");
    }

    #[test]
    fn waits_double_up_to_five_minutes() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let (mut backoff, mut now) = (Backoff::default(), start);
        let mut waits = Vec::new();
        for _ in 0..7 {
            failed(&mut backoff, "no".into(), now);
            let until = backoff.until.unwrap();
            waits.push(crate::text::between(now, until).as_secs());
            now = until;
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
        let container = Container { image: "a:1".into(), ..Container::default() };
        let message = "Back-off pulling image \"a:1\": ErrImagePull: no".to_owned();
        let expect = Decision::Wait { reason: "ImagePullBackOff", message, until: backoff.until };
        assert_eq!(decide(&container, None, false, Some(&backoff), start), expect);
        assert_eq!(decide(&container, None, false, Some(&backoff), now), Decision::Pull);
    }

    #[test]
    fn an_id_is_repository_and_digest() {
        assert_eq!(id("docker.io/library/busybox:latest", "sha256:1"), "docker.io/library/busybox@sha256:1");
        assert_eq!(id("r:5000/a@sha256:1", "sha256:1"), "r:5000/a@sha256:1");
    }
}
