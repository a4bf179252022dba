//! Join tokens: `mesh1.<CA key hash>.<id>.<secret>`. **Fixed early**: people paste them.
//!
//! The hash pins the node CA before the secret is sent; only the secret's hash is ever stored. What a token may
//! do and until when is kept by whoever stores the hash.

use std::{fmt, str::FromStr};

use rand::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::{
    base32,
    key::{KeyFingerprint, same_bytes, sha256},
};

/// First part of every token; another format gets another number.
const PREFIX: &str = "mesh1";

/// Longest text looked at, in bytes: a token has 68.
const TEXT_LIMIT: usize = 128;

/// Hash of the CA's key, cut to 128 bits: finding a second key for it takes 2^128 tries, and the line stays short.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CaHash([u8; 16]);

/// Names a token in lists and in the store; no secret. 8 letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenId(pub [u8; 5]);

/// What makes a token worth something: 128 random bits. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSecret([u8; 16]);

/// What is stored of a token's secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TokenHash([u8; 32]);

/// A whole token. `Display` is the secret line to paste; `Debug` is not.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Pins the cluster.
    pub ca: CaHash,
    /// Names the token.
    pub id: TokenId,
    /// Proves that its holder was invited.
    pub secret: TokenSecret,
}

/// Why a text is no token. None of these repeats the text, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than any token.
    #[error("token is longer than {TEXT_LIMIT} characters: paste the line that `mesh token create` printed")]
    TooLong,
    /// Does not start with `mesh1.`.
    #[error("token does not start with \"mesh1.\": paste the line that `mesh token create` printed")]
    Prefix,
    /// Not four parts.
    #[error("token has {0} parts joined by dots instead of 4: a piece is missing or doubled")]
    Parts(usize),
    /// The named part has a wrong length or letter.
    #[error("token is damaged in its {0}: it was cut or mistyped, paste it again")]
    Part(&'static str),
}

impl CaHash {
    /// Of the node CA's key.
    pub fn of(key: &KeyFingerprint) -> Self {
        Self(key.0[..16].try_into().expect("32 bytes hold 16"))
    }
}

impl TokenId {
    /// A new random id.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut id = [0; 5];
        rng.fill_bytes(&mut id);
        Self(id)
    }
}

impl TokenSecret {
    /// The hash to store; bound to the id, so that a stored hash is of no use under another one.
    pub fn hash(&self, id: TokenId) -> TokenHash {
        TokenHash(sha256(&[b"mesh join token 1", &id.0, &self.0]))
    }
}

/// As it is stored: 64 hexadecimal digits.
impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TokenHash {
    /// Whether this is the secret that was hashed; takes the same time for every wrong one.
    pub fn matches(&self, id: TokenId, secret: &TokenSecret) -> bool {
        same_bytes(&self.0, &secret.hash(id).0)
    }
}

impl Token {
    /// A new token for the cluster whose node CA has this key.
    pub fn create(ca: &KeyFingerprint, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut secret = [0; 16];
        rng.fill_bytes(&mut secret);
        Self { ca: CaHash::of(ca), id: TokenId::random(rng), secret: TokenSecret(secret) }
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.len() > TEXT_LIMIT {
            return Err(TokenError::TooLong);
        }
        let parts: Vec<&str> = text.split('.').collect();
        if parts[0] != PREFIX {
            return Err(TokenError::Prefix);
        }
        let [_, ca, id, secret] = parts[..] else { return Err(TokenError::Parts(parts.len())) };
        Ok(Self {
            ca: CaHash(base32::decode(ca).ok_or(TokenError::Part("CA key hash"))?),
            id: id.parse()?,
            secret: TokenSecret(base32::decode(secret).ok_or(TokenError::Part("secret"))?),
        })
    }
}

impl FromStr for TokenId {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        base32::decode(text).map(Self).ok_or(TokenError::Part("id"))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}.{}.{}.{}", self.ca, self.id, base32::encode(&self.secret.0))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({PREFIX}.{}.{}.<secret>)", self.ca, self.id)
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret")
    }
}

impl fmt::Display for CaHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32::encode(&self.0))
    }
}

impl fmt::Debug for CaHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32::encode(&self.0))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn token(seed: u64) -> Token {
        Token::create(&KeyFingerprint([7; 32]), &mut StdRng::seed_from_u64(seed))
    }

    #[test]
    fn a_token_reads_back_and_fits_a_line() {
        let text = token(1).to_string();
        assert_eq!(text.len(), 68);
        assert_eq!(text.parse(), Ok(token(1)));
    }

    #[test]
    fn a_stored_token_is_read_for_ever() {
        let text = "mesh1.a4dqobyha4dqobyha4dqobyha4.aebagbaf.aaaqeayeaudaocajbifqydiob4";
        let token: Token = text.parse().unwrap();
        assert_eq!(token.ca, CaHash([7; 16]));
        assert_eq!(token.id, TokenId([1, 2, 3, 4, 5]));
        assert_eq!(token.secret, TokenSecret([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]));
        assert_eq!(token.to_string(), text);
    }

    #[test]
    fn says_what_is_wrong_with_a_token() {
        let check = |text: &str, error| assert_eq!(text.parse::<Token>(), Err(error), "{text}");
        let good = token(1).to_string();
        check("", TokenError::Prefix);
        check("mesh2.a.b.c", TokenError::Prefix);
        check("mesh1", TokenError::Parts(1));
        check(&format!("{good}.x"), TokenError::Parts(5));
        check(&good[..good.len() - 1], TokenError::Part("secret"));
        check(&good.replacen('a', "A", 1), TokenError::Part("CA key hash"));
        check("mesh1.a4dqobyha4dqobyha4dqobyha4.aebagba.x", TokenError::Part("id"));
        check(&"x".repeat(129), TokenError::TooLong);
    }

    #[test]
    fn only_the_right_secret_under_the_right_id_matches() {
        let (a, b) = (token(1), token(2));
        let stored = a.secret.hash(a.id);
        assert!(stored.matches(a.id, &a.secret));
        assert!(!stored.matches(a.id, &b.secret));
        assert!(!stored.matches(b.id, &a.secret));
    }

    #[test]
    fn debug_hides_the_secret() {
        let token = token(1);
        let secret = base32::encode(&token.secret.0);
        assert!(!format!("{token:?} {:?}", token.secret).contains(&secret));
    }

    proptest::proptest! {
        #[test]
        fn garbage_is_refused_without_a_panic(text in ".{0,200}") {
            let _ = text.parse::<Token>();
        }
    }
}
