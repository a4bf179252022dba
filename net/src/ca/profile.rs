//! What each kind of certificate says: names, uses, and which authority signs it.

use std::{net::IpAddr, str::FromStr};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType, string::Ia5String};

use super::{CaError, CaKind};
use crate::NodeId;

/// Longest name in a certificate, in bytes: a DNS name's limit (RFC 1035 §2.3.4), and room for `system:node:`.
const NAME_LIMIT: usize = 272;

/// A name a server answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// A DNS name, with or without a leading `*.`.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

/// A kind of certificate with its variable parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Profile {
    /// A member, to other members: CN `system:node:<name>`, O `system:nodes`, URI `spiffe://<cluster>/node/<id>`.
    Node {
        /// Id of the cluster.
        cluster: String,
        /// Id of the node.
        id: NodeId,
        /// Its Kubernetes Node name.
        name: String,
    },
    /// A node's kubelet or another client, to the API: CN is the user, O are the groups.
    Client {
        /// User name.
        user: String,
        /// Groups; at most one for now ([`CaError::Groups`]).
        groups: Vec<String>,
    },
    /// An API server, to its clients.
    Server {
        /// Common name; shown to people, not checked by clients.
        name: String,
        /// Names and addresses clients may call it by.
        sans: Vec<San>,
    },
    /// The front proxy, to aggregated API servers.
    FrontProxy {
        /// User name that those servers expect.
        user: String,
    },
}

impl Profile {
    /// The only authority that signs it.
    pub(super) fn authority(&self) -> CaKind {
        match self {
            Self::Node { .. } => CaKind::Node,
            Self::Client { .. } | Self::Server { .. } => CaKind::Api,
            Self::FrontProxy { .. } => CaKind::FrontProxy,
        }
    }

    /// Everything but the dates and the key.
    pub(super) fn params(&self) -> Result<CertificateParams, CaError> {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        let (user, groups, sans, uses) = match self {
            Self::Node { cluster, id, name } => {
                let uri = SanType::URI(ascii(&format!("spiffe://{cluster}/node/{id}"))?);
                (format!("system:node:{name}"), vec!["system:nodes".into()], vec![uri], vec![ServerAuth, ClientAuth])
            }
            Self::Client { user, groups } => (user.clone(), groups.clone(), vec![], vec![ClientAuth]),
            Self::Server { name, sans } => {
                let sans = sans.iter().map(San::encode).collect::<Result<_, _>>()?;
                (name.clone(), vec![], sans, vec![ServerAuth])
            }
            Self::FrontProxy { user } => (user.clone(), vec![], vec![], vec![ClientAuth]),
        };
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, checked(&user)?);
        match groups.as_slice() {
            [] => {}
            [group] => params.distinguished_name.push(DnType::OrganizationName, checked(group)?),
            // rcgen keeps one value per attribute and would silently drop the others.
            more => return Err(CaError::Groups(more.len())),
        }
        params.subject_alt_names = sans;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = uses;
        Ok(params)
    }
}

impl San {
    fn encode(&self) -> Result<SanType, CaError> {
        match self {
            Self::Dns(name) => Ok(SanType::DnsName(ascii(name)?)),
            Self::Ip(address) => Ok(SanType::IpAddress(*address)),
        }
    }
}

fn ascii(name: &str) -> Result<Ia5String, CaError> {
    Ia5String::from_str(checked(name)?).map_err(|_| CaError::Name(name.into()))
}

fn checked(name: &str) -> Result<&str, CaError> {
    let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
    if name.is_empty() || name.len() > NAME_LIMIT || !printable {
        return Err(CaError::Name(name.chars().take(NAME_LIMIT).collect()));
    }
    Ok(name)
}
