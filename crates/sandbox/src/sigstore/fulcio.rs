//! Fulcio: certificates for those who hold a token and a key.
//!
//! It checks what Fulcio checks, the token and the proof that the client holds its key, and
//! answers as Fulcio's v1 and v2 interfaces do.

use axum::http::StatusCode;
use der::{Decode as _, Encode as _};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use x509_cert::request::CertReq;

use super::SigstoreError;
use super::ca::{Embed, FulcioAuthority, Subject};
use super::ct::CtLog;
use super::error::ErrorAnswer;
use super::keys::pem;
use super::oidc::OidcIssuer;
use super::verifier::{Verifier, decode_base64};

/// A Fulcio instance and the certificate transparency log it submits to.
pub(super) struct Fulcio {
    authority: FulcioAuthority,
    ct: CtLog,
}

/// `POST /api/v2/signingCert`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SigningCertificateRequest {
    /// Left out by clients that send the token in the `Authorization` header.
    credentials: Option<Credentials>,
    public_key_request: Option<PublicKeyRequest>,
    /// Base64 of a PEM certification request (PKCS #10), which sigstore-python sends.
    certificate_signing_request: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    oidc_identity_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKeyRequest {
    public_key: PublicKeyPem,
    proof_of_possession: String,
}

#[derive(Deserialize)]
struct PublicKeyPem {
    content: String,
}

/// `POST /api/v1/signingCert`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LegacyRequest {
    #[serde(default)]
    public_key: LegacyPublicKey,
    signed_email_address: Option<String>,
    certificate_signing_request: Option<String>,
}

#[derive(Deserialize, Default)]
struct LegacyPublicKey {
    /// Base64 of a SubjectPublicKeyInfo, in DER or, from cosign, in PEM.
    content: String,
}

impl LegacyPublicKey {
    fn verifier(&self) -> Result<Verifier, ErrorAnswer> {
        let content = decode_base64(&self.content)?;
        if content.starts_with(b"-----BEGIN") {
            Verifier::from_pem(&content)
        } else {
            Ok(Verifier::from_spki(content))
        }
    }
}

/// How a client proves that it holds the key it wants certified.
enum ProofOfPossession {
    /// A signature of its identity.
    Identity(Verifier, Vec<u8>),
    /// A certification request, signed by the key itself.
    Request(CertReq),
}

impl Fulcio {
    pub(super) fn generate(now: Timestamp) -> Result<Self, SigstoreError> {
        Ok(Self {
            authority: FulcioAuthority::generate(now)?,
            ct: CtLog::generate()?,
        })
    }

    pub(super) fn authority(&self) -> &FulcioAuthority {
        &self.authority
    }

    pub(super) fn ct(&self) -> &CtLog {
        &self.ct
    }

    /// Answers the v2 interface: the chain in PEM, leaf first. `bearer` is the token of the
    /// `Authorization` header; one in the request itself goes before.
    pub(super) fn signing_certificate(
        &self,
        oidc: &OidcIssuer,
        bearer: Option<&str>,
        request: &SigningCertificateRequest,
        now: Timestamp,
    ) -> Result<Value, ErrorAnswer> {
        let proof = match (
            &request.public_key_request,
            &request.certificate_signing_request,
        ) {
            (_, Some(request)) => ProofOfPossession::request(request)?,
            (Some(request), None) => ProofOfPossession::Identity(
                Verifier::from_pem(request.public_key.content.as_bytes())?,
                decode_base64(&request.proof_of_possession)?,
            ),
            (None, None) => return Err(ErrorAnswer::bad_request("no public key")),
        };
        let credentials = request.credentials.as_ref();
        let token = credentials
            .map(|credentials| credentials.oidc_identity_token.as_str())
            .or(bearer);
        let chain = self.certify(oidc, token, &proof, now)?;
        Ok(json!({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}))
    }

    /// Answers the v1 interface, whose token comes in the `Authorization` header: the chain as
    /// one PEM text, leaf first.
    pub(super) fn legacy_signing_certificate(
        &self,
        oidc: &OidcIssuer,
        bearer: Option<&str>,
        request: &LegacyRequest,
        now: Timestamp,
    ) -> Result<String, ErrorAnswer> {
        let proof = match (
            &request.signed_email_address,
            &request.certificate_signing_request,
        ) {
            (_, Some(request)) => ProofOfPossession::request(request)?,
            (Some(signature), None) => ProofOfPossession::Identity(
                request.public_key.verifier()?,
                decode_base64(signature)?,
            ),
            (None, None) => return Err(ErrorAnswer::bad_request("no public key")),
        };
        Ok(self.certify(oidc, bearer, &proof, now)?.concat())
    }

    fn certify(
        &self,
        oidc: &OidcIssuer,
        token: Option<&str>,
        proof: &ProofOfPossession,
        now: Timestamp,
    ) -> Result<Vec<String>, ErrorAnswer> {
        let claims = token
            .ok_or_else(|| ErrorAnswer::bad_request("expected an identity token"))
            .and_then(|token| oidc.check(token, now))
            .map_err(|refused| refused.with_status(StatusCode::UNAUTHORIZED))?;
        let spki = proof.check(claims.identity())?;
        let subject = Subject {
            identity: claims.identity().to_owned(),
            issuer: claims.issuer().to_owned(),
            claims: Vec::new(),
        };
        let embed = Embed::TimestampOf(&self.ct);
        // The names are all that can be wrong here, and asking again doesn't make them better.
        let leaf = self
            .authority
            .issue(&subject, &spki, now, embed)
            .map_err(|error| ErrorAnswer::from(error).with_status(StatusCode::BAD_REQUEST))?;
        let mut chain = vec![pem("CERTIFICATE", &leaf)];
        chain.extend(self.chain());
        Ok(chain)
    }

    /// `GET /api/v2/trustBundle`.
    pub(super) fn trust_bundle(&self) -> Value {
        json!({"chains": [{"certificates": self.chain()}]})
    }

    /// `GET /api/v2/configuration`.
    pub(super) fn configuration(&self, oidc: &OidcIssuer) -> Value {
        json!({"issuers": [{
            "issuerUrl": oidc.url(),
            "audience": "sigstore",
            "challengeClaim": "email",
            "spiffeTrustDomain": "",
            "issuerType": "email",
            "subjectDomain": "",
            "skipEmailVerification": false,
        }]})
    }

    fn chain(&self) -> Vec<String> {
        let chain = self.authority.authority().chain();
        chain.iter().map(|der| pem("CERTIFICATE", der)).collect()
    }
}

impl ProofOfPossession {
    /// From base64 of a PEM certification request.
    fn request(text: &str) -> Result<Self, ErrorAnswer> {
        let malformed = |error: &dyn std::fmt::Display| {
            ErrorAnswer::bad_request(format!("certificate signing request: {error}"))
        };
        let text = decode_base64(text)?;
        let (_, der) = x509_cert::der::pem::decode_vec(&text).map_err(|error| malformed(&error))?;
        let request = CertReq::from_der(&der).map_err(|error| malformed(&error))?;
        Ok(Self::Request(request))
    }

    /// Checks the proof; returns the DER SubjectPublicKeyInfo of the key.
    fn check(&self, identity: &str) -> Result<Vec<u8>, ErrorAnswer> {
        match self {
            Self::Identity(verifier, signature) => {
                verifier.check(identity.as_bytes(), signature)?;
                Ok(verifier.spki().to_vec())
            }
            Self::Request(request) => {
                let spki = request.info.public_key.to_der()?;
                let verifier = Verifier::from_spki(spki.clone());
                verifier.check(&request.info.to_der()?, request.signature.raw_bytes())?;
                Ok(spki)
            }
        }
    }
}
