//! Query strings and percent-coding, as browsers and Go write them (`application/x-www-form-urlencoded`).

/// Parameters of one request; more are dropped. Kubernetes has under thirty.
const MAX_PARAMETERS: usize = 64;

/// Decoded parameters in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses what follows the `?`. Never fails: odd escapes stay as they are.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|p| !p.is_empty()).take(MAX_PARAMETERS);
        Self(
            pairs
                .map(|p| p.split_once('=').unwrap_or((p, "")))
                .map(|(k, v)| (decode(k, true), decode(v, true)))
                .collect(),
        )
    }

    /// From ready pairs (in-process requests).
    #[must_use]
    pub fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// First value of a parameter; an empty one counts as not given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// Every value of a repeated parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    /// Was it given at all, with or without a value?
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(k, _)| k == name)
    }

    /// A switch as Go's API machinery reads it: absent, `0` and `false` are off, anything else is on.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.0
            .iter()
            .find(|(k, _)| k == name)
            .is_some_and(|(_, v)| !matches!(v.to_ascii_lowercase().as_str(), "0" | "false"))
    }
}

/// Undoes percent-coding; `plus` reads `+` as a blank. Bytes that are not UTF-8 become U+FFFD.
#[must_use]
pub fn decode(text: &str, plus: bool) -> String {
    if !text.bytes().any(|b| b == b'%' || (plus && b == b'+')) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let escaped = (bytes[i] == b'%').then(|| hex_pair(bytes.get(i + 1..i + 3)?)).flatten();
        out.push(match (bytes[i], escaped) {
            (_, Some(byte)) => byte,
            (b'+', None) if plus => b' ',
            (byte, None) => byte,
        });
        i += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |b: u8| (b as char).to_digit(16);
    u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: &str, value: Option<&str>, flag: bool) {
        let query = Query::parse(text);
        assert_eq!((query.get(name), query.flag(name)), (value, flag), "{text}");
    }

    #[test]
    fn reads_parameters_as_go_does() {
        check("a=1&b=2", "b", Some("2"), true);
        check("labelSelector=app%3Dx%2Cy+in+%28a%29", "labelSelector", Some("app=x,y in (a)"), true);
        check("watch", "watch", None, true);
        check("watch=false", "watch", Some("false"), false);
        check("watch=0&watch=1", "watch", Some("0"), false);
        check("", "watch", None, false);
        check("x=%zz%4", "x", Some("%zz%4"), true);
        check("x=%ff", "x", Some("\u{fffd}"), true);
    }
}
