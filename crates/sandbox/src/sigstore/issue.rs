//! Makes bundles without HTTP, and breaks them where asked.
//!
//! Every [`Flaw`] is made where its part is made, so that all that comes after is consistent with
//! it: a verifier that refuses the bundle refuses it for that flaw.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sigstore_types::Sha256Hash;

use super::bundle::{BUNDLE, BundleSpec, Flaw};
use super::ca::{Embed, FulcioAuthority, Subject};
use super::ct::CtLog;
use super::entry_verifier::EntryVerifier;
use super::keys::{EcdsaKey, digest};
use super::log::LogEntry;
use super::proposal::{Proposal, pre_authentication_encoding};
use super::rekor_v1::RekorV1;
use super::rekor_v2::RekorV2;
use super::services::Services;
use super::tsa::TimestampAuthority;
use super::{RekorVersion, SigstoreError};

/// Signed or logged instead of the payload, for flaws of another payload.
const ANOTHER: &[u8] = b"another";
/// How far from the certificate's start an expired certificate's signature is seen.
const TOO_LATE: SignedDuration = SignedDuration::from_mins(70);

/// The bundle that `spec` describes, as JSON.
pub(super) fn issue(services: &Services, spec: &BundleSpec) -> Result<Value, SigstoreError> {
    Issuance::new(services, spec)?.bundle()
}

/// One certificate, and what is signed with its key.
pub(super) struct Issuance<'a> {
    services: &'a Services,
    spec: &'a BundleSpec,
    now: Timestamp,
    key: EcdsaKey,
}

impl<'a> Issuance<'a> {
    pub(super) fn new(services: &'a Services, spec: &'a BundleSpec) -> Result<Self, SigstoreError> {
        Ok(Self {
            services,
            spec,
            now: Timestamp::now(),
            key: EcdsaKey::generate()?,
        })
    }
}

impl Issuance<'_> {
    fn bundle(&self) -> Result<Value, SigstoreError> {
        let by = self.verifier()?;
        let signed = match self.spec.flaw {
            Some(Flaw::SignatureOfAnotherPayload) => ANOTHER,
            _ => &self.spec.payload,
        };
        let signature = self.sign(signed)?;
        let verifier = match (self.spec.flaw, &self.spec.key, &by) {
            (Some(Flaw::PublicKey), _, _) => {
                ("publicKey", json!({"hint": hex::encode(self.key.id())}))
            }
            (_, Some(key), _) => ("publicKey", json!({"hint": STANDARD.encode(key.id())})),
            (_, None, EntryVerifier::Certificate(der) | EntryVerifier::Key(der)) => {
                ("certificate", json!({"rawBytes": STANDARD.encode(der)}))
            }
        };
        Ok(json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {
                verifier.0: verifier.1,
                "tlogEntries": self.entries(&signature, &by)?,
                "timestampVerificationData": {
                    "rfc3161Timestamps": self.timestamps(&signature)?,
                },
            },
            "dsseEnvelope": envelope(&self.spec.payload_type, &self.spec.payload, &signature),
        }))
    }

    /// When the certificate begins. An expired one is dated back, so that the times at which the
    /// signature was seen stay in the past.
    fn signed_at(&self) -> Timestamp {
        match (self.spec.signed_at, self.spec.flaw) {
            (Some(time), _) => time,
            (None, Some(Flaw::ExpiredCertificate)) => self.now - TOO_LATE,
            (None, _) => self.now,
        }
    }

    /// When the signature was seen, unless the specification says otherwise.
    pub(super) fn seen_at(&self) -> Timestamp {
        match self.spec.flaw {
            Some(Flaw::ExpiredCertificate) => self.signed_at() + TOO_LATE,
            _ => self.signed_at(),
        }
    }

    /// With what the signature verifies: a new certificate, or the key.
    pub(super) fn verifier(&self) -> Result<EntryVerifier, SigstoreError> {
        match &self.spec.key {
            Some(key) => Ok(EntryVerifier::Key(key.spki().to_vec())),
            None => self.certificate().map(EntryVerifier::Certificate),
        }
    }

    fn certificate(&self) -> Result<Vec<u8>, SigstoreError> {
        let other_authority;
        let authority = match self.spec.flaw {
            Some(Flaw::UnknownCertificateAuthority) => {
                other_authority = FulcioAuthority::generate(self.now)?;
                &other_authority
            }
            _ => self.services.fulcio.authority(),
        };
        let other_log;
        let embed = match self.spec.flaw {
            Some(Flaw::NoCertificateTimestamp) => Embed::Nothing,
            None if self.spec.without_logs => Embed::Nothing,
            Some(Flaw::CertificateTimestampOfUnknownLog) => {
                other_log = CtLog::generate()?;
                Embed::TimestampOf(&other_log)
            }
            Some(Flaw::CertificateTimestampOfAnotherCertificate) => {
                Embed::ForgedTimestampOf(self.services.fulcio.ct())
            }
            _ => Embed::TimestampOf(self.services.fulcio.ct()),
        };
        let issuer = self.spec.issuer.as_deref();
        let subject = Subject {
            identity: self.spec.identity.clone(),
            issuer: issuer.unwrap_or(self.services.oidc.url()).to_owned(),
            claims: self.spec.claims.clone(),
        };
        authority.issue(&subject, self.key.spki(), self.signed_at(), embed)
    }

    /// A signature of these bytes, without an envelope.
    pub(super) fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, SigstoreError> {
        match &self.spec.key {
            Some(key) => key.sign(message),
            None => Ok(self.key.sign(message)),
        }
    }

    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SigstoreError> {
        let signed = pre_authentication_encoding(&self.spec.payload_type, payload);
        self.sign_message(&signed)
    }

    fn entries(&self, signature: &[u8], by: &EntryVerifier) -> Result<Vec<Value>, SigstoreError> {
        if self.spec.without_logs {
            return Ok(Vec::new());
        }
        let mut entry = match self.spec.flaw {
            Some(Flaw::EntryOfAnotherPayload) => self.log(ANOTHER, &self.sign(ANOTHER)?, by)?,
            _ => self.log(&self.spec.payload, signature, by)?,
        };
        let times = match self.spec.flaw {
            Some(Flaw::NoEntry) => 0,
            Some(Flaw::RepeatedEntry(times)) => times,
            Some(flaw) => {
                self.tamper(&mut entry, flaw)?;
                1
            }
            None => 1,
        };
        let mut entry = entry.transparency_log_entry();
        if let (Some(Flaw::NoInclusionProof), Some(entry)) = (self.spec.flaw, entry.as_object_mut())
        {
            entry.remove("inclusionProof");
        }
        Ok(vec![entry; times])
    }

    fn log(
        &self,
        payload: &[u8],
        signature: &[u8],
        by: &EntryVerifier,
    ) -> Result<LogEntry, SigstoreError> {
        match self.spec.rekor {
            RekorVersion::V1 => {
                let envelope = envelope(&self.spec.payload_type, payload, signature).to_string();
                let signatures = [(STANDARD.encode(signature), by.pem())];
                let proposal = Proposal::dsse(&envelope, payload, &signatures);
                let at = self.spec.logged_at.unwrap_or_else(|| self.seen_at());
                let rekor = &self.services.rekor_v1;
                rekor.append(proposal.kind(), proposal.canonical_body()?, at)
            }
            RekorVersion::V2 => {
                let signed = pre_authentication_encoding(&self.spec.payload_type, payload);
                let hash = digest(&signed);
                self.services.rekor_v2.record(&hash, signature, by)
            }
        }
    }

    fn tamper(&self, entry: &mut LogEntry, flaw: Flaw) -> Result<(), SigstoreError> {
        let head = (entry.proof.size, entry.proof.root);
        let (v1, v2) = (&self.services.rekor_v1, &self.services.rekor_v2);
        let impossible = || SigstoreError::Flaw(format!("{flaw:?}"));
        match (flaw, self.spec.rekor) {
            (Flaw::NoPromise, _) => entry.promise = None,
            (Flaw::PromiseOfAnotherTime, _) => {
                let (time, promise) = entry.promise.as_mut().ok_or_else(impossible)?;
                let another = time.saturating_sub(1);
                *promise = v1.promise(&entry.body, another, entry.proof.index)?;
            }
            (Flaw::WrongInclusionProof, _) => {
                let hash = entry.proof.path.first_mut();
                *hash.ok_or_else(impossible)? = Sha256Hash::new(digest(ANOTHER));
            }
            (Flaw::WrongCheckpointSignature, _) => {
                entry.checkpoint = with_last_byte_flipped(&entry.checkpoint);
            }
            (Flaw::CheckpointOfUnknownLog, RekorVersion::V1) => {
                let other = RekorV1::generate("unknown.example".into(), self.now)?;
                entry.checkpoint = other.checkpoint(head);
            }
            (Flaw::CheckpointOfUnknownLog, RekorVersion::V2) => {
                let other = RekorV2::generate("unknown.example".into())?;
                entry.checkpoint = other.checkpoint(head);
            }
            (Flaw::CheckpointOfOtherTrustedLog, RekorVersion::V1) => {
                entry.checkpoint = v2.checkpoint(head);
            }
            (Flaw::CheckpointOfOtherTrustedLog, RekorVersion::V2) => {
                entry.checkpoint = v1.checkpoint(head);
            }
            // These break another part of the bundle.
            (
                Flaw::SignatureOfAnotherPayload
                | Flaw::PublicKey
                | Flaw::UnknownCertificateAuthority
                | Flaw::ExpiredCertificate
                | Flaw::NoCertificateTimestamp
                | Flaw::CertificateTimestampOfUnknownLog
                | Flaw::CertificateTimestampOfAnotherCertificate
                | Flaw::NoEntry
                | Flaw::RepeatedEntry(_)
                | Flaw::EntryOfAnotherPayload
                | Flaw::NoInclusionProof
                | Flaw::NoTimestamp
                | Flaw::TimestampOfUnknownAuthority
                | Flaw::TimestampOfForgedCertificate
                | Flaw::TimestampOfAnotherSignature
                | Flaw::RepeatedTimestamp(_),
                _,
            ) => {}
        }
        Ok(())
    }

    fn timestamps(&self, signature: &[u8]) -> Result<Vec<Value>, SigstoreError> {
        let at = match (self.spec.timestamped_at, self.spec.rekor) {
            (Some(time), _) => time,
            (None, RekorVersion::V1) if self.spec.without_logs => self.seen_at(),
            (None, RekorVersion::V1) => return Ok(Vec::new()),
            (None, RekorVersion::V2) => self.seen_at(),
        };
        let other_authority;
        let authority = match self.spec.flaw {
            Some(Flaw::TimestampOfUnknownAuthority) => {
                other_authority = TimestampAuthority::generate(self.now)?;
                &other_authority
            }
            _ => &self.services.timestamp_authority,
        };
        let stamped = match self.spec.flaw {
            Some(Flaw::TimestampOfAnotherSignature) => ANOTHER,
            _ => signature,
        };
        let times = match self.spec.flaw {
            Some(Flaw::NoTimestamp) => 0,
            Some(Flaw::RepeatedTimestamp(times)) => times,
            _ => 1,
        };
        let timestamp = match self.spec.flaw {
            Some(Flaw::TimestampOfForgedCertificate) => authority.forged_timestamp(stamped, at)?,
            _ => authority.timestamp(stamped, at)?,
        };
        let timestamp = STANDARD.encode(timestamp);
        Ok(vec![json!({"signedTimestamp": timestamp}); times])
    }
}

fn envelope(payload_type: &str, payload: &[u8], signature: &[u8]) -> Value {
    json!({
        "payload": STANDARD.encode(payload),
        "payloadType": payload_type,
        "signatures": [{"sig": STANDARD.encode(signature)}],
    })
}

/// The note with the last byte of its signature changed: the key's hint stays, and so does the
/// signature's encoding.
fn with_last_byte_flipped(note: &str) -> String {
    let Some((before, signature)) = note.trim_end().rsplit_once(' ') else {
        return note.to_owned();
    };
    let mut signature = STANDARD.decode(signature).unwrap_or_default();
    if let Some(last) = signature.last_mut() {
        *last ^= 1;
    }
    format!("{before} {}\n", STANDARD.encode(signature))
}
