//! X.509 certificates, ECDSA P-256 throughout.
//!
//! An [`Authority`] is a root and an intermediate that issues; [`Certificate`]s carry the key
//! identifiers that strict verifiers look for.

use std::str::FromStr as _;
use std::time::Duration;

use der::asn1::{BitString, ObjectIdentifier, OctetString, UtcTime};
use der::oid::AssociatedOid as _;
use der::{Decode as _, Encode};
use jiff::Timestamp;
use x509_cert::certificate::{TbsCertificate, Version};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{AsExtension, Extension};
use x509_cert::name::{Name, RdnSequence};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

use super::SigstoreError;
use super::keys::{self, EcdsaKey};

/// `ecdsa-with-SHA256` (RFC 5758, section 3.2).
pub(super) const ECDSA_WITH_SHA256: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// How long before now an authority begins, so that signatures can be dated back.
const PAST: Duration = Duration::from_secs(5 * 365 * 24 * 3600);
/// How long after now an authority ends.
const FUTURE: Duration = Duration::from_secs(365 * 24 * 3600);

/// A certificate authority of two levels: a self-signed root, and the intermediate that issues.
pub(super) struct Authority {
    key: EcdsaKey,
    name: Name,
    /// Issuing certificate first, root last: the order of a trusted root's `certChain`.
    chain: [Vec<u8>; 2],
    validity: (Timestamp, Timestamp),
}

impl Authority {
    /// `purpose` is the extended key usage that the intermediate is confined to.
    pub(super) fn generate(
        organization: &str,
        common_name: &str,
        now: Timestamp,
        purpose: &Extension,
    ) -> Result<Self, SigstoreError> {
        let root_key = EcdsaKey::generate()?;
        let root_name = name(organization, common_name)?;
        let key = EcdsaKey::generate()?;
        let name = name(organization, &format!("{common_name} intermediate"))?;
        let validity = (now - PAST, now + FUTURE);

        let root = Certificate {
            subject: root_name.clone(),
            spki: root_key.spki(),
            validity,
            extensions: authority_extensions(&root_name, None)?,
        };
        let mut extensions = authority_extensions(&name, Some(0))?;
        extensions.push(purpose.clone());
        let intermediate = Certificate {
            subject: name.clone(),
            spki: key.spki(),
            validity,
            extensions,
        };
        let root = root.tbs(&root_name, root_key.spki())?;
        let intermediate = intermediate.tbs(&root_name, root_key.spki())?;
        Ok(Self {
            chain: [sign(intermediate, &root_key)?, sign(root, &root_key)?],
            key,
            name,
            validity,
        })
    }

    /// The issuing certificate and the root, DER, in this order.
    pub(super) fn chain(&self) -> &[Vec<u8>; 2] {
        &self.chain
    }

    /// The key that issues.
    pub(super) fn spki(&self) -> &[u8] {
        self.key.spki()
    }

    /// The authority's validity: first and last moment.
    pub(super) fn validity(&self) -> (Timestamp, Timestamp) {
        self.validity
    }

    /// The certificate as this authority would sign it.
    pub(super) fn tbs(
        &self,
        certificate: Certificate<'_>,
    ) -> Result<TbsCertificate, SigstoreError> {
        certificate.tbs(&self.name, self.key.spki())
    }

    /// Signs a certificate; returns its DER.
    pub(super) fn sign(&self, tbs: TbsCertificate) -> Result<Vec<u8>, SigstoreError> {
        sign(tbs, &self.key)
    }
}

/// What a certificate says, apart from who signs it.
pub(super) struct Certificate<'a> {
    pub(super) subject: Name,
    /// DER SubjectPublicKeyInfo of the subject.
    pub(super) spki: &'a [u8],
    /// First and last moment.
    pub(super) validity: (Timestamp, Timestamp),
    pub(super) extensions: Vec<Extension>,
}

impl Certificate<'_> {
    fn tbs(self, issuer: &Name, issuer_spki: &[u8]) -> Result<TbsCertificate, SigstoreError> {
        let subject_public_key_info = SubjectPublicKeyInfoOwned::from_der(self.spki)?;
        let subject_key = SubjectKeyIdentifier(key_identifier(self.spki)?);
        let authority_key = AuthorityKeyIdentifier {
            key_identifier: Some(key_identifier(issuer_spki)?),
            ..Default::default()
        };
        let mut extensions = self.extensions;
        extensions.push(subject_key.to_extension(&self.subject, &[])?);
        extensions.push(authority_key.to_extension(&self.subject, &[])?);
        let (not_before, not_after) = self.validity;
        Ok(TbsCertificate {
            version: Version::V3,
            serial_number: serial_number()?,
            signature: signature_algorithm(),
            issuer: issuer.clone(),
            validity: Validity {
                not_before: utc_time(not_before)?,
                not_after: utc_time(not_after)?,
            },
            subject: self.subject,
            subject_public_key_info,
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(extensions),
        })
    }
}

/// An organisation and a common name.
pub(super) fn name(organization: &str, common_name: &str) -> Result<Name, SigstoreError> {
    Ok(RdnSequence::from_str(&format!(
        "CN={common_name},O={organization}"
    ))?)
}

/// An extension with a value that is encoded already.
pub(super) fn extension(
    oid: ObjectIdentifier,
    critical: bool,
    value: Vec<u8>,
) -> Result<Extension, SigstoreError> {
    Ok(Extension {
        extn_id: oid,
        critical,
        extn_value: OctetString::new(value)?,
    })
}

/// The extended key usage that names one purpose. Not critical: pyca/cryptography refuses a
/// critical one in a signing certificate and in an authority's.
pub(super) fn purpose(purpose: ObjectIdentifier) -> Result<Extension, SigstoreError> {
    let usage = ExtendedKeyUsage(vec![purpose]).to_der()?;
    extension(ExtendedKeyUsage::OID, false, usage)
}

/// `ecdsa-with-SHA256`, which takes no parameters.
pub(super) fn signature_algorithm() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid: ECDSA_WITH_SHA256,
        parameters: None,
    }
}

/// 16 random bytes; the first bit is clear, since serial numbers are positive.
pub(super) fn serial_number() -> Result<SerialNumber, SigstoreError> {
    let number = u128::from_be_bytes(keys::random()?) >> 1 | 1 << 120;
    Ok(SerialNumber::new(&number.to_be_bytes())?)
}

/// A moment as a UTCTime, whole seconds.
fn utc_time(time: Timestamp) -> Result<Time, SigstoreError> {
    let out_of_range = || SigstoreError::Time { found: time };
    let seconds = u64::try_from(time.as_second()).map_err(|_| out_of_range())?;
    let time =
        UtcTime::from_unix_duration(Duration::from_secs(seconds)).map_err(|_| out_of_range())?;
    Ok(Time::UtcTime(time))
}

/// SHA-256 of the public key, cut to 20 bytes (RFC 7093, section 2, method 1).
fn key_identifier(spki: &[u8]) -> Result<OctetString, SigstoreError> {
    let spki = SubjectPublicKeyInfoOwned::from_der(spki)?;
    let hash = keys::digest(spki.subject_public_key.raw_bytes());
    Ok(OctetString::new(hash.get(..20).unwrap_or(&hash))?)
}

fn authority_extensions(
    subject: &Name,
    path_len_constraint: Option<u8>,
) -> Result<Vec<Extension>, SigstoreError> {
    let usage = KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign);
    let constraints = BasicConstraints {
        ca: true,
        path_len_constraint,
    };
    Ok(vec![
        usage.to_extension(subject, &[])?,
        constraints.to_extension(subject, &[])?,
    ])
}

/// Signs a certificate with any key; returns its DER.
pub(super) fn sign(tbs: TbsCertificate, key: &EcdsaKey) -> Result<Vec<u8>, SigstoreError> {
    let signature = key.sign(&tbs.to_der()?);
    let certificate = x509_cert::Certificate {
        tbs_certificate: tbs,
        signature_algorithm: signature_algorithm(),
        signature: BitString::from_bytes(&signature)?,
    };
    Ok(certificate.to_der()?)
}
