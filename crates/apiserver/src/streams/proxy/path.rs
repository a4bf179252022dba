//! Paths below `proxy`: what the pod is asked for, and where its redirects lead. Main type: [`Place`].

use http::Uri;

/// Segments up to `proxy`: `api`, version, `namespaces`, namespace, resource, name, `proxy`.
const PREFIX_SEGMENTS: usize = 7;

/// A path, at the seam between the API's and the pod's part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Up to and with `proxy`, without a slash at its end.
    pub(super) prefix: String,
    /// What the pod is asked for: empty, or cleaned and from its root.
    pub(super) rest: String,
}

impl Place {
    /// Takes the path of a request apart, as the client wrote it.
    pub(super) fn of(path: &str) -> Self {
        let (mut prefix, mut rest) = (String::new(), path);
        for _ in 0..PREFIX_SEGMENTS {
            let segment = rest.trim_start_matches('/');
            let end = segment.find('/').unwrap_or(segment.len());
            prefix = format!("{prefix}/{}", &segment[..end]);
            rest = &segment[end..];
        }
        Self { prefix, rest: clean(rest) }
    }

    /// What is asked of the pod; or why it cannot be.
    pub(super) fn target(&self, query: Option<&str>) -> Result<Uri, String> {
        let path = if self.rest.is_empty() { "/" } else { &self.rest };
        let whole = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        whole.parse().map_err(|error| format!("the path {path:?} cannot be asked for: {error}"))
    }

    /// The path as clients know it.
    pub(super) fn whole(&self) -> String {
        format!("{}{}", self.prefix, self.rest)
    }

    /// Where a redirect of the pod leads: to the pod still, where it means itself. `pod` is how we call it, `asked` how the client
    /// called us.
    pub(super) fn location(&self, to: &str, pod: &str, asked: &str) -> String {
        let (host, from_root) = split_host(to);
        let elsewhere = host.is_some_and(|host| host != pod && host != asked);
        if elsewhere || !from_root.starts_with('/') {
            return to.to_owned();
        }
        let end = from_root.find(['?', '#']).unwrap_or(from_root.len());
        let (path, after) = from_root.split_at(end);
        let path = clean(path);
        let known = path == self.prefix || path.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with('/'));
        if known { format!("{path}{after}") } else { format!("{}{path}{after}", self.prefix) }
    }
}

/// Host and port of a URL, if it names them, and the rest from the path on.
fn split_host(url: &str) -> (Option<&str>, &str) {
    let scheme = url
        .find(':')
        .filter(|at| url[..*at].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)));
    let after = scheme.map_or(url, |at| &url[at + 1..]);
    let Some(after) = after.strip_prefix("//") else { return (None, url) };
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    (Some(&after[..end]), &after[end..])
}

/// Without empty segments, and with `.` and `..` gone, however written; nothing leads above the root. A slash at the end stays.
fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "" | "." => {}
            ".." => _ = kept.pop(),
            _ => kept.push(segment),
        }
    }
    if path.is_empty() {
        return String::new();
    }
    let slash = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "/api/v1/namespaces/a/pods/b:80/proxy";

    fn place(rest: &str) -> Place {
        Place::of(&format!("{PREFIX}{rest}"))
    }

    #[test]
    fn the_pods_part_is_cleaned_and_stays_below_its_root() {
        let check = |rest: &str, expect: &str| {
            let found = place(rest);
            assert_eq!((found.prefix.as_str(), found.rest.as_str()), (PREFIX, expect), "{rest}");
        };
        check("", "");
        check("/", "/");
        check("/x/y", "/x/y");
        check("/x//y/", "/x/y/");
        check("/../../secrets", "/secrets");
        check("/x/%2e%2E/y/./z", "/y/z");
        check("/x/..", "/");
        check("/a%2Fb/%20", "/a%2Fb/%20");
        assert_eq!(Place::of("//api//v1/namespaces/a//pods/b:80/proxy/x").whole(), format!("{PREFIX}/x"));
    }

    #[test]
    fn a_query_goes_along() {
        let check = |rest: &str, query: Option<&str>, expect: &str| {
            assert_eq!(place(rest).target(query).map(|uri| uri.to_string()), Ok(expect.to_owned()));
        };
        check("", Some("a=%20&b"), "/?a=%20&b");
        check("/x", None, "/x");
        check("/x/", Some(""), "/x/?");
    }

    #[test]
    fn redirects_to_itself_stay_with_the_pod() {
        let check = |to: &str, expect: &str| {
            assert_eq!(place("/x").location(to, "10.42.0.5:80", "localhost:8001"), expect.replace('^', PREFIX), "{to}");
        };
        check("/login?to=/x#top", "^/login?to=/x#top");
        check("/", "^/");
        check("/a/../../b/", "^/b/");
        check("http://10.42.0.5:80/login", "^/login");
        check("https://localhost:8001/login", "^/login");
        check("//10.42.0.5:80/login", "^/login");
        check(&format!("{PREFIX}/y"), "^/y");
        check(&format!("{PREFIX}y"), "^^y");
        check("next", "next");
        check("?page=2", "?page=2");
        check("http://10.42.0.5:80", "http://10.42.0.5:80");
        check("https://example.com/login", "https://example.com/login");
        check("//example.com/login", "//example.com/login");
        check("mailto:somebody", "mailto:somebody");
    }
}
