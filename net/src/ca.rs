//! Certificate authorities: one key each for nodes, for the API and for front proxies. **Fixed early.**
//!
//! What a certificate says is decided here, by [`Profile`], never by a request: of a CSR only the proven public key
//! is used. Time is an argument. Spec: RFC 5280; Kubernetes PKI and node users,
//! <https://kubernetes.io/docs/setup/best-practices/certificates/>; SPIFFE ids. Between members, dates are not looked at.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use serde::{Deserialize, Serialize};

use crate::{
    codec,
    key::{self, KeyError, KeyFingerprint, KeyPairP256, parse_certificate},
};

pub use profile::{Profile, San};

mod profile;

/// How far a certificate reaches into the past, so that clocks that are behind accept it at once.
const BACKDATE: Duration = Duration::from_secs(3600);

/// An authority lives 10 years: replacing one is a planned act, not an accident of a date.
pub const CA_VALIDITY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Largest CSR looked at, in bytes; a P-256 one has about 300, RSA-4096 about 1,700.
const CSR_LIMIT: usize = 16 << 10;

/// Largest stored authority, in bytes: certificate and key with room to spare.
const STORED_LIMIT: usize = 64 << 10;

/// The authorities of a cluster. They never sign for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaKind {
    /// Certificates by which nodes know each other; pinned by join tokens.
    Node,
    /// The API servers' certificates and those of their clients.
    Api,
    /// The proxy's certificate towards aggregated API servers.
    FrontProxy,
}

/// An authority with its key. `Debug` shows the kind and the key's fingerprint only.
pub struct Ca {
    kind: CaKind,
    certificate: CertificateDer<'static>,
    fingerprint: KeyFingerprint,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with the key made for it.
#[derive(Debug)]
pub struct Issued {
    /// In DER.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: KeyPairP256,
}

/// Why an authority made or signed nothing.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The profile belongs to another authority.
    #[error("the {0:?} authority does not sign this kind of certificate")]
    WrongAuthority(CaKind),
    /// The CSR is too long, malformed or not signed by the key in it.
    #[error("the certificate request is damaged or not signed by its own key")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A name cannot stand in a certificate.
    #[error("{0:?} cannot stand in a certificate: use printable ASCII without spaces")]
    Name(String),
    /// More groups than a certificate of ours can carry.
    #[error("a certificate carries one group, not {0}: use a ServiceAccount, or bind the user itself")]
    Groups(usize),
    /// Stored bytes are no authority.
    #[error("the stored authority is damaged or written by a newer mesh")]
    Stored,
    /// No key, no randomness, or no signature.
    #[error("no certificate could be made")]
    Key(#[from] KeyError),
}

impl From<rcgen::Error> for CaError {
    fn from(error: rcgen::Error) -> Self {
        Self::Key(error.into())
    }
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca").field("kind", &self.kind).field("key", &self.fingerprint).finish_non_exhaustive()
    }
}

/// How an authority is stored. Versions are only ever added.
#[derive(Serialize, Deserialize)]
enum Stored {
    V1 { kind: CaKind, certificate: Vec<u8>, key: Vec<u8> },
}

impl Ca {
    /// A new authority for the cluster of this id.
    ///
    /// # Errors
    /// [`CaError::Key`], [`CaError::Name`].
    pub fn create(kind: CaKind, cluster: &str, now: SystemTime) -> Result<Self, CaError> {
        let key = KeyPairP256::generate()?.into_inner();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("mesh-{}-ca", kind.word()));
        params.distinguished_name.push(DnType::OrganizationName, cluster);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        date(&mut params, now, CA_VALIDITY)?;
        let certificate = params.self_signed(&key)?.der().clone();
        Self::assemble(kind, certificate, key)
    }

    /// Reads what [`Ca::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`CaError::Stored`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CaError> {
        let Stored::V1 { kind, certificate, key } =
            codec::decode::<_, STORED_LIMIT>(bytes).map_err(|_| CaError::Stored)?;
        let key = KeyPairP256::from_pkcs8(&key).map_err(|_| CaError::Stored)?;
        if key::of_certificate(&certificate) != Some(key.fingerprint()) {
            return Err(CaError::Stored);
        }
        Self::assemble(kind, certificate.into(), key.into_inner())
    }

    /// Certificate and key: a secret, to be sealed before it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(&Stored::V1 {
            kind: self.kind,
            certificate: self.certificate.to_vec(),
            key: self.issuer.key().serialize_der(),
        })
    }

    fn assemble(kind: CaKind, certificate: CertificateDer<'static>, key: KeyPair) -> Result<Self, CaError> {
        let fingerprint = key::of_spki(&key.subject_public_key_info());
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| CaError::Stored)?;
        Ok(Self { kind, certificate, fingerprint, issuer })
    }

    /// Which authority this is.
    pub fn kind(&self) -> CaKind {
        self.kind
    }

    /// The authority's certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Hash of the authority's key: what a join token pins.
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.fingerprint
    }

    /// A certificate with a new key.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn issue(&self, profile: &Profile, now: SystemTime, validity: Duration) -> Result<Issued, CaError> {
        let key = KeyPairP256::generate()?;
        let certificate = self.sign(profile, key.inner(), now, validity)?;
        Ok(Issued { certificate, key })
    }

    /// A certificate, in DER, for a key that its holder keeps.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn issue_for(
        &self,
        profile: &Profile,
        key: &KeyPairP256,
        now: SystemTime,
        validity: Duration,
    ) -> Result<Vec<u8>, CaError> {
        self.sign(profile, key.inner(), now, validity)
    }

    /// A certificate, in DER, for the key of a CSR in DER that is signed by this very key (PKCS #10, RFC 2986).
    /// Nothing else of the CSR is used.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn issue_from_csr(
        &self,
        profile: &Profile,
        csr: &[u8],
        now: SystemTime,
        validity: Duration,
    ) -> Result<Vec<u8>, CaError> {
        if csr.len() > CSR_LIMIT {
            return Err(CaError::Request("longer than 16 KiB".into()));
        }
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr))
            .map_err(|error| CaError::Request(Box::new(error)))?;
        self.sign(profile, &request.public_key, now, validity)
    }

    fn sign(
        &self,
        profile: &Profile,
        key: &impl PublicKeyData,
        now: SystemTime,
        validity: Duration,
    ) -> Result<Vec<u8>, CaError> {
        if profile.authority() != self.kind {
            return Err(CaError::WrongAuthority(self.kind));
        }
        let mut params = profile.params()?;
        date(&mut params, now, validity)?;
        Ok(params.signed_by(key, &self.issuer)?.der().to_vec())
    }
}

impl CaKind {
    fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Api => "api",
            Self::FrontProxy => "front-proxy",
        }
    }
}

/// Dates and a random serial number (20 bytes at most, positive: RFC 5280 §4.1.2.2).
fn date(params: &mut CertificateParams, now: SystemTime, validity: Duration) -> Result<(), CaError> {
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_| KeyError::from(rcgen::Error::RingUnspecified))?;
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = (now - BACKDATE).into();
    params.not_after = (now + validity).into();
    params.use_authority_key_identifier_extension = true;
    Ok(())
}

/// A CSR in DER for this key, and only for it: the authority decides the rest.
///
/// # Errors
/// [`KeyError`].
pub fn csr(key: &KeyPairP256) -> Result<Vec<u8>, KeyError> {
    Ok(CertificateParams::default().serialize_request(key.inner())?.der().to_vec())
}

/// A certificate in DER by which a stranger shows possession of its key; vouches for nothing.
pub(crate) fn self_signed(key: &KeyPairP256, now: SystemTime) -> Result<Vec<u8>, CaError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "mesh joiner");
    date(&mut params, now, BACKDATE)?;
    Ok(params.self_signed(key.inner())?.der().to_vec())
}

/// Whether `certificate` was signed by the key of `authority`, which may sign; dates are not looked at.
pub(crate) fn is_signed_by(certificate: &[u8], authority: &[u8]) -> bool {
    let (Some(leaf), Some(ca)) = (parse_certificate(certificate), parse_certificate(authority)) else { return false };
    ca.is_ca() && !leaf.is_ca() && leaf.verify_signature(Some(ca.public_key())).is_ok()
}

/// Hash of the public key that a CSR in DER is for; `None` where it is malformed.
pub(crate) fn csr_fingerprint(csr: &[u8]) -> Option<KeyFingerprint> {
    use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};
    match X509CertificationRequest::from_der(csr) {
        Ok(([], csr)) => Some(key::of_spki(csr.certification_request_info.subject_pki.raw)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
