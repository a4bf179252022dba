//! What names, label keys and label values may look like, and names made from `generateName`.
//!
//! Main functions return one message per broken rule. Spec:
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/> and RFC 1035, RFC 1123.
//! Leaves out: which kind follows which rule ([`crate::kinds`]).

/// Longest RFC 1123 or RFC 1035 label, in bytes.
pub const LABEL_MAX: usize = 63;

/// Longest RFC 1123 subdomain, in bytes.
pub const SUBDOMAIN_MAX: usize = 253;

/// Characters that a generated suffix is drawn from: no vowels and nothing that looks like one, so no words.
pub const SUFFIX_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Length of a generated suffix.
pub const SUFFIX_LENGTH: usize = 5;

/// Longest base kept under a generated suffix: together they fit a label.
pub const GENERATED_BASE_MAX: usize = LABEL_MAX - SUFFIX_LENGTH;

const LABEL_FORMAT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_FORMAT: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const KEY_FORMAT: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_WORDS: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const SUBDOMAIN_WORDS: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const KEY_WORDS: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/// The name that `generateName` gives with these random numbers, taken modulo the alphabet.
/// Draw anew on a collision.
#[must_use]
pub fn generate(base: &str, random: [u32; SUFFIX_LENGTH]) -> String {
    let mut end = base.len().min(GENERATED_BASE_MAX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = base[..end].to_owned();
    name.extend(random.map(|number| char::from(SUFFIX_ALPHABET[number as usize % SUFFIX_ALPHABET.len()])));
    name
}

/// RFC 1123 label: names of namespaces, for one.
#[must_use]
pub fn dns1123_label(name: &str) -> Vec<String> {
    let mut errors = too_long(name, LABEL_MAX, "characters");
    if !is_label(name) {
        let dots = is_subdomain(name);
        errors.push(if dots {
            "must not contain dots".to_owned()
        } else {
            regex(LABEL_WORDS, LABEL_FORMAT, &["my-name", "123-abc"])
        });
    }
    errors
}

/// RFC 1123 subdomain: names of most kinds.
#[must_use]
pub fn dns1123_subdomain(name: &str) -> Vec<String> {
    subdomain(name, "characters")
}

/// A wildcard subdomain, `*.example.com`: hosts of Ingresses.
#[must_use]
pub fn wildcard_dns1123_subdomain(name: &str) -> Vec<String> {
    const WORDS: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
    let mut errors = too_long(name, SUBDOMAIN_MAX, "characters");
    if !name.strip_prefix("*.").is_some_and(is_subdomain) {
        errors.push(regex(WORDS, &format!(r"\*\.{SUBDOMAIN_FORMAT}"), &["*.example.com"]));
    }
    errors
}

fn subdomain(name: &str, unit: &str) -> Vec<String> {
    let mut errors = too_long(name, SUBDOMAIN_MAX, unit);
    if !is_subdomain(name) {
        errors.push(regex(SUBDOMAIN_WORDS, SUBDOMAIN_FORMAT, &["example.com"]));
    }
    errors
}

/// RFC 1035 label: names of Services.
#[must_use]
pub fn dns1035_label(name: &str) -> Vec<String> {
    const FORMAT: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
    const WORDS: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
    let mut errors = too_long(name, LABEL_MAX, "characters");
    if !is_label(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        errors.push(regex(WORDS, FORMAT, &["my-name", "abc-123"]));
    }
    errors
}

/// Label key, also called qualified name: `[prefix/]name`.
#[must_use]
pub fn qualified_name(key: &str) -> Vec<String> {
    let words = || regex(KEY_WORDS, KEY_FORMAT, &["MyName", "my.name", "123-abc"]);
    let mut errors = Vec::new();
    let name = match key.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                errors.extend(subdomain(prefix, "bytes").into_iter().map(|message| format!("prefix part {message}")));
            }
            *name
        }
        _ => {
            let optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {} {optional}", words())];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_MAX {
        errors.push(format!("name part must be no more than {LABEL_MAX} bytes"));
    }
    if !is_key_name(name) {
        errors.push(format!("name part {}", words()));
    }
    errors
}

/// Label value; may be empty.
#[must_use]
pub fn label_value(value: &str) -> Vec<String> {
    const FORMAT: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
    const WORDS: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    let mut errors = too_long(value, LABEL_MAX, "bytes");
    if !value.is_empty() && !is_key_name(value) {
        errors.push(regex(WORDS, FORMAT, &["MyValue", "my_value", "12345"]));
    }
    errors
}

/// Anything that fits one segment of a URL's path: names of RBAC objects.
#[must_use]
pub fn path_segment(name: &str) -> Vec<String> {
    match name {
        "." | ".." => vec![format!("may not be '{name}'")],
        _ => path_segment_prefix(name),
    }
}

/// The start of a [`path_segment`].
#[must_use]
pub fn path_segment_prefix(name: &str) -> Vec<String> {
    ["/", "%"].iter().filter(|part| name.contains(**part)).map(|part| format!("may not contain '{part}'")).collect()
}

/// C identifier.
#[must_use]
pub fn c_identifier(name: &str) -> Vec<String> {
    const WORDS: &str = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'";
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return Vec::new();
    }
    vec![regex(WORDS, "[A-Za-z_][A-Za-z0-9_]*", &["my_name", "MY_NAME", "MyName"])]
}

/// Name of an environment variable, by the relaxed rule in force since 1.34.
#[must_use]
pub fn env_var(name: &str) -> Vec<String> {
    const WORDS: &str =
        "a valid environment variable name must consist only of printable ASCII characters other than '='";
    if name.is_empty() {
        return vec!["environment variable name must be non-empty".to_owned()];
    }
    let printable = name.chars().all(|c| (' '..='~').contains(&c) && c != '=');
    if printable { Vec::new() } else { vec![WORDS.to_owned()] }
}

/// Key of a ConfigMap's or Secret's data.
#[must_use]
pub fn config_map_key(key: &str) -> Vec<String> {
    const WORDS: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
    let mut errors = too_long(key, SUBDOMAIN_MAX, "characters");
    if key.is_empty() || !key.bytes().all(is_key_byte) {
        errors.push(regex(WORDS, "[-._a-zA-Z0-9]+", &["key.name", "KEY_NAME", "key-name"]));
    }
    match key {
        "." | ".." => errors.push(format!("must not be '{key}'")),
        _ if key.starts_with("..") => errors.push("must not start with '..'".to_owned()),
        _ => {}
    }
    errors
}

/// What a `generateName` is checked as: a trailing dash is fine, since a suffix follows.
///
/// Upstream cuts one character more than the dash; kept, because which bases pass is part of the contract.
#[must_use]
pub fn mask_trailing_dash(base: &str) -> String {
    match base.strip_suffix('-').and_then(|rest| rest.char_indices().next_back()) {
        Some((last, _)) => format!("{}a", &base[..last]),
        None => base.to_owned(),
    }
}

fn is_label(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)
}

fn is_subdomain(name: &str) -> bool {
    name.split('.').all(is_label)
}

const fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn is_key_name(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().copied().all(is_key_byte)
}

fn too_long(text: &str, max: usize, unit: &str) -> Vec<String> {
    if text.len() > max { vec![format!("must be no more than {max} {unit}")] } else { Vec::new() }
}

fn regex(words: &str, format: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{words} (e.g. {}regex used for validation is '{format}')", examples.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&str) -> Vec<String>;

    #[test]
    fn rules_tell_good_from_bad() {
        let rules: [(Rule, &[&str], &[&str]); 8] = [
            (dns1123_label, &["a", "0-a", "a--b"], &["", "-a", "a-", "A", "a.b", "a_b", "é"]),
            (dns1123_subdomain, &["a", "a.b-c.0"], &["", ".a", "a.", "a..b", "A.b", "a.-b"]),
            (dns1035_label, &["a", "a0", "a-b"], &["", "0a", "a-", "a.b"]),
            (qualified_name, &["a", "A_b.c", "x.io/A", "0"], &["", "/a", "x/", "a/b/c", "-a", "X.io/a", "a "]),
            (label_value, &["", "a", "A_b.c-d"], &["-", "a/b", "a b", "_a"]),
            (path_segment, &["a", "system:node", "", "a b"], &[".", "..", "a/b", "100%"]),
            (config_map_key, &["a", ".a", "A_b"], &["", ".", "..", "..a", "a b", "a/b"]),
            (env_var, &["A", "a b", "1"], &["", "A=", "é", "\n"]),
        ];
        for (number, (rule, good, bad)) in rules.into_iter().enumerate() {
            good.iter().for_each(|name| assert_eq!(rule(name), Vec::<String>::new(), "rule {number}: {name:?}"));
            bad.iter().for_each(|name| assert!(!rule(name).is_empty(), "rule {number}: {name:?}"));
        }
    }

    #[test]
    fn breaches_are_worded_as_kubernetes_words_them() {
        let label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
        assert_eq!(dns1123_label("A"), [label]);
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
        assert_eq!(dns1123_label(&"a".repeat(64)), ["must be no more than 63 characters"]);
        assert_eq!(label_value(&"a".repeat(64)), ["must be no more than 63 bytes"]);
        let subdomain = r"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
        assert_eq!(dns1123_subdomain("a_b"), [subdomain]);
        let key = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
        assert_eq!(qualified_name("a b"), [key]);
        assert_eq!(qualified_name("/a"), ["prefix part must be non-empty"]);
    }

    #[test]
    fn a_generated_name_fits_a_label() {
        assert_eq!(generate("web-", [0, 1, 26, 27, 54]), "web-bc9bb");
        assert_eq!(generate(&"x".repeat(100), [0; 5]).len(), LABEL_MAX);
        assert_eq!(generate(&"é".repeat(50), [0; 5]), "é".repeat(29) + "bbbbb");
    }

    #[test]
    fn a_trailing_dash_is_fine_before_a_suffix() {
        for (base, expect) in [("web-", "wea"), ("a-", "a"), ("-", "-"), ("", ""), ("web", "web"), ("aé-", "aa")] {
            assert_eq!(mask_trailing_dash(base), expect);
        }
    }
}
