//! An RFC 3161 timestamp authority.
//!
//! Its tokens carry what RFC 3161 and RFC 5816 ask of an authority: a certificate whose one,
//! critical purpose is time stamping, and a signed attribute that names that certificate.

use cmpv2::status::{PkiStatus, PkiStatusInfo};
use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use der::asn1::{GeneralizedTime, Int, ObjectIdentifier, OctetString, SetOfVec};
use der::{Any, Decode as _, Encode, Sequence};
use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::attr::Attribute;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages};
use x509_cert::ext::{AsExtension as _, Extension};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_tsp::{MessageImprint, TimeStampReq, TimeStampResp, TspVersion, TstInfo};

use super::SigstoreError;
use super::error::ErrorAnswer;
use super::keys::{EcdsaKey, digest};
use super::x509::{self, Authority, signature_algorithm};

const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
/// The policy of Sigstore's timestamp authority.
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2");

/// A timestamp authority.
pub(super) struct TimestampAuthority {
    authority: Authority,
    signer: Signer,
}

/// Whoever signs a timestamp.
struct Signer {
    key: EcdsaKey,
    /// DER.
    certificate: Vec<u8>,
}

/// `SigningCertificateV2` (RFC 5035, section 3), the policies left out.
#[derive(Sequence)]
struct SigningCertificateV2 {
    certs: Vec<EssCertIdV2>,
}

/// `ESSCertIDv2` (RFC 5035, section 4): SHA-256 is the default and left out, as is the issuer.
#[derive(Sequence)]
struct EssCertIdV2 {
    cert_hash: OctetString,
}

impl TimestampAuthority {
    pub(super) fn generate(now: Timestamp) -> Result<Self, SigstoreError> {
        let purpose = x509::purpose(TIME_STAMPING)?;
        let authority = Authority::generate("countersign sandbox", "sandbox tsa", now, &purpose)?;
        // Critical in the certificate that stamps (RFC 3161, section 2.3).
        let purpose = Extension {
            critical: true,
            ..purpose
        };
        let key = EcdsaKey::generate()?;
        let subject = x509::name("countersign sandbox", "sandbox timestamping")?;
        let usage = KeyUsage(KeyUsages::DigitalSignature.into()).to_extension(&subject, &[])?;
        let certificate = authority.tbs(x509::Certificate {
            subject,
            spki: key.spki(),
            validity: authority.validity(),
            extensions: vec![usage, purpose],
        })?;
        Ok(Self {
            signer: Signer {
                certificate: authority.sign(certificate)?,
                key,
            },
            authority,
        })
    }

    /// The authority that certifies this one.
    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The certificate that signs timestamps, DER.
    pub(super) fn certificate(&self) -> &[u8] {
        &self.signer.certificate
    }

    /// Answers a DER `TimeStampReq` with a DER `TimeStampResp`.
    pub(super) fn answer(&self, request: &[u8], at: Timestamp) -> Result<Vec<u8>, ErrorAnswer> {
        let request = TimeStampReq::from_der(request)
            .map_err(|error| ErrorAnswer::bad_request(format!("timestamp request: {error}")))?;
        Ok(self.respond(&self.signer, request.message_imprint, request.nonce, at)?)
    }

    /// The DER `TimeStampResp` about these bytes.
    pub(super) fn timestamp(&self, bytes: &[u8], at: Timestamp) -> Result<Vec<u8>, SigstoreError> {
        self.respond(&self.signer, imprint(bytes)?, None, at)
    }

    /// As [`timestamp`](Self::timestamp), by somebody who has a certificate of his own making.
    pub(super) fn forged_timestamp(
        &self,
        bytes: &[u8],
        at: Timestamp,
    ) -> Result<Vec<u8>, SigstoreError> {
        self.respond(&self.forger()?, imprint(bytes)?, None, at)
    }

    /// A signer whose certificate has the issuer and the serial number of the authority's own. It
    /// says less, so that it comes first in a bag, which DER sorts.
    fn forger(&self) -> Result<Signer, SigstoreError> {
        let own = Certificate::from_der(&self.signer.certificate)?.tbs_certificate;
        let key = EcdsaKey::generate()?;
        let mut tbs = self.authority.tbs(x509::Certificate {
            subject: own.subject,
            spki: key.spki(),
            validity: self.authority.validity(),
            extensions: vec![x509::purpose(TIME_STAMPING)?],
        })?;
        tbs.serial_number = own.serial_number;
        Ok(Signer {
            certificate: x509::sign(tbs, &key)?,
            key,
        })
    }

    fn respond(
        &self,
        signer: &Signer,
        message_imprint: MessageImprint,
        nonce: Option<Int>,
        at: Timestamp,
    ) -> Result<Vec<u8>, SigstoreError> {
        let seconds =
            u64::try_from(at.as_second()).map_err(|_| SigstoreError::Time { found: at })?;
        let serial_number = x509::serial_number()?;
        let info = TstInfo {
            version: TspVersion::V1,
            policy: POLICY,
            message_imprint,
            serial_number: Int::new(serial_number.as_bytes())?,
            gen_time: GeneralizedTime::from_unix_duration(std::time::Duration::from_secs(seconds))?,
            accuracy: None,
            ordering: false,
            nonce,
            tsa: None,
            extensions: None,
        };
        let response = TimeStampResp {
            status: PkiStatusInfo {
                status: PkiStatus::Accepted,
                status_string: None,
                fail_info: None,
            },
            time_stamp_token: Some(self.token(signer, &info.to_der()?)?),
        };
        Ok(response.to_der()?)
    }

    /// A time-stamp token: CMS SignedData (RFC 5652) around a DER `TSTInfo`.
    fn token(&self, by: &Signer, info: &[u8]) -> Result<ContentInfo, SigstoreError> {
        let certificate = Certificate::from_der(&by.certificate)?;
        let signed_attributes = by.signed_attributes(info)?;
        let signer = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: certificate.tbs_certificate.issuer.clone(),
                serial_number: certificate.tbs_certificate.serial_number.clone(),
            }),
            digest_alg: sha256(),
            // Signed as a SET OF, its own tag, and not as the field of SignerInfo (section 5.4).
            signature: OctetString::new(by.key.sign(&signed_attributes.to_der()?))?,
            signed_attrs: Some(signed_attributes),
            signature_algorithm: signature_algorithm(),
            unsigned_attrs: None,
        };
        let mut certificates = vec![CertificateChoices::Certificate(certificate)];
        let own = (by.certificate != self.signer.certificate).then_some(&self.signer.certificate);
        for der in own.into_iter().chain(self.authority.chain()) {
            certificates.push(CertificateChoices::Certificate(Certificate::from_der(der)?));
        }
        let signed_data = SignedData {
            version: CmsVersion::V3,
            digest_algorithms: SetOfVec::try_from(vec![sha256()])?,
            encap_content_info: EncapsulatedContentInfo {
                econtent_type: TST_INFO,
                econtent: Some(Any::encode_from(&OctetString::new(info)?)?),
            },
            certificates: Some(CertificateSet(SetOfVec::try_from(certificates)?)),
            crls: None,
            signer_infos: SignerInfos(SetOfVec::try_from(vec![signer])?),
        };
        Ok(ContentInfo {
            content_type: SIGNED_DATA,
            content: Any::encode_from(&signed_data)?,
        })
    }
}

impl Signer {
    fn signed_attributes(&self, info: &[u8]) -> Result<SetOfVec<Attribute>, SigstoreError> {
        let signing_certificate = SigningCertificateV2 {
            certs: vec![EssCertIdV2 {
                cert_hash: OctetString::new(digest(&self.certificate))?,
            }],
        };
        let attributes = vec![
            attribute(CONTENT_TYPE, &TST_INFO)?,
            attribute(MESSAGE_DIGEST, &OctetString::new(digest(info))?)?,
            attribute(SIGNING_CERTIFICATE_V2, &signing_certificate)?,
        ];
        Ok(SetOfVec::try_from(attributes)?)
    }
}

fn attribute<T: der::EncodeValue + der::Tagged>(
    oid: ObjectIdentifier,
    value: &T,
) -> Result<Attribute, SigstoreError> {
    Ok(Attribute {
        oid,
        values: SetOfVec::try_from(vec![Any::encode_from(value)?])?,
    })
}

fn imprint(bytes: &[u8]) -> Result<MessageImprint, SigstoreError> {
    Ok(MessageImprint {
        hash_algorithm: sha256(),
        hashed_message: OctetString::new(digest(bytes))?,
    })
}

fn sha256() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid: SHA256,
        parameters: None,
    }
}
