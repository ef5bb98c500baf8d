//! Fulcio's certificates, without its HTTP.
//!
//! The profile is Fulcio's ("Certificate Specification", docs/certificate-specification.md of
//! sigstore/fulcio): empty subject, critical URI or email name, code signing, the issuer in both of
//! its extensions, an embedded timestamp of the certificate transparency log.

use std::time::Duration;

use der::Encode as _;
use der::asn1::{Any, Ia5String, ObjectIdentifier, Utf8StringRef};
use jiff::Timestamp;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::ext::pkix::sct::SerializedSct;
use x509_cert::ext::pkix::{
    KeyUsage, KeyUsages, SignedCertificateTimestamp, SignedCertificateTimestampList, SubjectAltName,
};
use x509_cert::ext::{AsExtension, Extension};
use x509_cert::name::Name;

use super::SigstoreError;
use super::ct::CtLog;
use super::x509::{self, Authority, Certificate, extension};

/// How long a signing certificate is valid.
pub(super) const VALIDITY: Duration = Duration::from_secs(600);

const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
/// The issuer as raw bytes.
const ISSUER_V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
/// The arc of Fulcio's extensions (docs/oid-info.md of sigstore/fulcio).
const FULCIO_ARC: &str = "1.3.6.1.4.1.57264.1";
/// The type of a user's name, `name!domain`, as an alternative name.
const USER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");
/// The number, in [`FULCIO_ARC`], of the issuer as a UTF8String.
const ISSUER_V2: u32 = 8;

/// Who is to be certified.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// The alternative name: an email address where it holds an `@` and no scheme, an other name where it
    /// holds a `!` and no scheme, else a URI.
    pub(super) identity: String,
    /// The OIDC issuer that vouches for it.
    pub(super) issuer: String,
    /// Further Fulcio extensions: number in Fulcio's arc, and value.
    pub(super) claims: Vec<(u32, String)>,
}

/// Whether the certificate embeds the promise of a log, and of which.
#[derive(Clone, Copy)]
pub(super) enum Embed<'a> {
    /// The log's timestamp.
    TimestampOf(&'a CtLog),
    /// The log's timestamp, with a signature over something else.
    ForgedTimestampOf(&'a CtLog),
    /// None.
    Nothing,
}

/// The certificate authority of a Fulcio instance.
pub(super) struct FulcioAuthority(Authority);

impl FulcioAuthority {
    pub(super) fn generate(now: Timestamp) -> Result<Self, SigstoreError> {
        let purpose = x509::purpose(CODE_SIGNING)?;
        Authority::generate("countersign sandbox", "sandbox fulcio", now, &purpose).map(Self)
    }

    /// The authority's certificates and validity.
    pub(super) fn authority(&self) -> &Authority {
        &self.0
    }

    /// Certifies the key `spki` (DER SubjectPublicKeyInfo) from `at` for [`VALIDITY`]; returns DER.
    pub(super) fn issue(
        &self,
        subject: &Subject,
        spki: &[u8],
        at: Timestamp,
        embed: Embed<'_>,
    ) -> Result<Vec<u8>, SigstoreError> {
        let mut tbs = self.0.tbs(Certificate {
            subject: Name::default(),
            spki,
            validity: (at, at + VALIDITY),
            extensions: leaf_extensions(subject)?,
        })?;
        let precertificate = tbs.to_der()?;
        let timestamp = match embed {
            Embed::TimestampOf(log) => Some(log.timestamp(&precertificate, self.0.spki(), at)),
            Embed::ForgedTimestampOf(log) => Some(log.timestamp(b"another", self.0.spki(), at)),
            Embed::Nothing => None,
        };
        if let Some(timestamp) = timestamp {
            let list = timestamp_list(timestamp)?;
            tbs.extensions.get_or_insert_default().push(list);
        }
        self.0.sign(tbs)
    }
}

/// Whether Fulcio certifies `identity` as an email address.
pub(super) fn is_email(identity: &str) -> bool {
    identity.contains('@') && !identity.contains("://")
}

fn alternative_name(identity: &str) -> Result<GeneralName, SigstoreError> {
    if is_email(identity) {
        return Ok(GeneralName::Rfc822Name(Ia5String::new(identity)?));
    }
    if identity.contains('!') && !identity.contains("://") {
        return Ok(GeneralName::OtherName(OtherName {
            type_id: USER_NAME,
            value: Any::encode_from(&Utf8StringRef::new(identity)?)?,
        }));
    }
    let uri = Ia5String::new(identity)?;
    Ok(GeneralName::UniformResourceIdentifier(uri))
}

fn leaf_extensions(subject: &Subject) -> Result<Vec<Extension>, SigstoreError> {
    let no_name = Name::default();
    let name = alternative_name(&subject.identity)?;
    let mut extensions = vec![
        KeyUsage(KeyUsages::DigitalSignature.into()).to_extension(&no_name, &[])?,
        x509::purpose(CODE_SIGNING)?,
        // Critical, since the subject is empty (RFC 5280, section 4.1.2.6); `to_extension` sees to it.
        SubjectAltName(vec![name]).to_extension(&no_name, &[])?,
        extension(ISSUER_V1, false, subject.issuer.clone().into_bytes())?,
    ];
    let issuer = (ISSUER_V2, subject.issuer.clone());
    for (number, value) in std::iter::once(&issuer).chain(&subject.claims) {
        let oid =
            ObjectIdentifier::new(&format!("{FULCIO_ARC}.{number}")).map_err(der::Error::from)?;
        let value = Utf8StringRef::new(value)?.to_der()?;
        extensions.push(extension(oid, false, value)?);
    }
    Ok(extensions)
}

fn timestamp_list(timestamp: SignedCertificateTimestamp) -> Result<Extension, SigstoreError> {
    let serialized =
        SerializedSct::new(timestamp).map_err(x509_cert::ext::pkix::sct::Error::from)?;
    let list = SignedCertificateTimestampList::new(&[serialized])?;
    Ok(list.to_extension(&Name::default(), &[])?)
}
