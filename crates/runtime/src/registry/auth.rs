//! Who asks a registry: its challenge, and the answer to it. Main type: [`Authority`].

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use parking_lot::Mutex;
use serde::Deserialize;

use super::{
    JSON_BYTES_MAX,
    http::{Http, read},
};
use crate::Credentials;

/// What we say of us to a registry's authorization server.
const CLIENT: &str = "mesh";

/// Proves who asks, once a registry has said how.
pub(super) struct Authority {
    credentials: Option<Credentials>,
    header: Mutex<Option<HeaderValue>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Bearer {
    realm: String,
    service: String,
    scope: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer(Bearer),
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

impl Authority {
    pub(super) fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, header: Mutex::default() }
    }

    /// What proves it, if something was asked for before.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        self.header.lock().clone()
    }

    /// Answers a challenge; the reason why not is for people.
    pub(super) async fn answer(&self, http: &Http, headers: &HeaderMap) -> Result<(), String> {
        let challenges = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenges: Vec<Challenge> = challenges.filter_map(challenge).collect();
        let is_bearer = |one: &&Challenge| matches!(one, Challenge::Bearer(_));
        let answer = match (challenges.iter().find(is_bearer).or(challenges.first()), &self.credentials) {
            (Some(Challenge::Bearer(bearer)), credentials) => {
                format!("Bearer {}", token(http, bearer, credentials.as_ref()).await?)
            }
            (Some(Challenge::Basic), Some(credentials)) => basic(credentials),
            (Some(Challenge::Basic), None) => return Err("authorization failed: no basic auth credentials".to_owned()),
            (None, _) => return Err("authorization failed: the registry does not say how to authorize".to_owned()),
        };
        let mut value =
            HeaderValue::from_str(&answer).map_err(|_| "authorization failed: no usable token".to_owned())?;
        value.set_sensitive(true);
        *self.header.lock() = Some(value);
        Ok(())
    }
}

fn basic(credentials: &Credentials) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", credentials.username, credentials.password)))
}

async fn token(http: &Http, bearer: &Bearer, credentials: Option<&Credentials>) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| match credentials {
        Some(_) => format!("authorization failed: failed to fetch oauth token: {error}"),
        None => format!("authorization failed: failed to fetch anonymous token: {error}"),
    };
    let query = format!("service={}&scope={}", encode(&bearer.service), encode(&bearer.scope));
    let answered = match credentials.and_then(|known| known.identity_token.as_deref()) {
        Some(refresh) => {
            let uri: Uri = bearer.realm.parse().map_err(|error| failed(&error))?;
            let form = format!("grant_type=refresh_token&client_id={CLIENT}&refresh_token={}&{query}", encode(refresh));
            http.post(&uri, form).await
        }
        None => {
            let separator = if bearer.realm.contains('?') { '&' } else { '?' };
            let uri = format!("{}{separator}{query}", bearer.realm).parse().map_err(|error| failed(&error))?;
            let who = credentials.and_then(|known| HeaderValue::from_str(&basic(known)).ok());
            http.get(&uri, "application/json", who).await
        }
    };
    let answer = answered.map_err(|error| failed(&error))?;
    if answer.status() != StatusCode::OK {
        return Err(failed(&format_args!("unexpected status: {}", answer.status())));
    }
    let body = read(answer, JSON_BYTES_MAX).await.map_err(|error| failed(&error))?;
    let found: Token = serde_json::from_slice(&body).map_err(|_| failed(&"the answer is no token"))?;
    match [found.token, found.access_token].into_iter().find(|token| !token.is_empty()) {
        Some(token) => Ok(token),
        None => Err(failed(&"the answer has no token")),
    }
}

/// One challenge of `WWW-Authenticate` (RFC 9110, 11.6.1), as registries write it: one a header.
fn challenge(text: &str) -> Option<Challenge> {
    let (scheme, parameters) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => Some(Challenge::Basic),
        "bearer" => {
            let mut bearer = Bearer::default();
            for (name, value) in pairs(parameters) {
                match name.to_ascii_lowercase().as_str() {
                    "realm" => bearer.realm = value,
                    "service" => bearer.service = value,
                    "scope" => bearer.scope = value,
                    _ => {}
                }
            }
            (!bearer.realm.is_empty()).then_some(Challenge::Bearer(bearer))
        }
        _ => None,
    }
}

/// `name="value"` pairs; values may hold commas.
fn pairs(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some((name, after)) = rest.split_once('=') {
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.push((name.trim_matches([' ', ',']).to_owned(), value.to_owned()));
        rest = left;
    }
    found
}

/// For a query or a form (RFC 3986, 2.3).
fn encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<(&str, &str, &str)>) {
        let found = match challenge(text) {
            Some(Challenge::Bearer(found)) => Some((found.realm, found.service, found.scope)),
            Some(Challenge::Basic) => Some(("basic".into(), String::new(), String::new())),
            None => None,
        };
        let expect = expect.map(|(realm, service, scope)| (realm.into(), service.into(), scope.into()));
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn challenges_are_read() {
        check("Basic realm=\"x\"", Some(("basic", "", "")));
        check(
            "Bearer realm=\"https://a.test/token\",service=\"a.test\",scope=\"repository:x/y:pull,push\"",
            Some(("https://a.test/token", "a.test", "repository:x/y:pull,push")),
        );
        check("bearer realm=https://a.test/t, service=a", Some(("https://a.test/t", "a", "")));
        check("Bearer service=\"a\"", None);
        check("Negotiate", None);
        check("", None);
    }

    #[test]
    fn scopes_are_encoded() {
        assert_eq!(encode("repository:x/y:pull é"), "repository%3Ax%2Fy%3Apull%20%C3%A9");
    }
}
