//! Headers on their way to a pod and back: without those of one connection, and without what a client has proven itself by.
//! Main type: [`Asked`]. Spec: <https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1>.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::path::Place;
use crate::serve::header_value;

/// What answers say of themselves, unless the pod says otherwise.
pub(super) const UNCACHED: &str = "no-cache, private";

/// Of one connection, beside those that `Connection` names.
const HOPS: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// For the API server alone. What it has waited for, it has waited for.
const OURS: [&str; 2] = ["authorization", "expect"];

/// For the API server alone: on whose behalf the client acts.
const IMPERSONATE: &str = "impersonate-";

/// A WebSocket protocol that carries a client's token.
const TOKEN_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// Tells the pod under which path the client knows it.
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// Headers of a request.
pub(super) struct Asked {
    rest: HeaderMap,
    /// The protocol that the client wants instead of HTTP.
    pub(super) upgrade: Option<HeaderValue>,
}

impl Asked {
    /// Takes a client's headers apart; `can`: its connection can change its protocol.
    pub(super) fn of(headers: &HeaderMap, can: bool) -> Self {
        let wants = tokens(headers, header::CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"));
        let upgrade = headers.get(header::UPGRADE).filter(|_| wants && can).cloned();
        let mut rest = headers.clone();
        drop_hops(&mut rest);
        let private = |name: &str| OURS.contains(&name) || name.starts_with(IMPERSONATE);
        let named: Vec<HeaderName> = rest.keys().filter(|name| private(name.as_str())).cloned().collect();
        named.iter().for_each(|name| _ = rest.remove(name));
        drop_tokens(&mut rest);
        Self { rest, upgrade }
    }

    /// What the pod reads.
    pub(super) fn for_pod(self, host: &str, place: &Place) -> HeaderMap {
        let Self { rest: mut headers, upgrade } = self;
        headers.insert(header::HOST, header_value(host));
        headers.insert(FORWARDED_URI, header_value(&place.whole()));
        if let Some(upgrade) = upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, upgrade);
        }
        headers
    }
}

/// What the client reads of a pod's headers; `upgrades`: HTTP ends here.
pub(super) fn for_client(mut headers: HeaderMap, upgrades: bool, location: impl FnOnce(&str) -> String) -> HeaderMap {
    let upgrade = headers.get(header::UPGRADE).filter(|_| upgrades).cloned();
    drop_hops(&mut headers);
    if let Some(upgrade) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, upgrade);
    }
    let to = headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).map(location);
    if let Some(to) = to {
        headers.insert(header::LOCATION, header_value(&to));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(UNCACHED));
    headers
}

fn drop_hops(headers: &mut HeaderMap) {
    let named: Vec<String> = tokens(headers, header::CONNECTION).map(str::to_ascii_lowercase).collect();
    let named = named.iter().map(String::as_str);
    named.chain(HOPS).for_each(|name| _ = headers.remove(name));
}

fn drop_tokens(headers: &mut HeaderMap) {
    let name = header::SEC_WEBSOCKET_PROTOCOL;
    if !tokens(headers, name.clone()).any(|protocol| protocol.starts_with(TOKEN_PROTOCOL)) {
        return;
    }
    let kept: Vec<&str> =
        tokens(headers, name.clone()).filter(|protocol| !protocol.starts_with(TOKEN_PROTOCOL)).collect();
    let kept = header_value(&kept.join(", "));
    headers.insert(name, kept);
}

/// What a header lists.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        headers.iter().map(pair).collect()
    }

    #[test]
    fn a_pod_gets_what_is_meant_for_it_and_nobodys_credentials() {
        let check = |asked: &[(&'static str, &'static str)], expect: &[(&'static str, &'static str)]| {
            let place = Place::of("/api/v1/namespaces/a/pods/b/proxy/x");
            let got = Asked::of(&map(asked), true).for_pod("h", &place);
            let mut expect = map(expect);
            expect.insert("host", HeaderValue::from_static("h"));
            expect.insert("x-forwarded-uri", header_value(&place.whole()));
            assert_eq!(got, expect, "{asked:?}");
        };
        check(&[("accept", "a/b"), ("cookie", "c")], &[("accept", "a/b"), ("cookie", "c")]);
        check(&[("authorization", "Bearer x"), ("impersonate-user", "u"), ("impersonate-extra-a", "b")], &[]);
        check(&[("connection", "close, X-Mine"), ("x-mine", "1"), ("te", "trailers"), ("keep-alive", "1")], &[]);
        check(&[("upgrade", "websocket")], &[]);
        check(
            &[("connection", "keep-alive, upgrade"), ("upgrade", "websocket")],
            &[("connection", "Upgrade"), ("upgrade", "websocket")],
        );
        check(
            &[("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.eA, chat")],
            &[("sec-websocket-protocol", "chat")],
        );
        assert!(Asked::of(&map(&[("connection", "upgrade"), ("upgrade", "x")]), false).upgrade.is_none());
    }

    #[test]
    fn a_client_gets_what_the_pod_said() {
        let check = |said: &[(&'static str, &'static str)], upgrades: bool, expect: &[(&'static str, &'static str)]| {
            let got = for_client(map(said), upgrades, |to| format!("/p{to}"));
            assert_eq!(got, map(expect), "{said:?}");
        };
        let uncached = ("cache-control", UNCACHED);
        check(&[("content-length", "3"), ("connection", "close")], false, &[("content-length", "3"), uncached]);
        check(
            &[("location", "/x"), ("cache-control", "max-age=1")],
            false,
            &[("location", "/p/x"), ("cache-control", "max-age=1")],
        );
        check(&[("transfer-encoding", "chunked"), ("upgrade", "h2c")], false, &[uncached]);
        check(
            &[("connection", "upgrade"), ("upgrade", "websocket")],
            true,
            &[("connection", "Upgrade"), ("upgrade", "websocket"), uncached],
        );
    }
}
