//! Public keys by their hash, and the key pairs of nodes and authorities.
//!
//! A fingerprint is SHA-256 over the key's SubjectPublicKeyInfo (RFC 7469 §2.4), so it survives a reissued certificate.

use std::fmt;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use ring::digest;
use rustls_pki_types::PrivatePkcs8KeyDer;
use x509_parser::{parse_x509_certificate, prelude::X509Certificate};

pub use membership::KeyFingerprint;

/// Of a SubjectPublicKeyInfo in DER.
pub fn of_spki(spki: &[u8]) -> KeyFingerprint {
    KeyFingerprint(sha256(&[spki]))
}

/// Of the key that a certificate in DER binds; `None` where it is no certificate.
pub fn of_certificate(der: &[u8]) -> Option<KeyFingerprint> {
    Some(of_spki(parse_certificate(der)?.public_key().raw))
}

/// When a certificate in DER ends, in Unix seconds; `None` where it is no certificate.
pub fn end_of_certificate(der: &[u8]) -> Option<i64> {
    Some(parse_certificate(der)?.validity().not_after.timestamp())
}

/// A certificate and nothing behind it.
pub(crate) fn parse_certificate(der: &[u8]) -> Option<X509Certificate<'_>> {
    match parse_x509_certificate(der) {
        Ok(([], certificate)) => Some(certificate),
        _ => None,
    }
}

/// SHA-256 over the parts, one after another.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// Compares without telling by its duration where the difference is.
pub(crate) fn same_bytes(a: &[u8; 32], b: &[u8; 32]) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b))) == 0
}

/// A P-256 key pair (what every Kubernetes client can verify); its `Debug` shows only the public half's hash.
pub struct KeyPairP256(KeyPair);

impl fmt::Debug for KeyPairP256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPairP256({})", self.fingerprint())
    }
}

impl KeyPairP256 {
    /// A new key from the operating system's randomness.
    ///
    /// # Errors
    /// [`KeyError`] where the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    /// Reads PKCS#8 in DER.
    ///
    /// # Errors
    /// [`KeyError`] where it is not a P-256 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from(der);
        Ok(Self(KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)?))
    }

    /// Reads PKCS#8 in PEM.
    ///
    /// # Errors
    /// [`KeyError`] where it is not a P-256 key.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Ok(Self(KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_ECDSA_P256_SHA256)?))
    }

    /// PKCS#8 in DER: a secret.
    pub fn to_pkcs8(&self) -> Vec<u8> {
        self.0.serialize_der()
    }

    /// PKCS#8 in PEM: a secret.
    pub fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// Hash of the public half.
    pub fn fingerprint(&self) -> KeyFingerprint {
        of_spki(&self.0.subject_public_key_info())
    }

    pub(crate) fn inner(&self) -> &KeyPair {
        &self.0
    }

    pub(crate) fn into_inner(self) -> KeyPair {
        self.0
    }
}

/// A key could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("not a usable P-256 key in PKCS#8")]
pub struct KeyError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl From<rcgen::Error> for KeyError {
    fn from(error: rcgen::Error) -> Self {
        Self(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_both_encodings_and_is_never_shown() {
        let key = KeyPairP256::generate().unwrap();
        assert_eq!(KeyPairP256::from_pkcs8(&key.to_pkcs8()).unwrap().fingerprint(), key.fingerprint());
        assert_eq!(KeyPairP256::from_pem(&key.to_pem()).unwrap().fingerprint(), key.fingerprint());
        assert_eq!(format!("{key:?}"), format!("KeyPairP256({})", key.fingerprint()));
        assert!(KeyPairP256::from_pkcs8(b"junk").is_err());
    }
}
