//! Asks Fulcio for a certificate (`POST /api/v2/signingCert`).

use countersign_oci::http::{AttemptError, retrying};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sigstore_crypto::KeyPair;
use sigstore_types::{DerCertificate, SignatureBytes};
use url::Url;

use crate::error::{Error, Service};
use crate::renewal::Tokens;
use crate::token::IdentityToken;
use crate::transport::{Call, NoAnswer, Transport, below};

/// Has Fulcio certify that `key` belongs to whom the token names. Asked again after a lost answer,
/// Fulcio issues another certificate; the first is never used. Each time it is asked with a token
/// that has time left.
pub(crate) async fn certify(
    transport: &Transport,
    fulcio: &Url,
    tokens: &Tokens<'_>,
    key: &KeyPair,
) -> Result<IssuedCertificate, Error> {
    let (token, answer) = retrying(transport.retries(), || async {
        let token = tokens.live().await?;
        let failed = |reason: NoAnswer| reason.without(token.expose_secret()).of(Service::Fulcio);
        let request = request(&token, key).map_err(failed)?;
        let url = below(fulcio, "/api/v2/signingCert");
        let call = Call::post(Service::Fulcio, url, "application/json", request);
        let answer = transport.attempt(&call).await;
        let answer = answer.map_err(|failure| failure.map(failed))?;
        Ok::<_, AttemptError<Error>>((token.clone(), answer))
    })
    .await?;
    // What it answers instead of a certificate may quote the token.
    issued(&answer).map_err(|reason| reason.without(token.expose_secret()).of(Service::Fulcio))
}

fn request(token: &IdentityToken, key: &KeyPair) -> Result<Vec<u8>, NoAnswer> {
    let unusable = |error: sigstore_crypto::Error| NoAnswer::Request(Box::new(error));
    let request = Request {
        credentials: Credentials {
            oidc_identity_token: token.expose_secret(),
        },
        public_key_request: PublicKeyRequest {
            public_key: PublicKey {
                content: key.public_key_der().map_err(unusable)?.to_pem(),
            },
            proof_of_possession: key.sign(token.challenge().as_bytes()).map_err(unusable)?,
        },
    };
    serde_json::to_vec(&request).map_err(|error| NoAnswer::Request(Box::new(error)))
}

/// A certificate, and those above it.
#[derive(Debug)]
pub(crate) struct IssuedCertificate {
    /// The signer's own, which a bundle of version 0.3 has alone: the rest of the chain comes from the
    /// trusted root.
    pub(crate) certificate: DerCertificate,
    /// The rest of the chain in PEM, the authority's root last. It proves nothing.
    pub(crate) chain: Vec<String>,
}

fn issued(answer: &[u8]) -> Result<IssuedCertificate, NoAnswer> {
    const EXPECTED: &str = "a certificate chain with an embedded certificate timestamp";
    let answer: Answer =
        serde_json::from_slice(answer).map_err(|error| NoAnswer::answer(EXPECTED, error))?;
    let Some(issued) = answer.signed_certificate_embedded_sct else {
        let found = match answer.signed_certificate_detached_sct {
            // A bundle has no place for it.
            Some(_) => "one with a detached certificate timestamp",
            None => "no chain",
        };
        return Err(NoAnswer::answer(EXPECTED, found));
    };
    let mut chain = issued.chain.certificates.into_iter();
    let leaf = chain
        .next()
        .ok_or_else(|| NoAnswer::answer(EXPECTED, "an empty chain"))?;
    Ok(IssuedCertificate {
        certificate: DerCertificate::from_pem(&leaf)
            .map_err(|error| NoAnswer::answer(EXPECTED, error))?,
        chain: chain.collect(),
    })
}

/// Not `Debug`: it holds the token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    credentials: Credentials<'a>,
    public_key_request: PublicKeyRequest,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Credentials<'a> {
    oidc_identity_token: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PublicKeyRequest {
    public_key: PublicKey,
    /// A signature of the token's identity claim.
    proof_of_possession: SignatureBytes,
}

/// PEM says itself what kind of key it is, so Fulcio's `algorithm` is left out.
#[derive(Serialize)]
struct PublicKey {
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    signed_certificate_embedded_sct: Option<Issued>,
    signed_certificate_detached_sct: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Issued {
    chain: Chain,
}

/// PEM, leaf first.
#[derive(Deserialize)]
struct Chain {
    certificates: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(answer: &str) -> String {
        match issued(answer.as_bytes()) {
            Err(NoAnswer::Answer { found, .. }) => found,
            other => panic!("expected an unusable answer, found {other:?}"),
        }
    }

    #[test]
    fn an_answer_without_a_certificate_to_put_in_a_bundle_is_refused() {
        let detached = r#"{"signedCertificateDetachedSct":{"chain":{"certificates":["x"]}}}"#;
        assert_eq!(found(detached), "one with a detached certificate timestamp");
        let empty = r#"{"signedCertificateEmbeddedSct":{"chain":{"certificates":[]}}}"#;
        assert_eq!(found(empty), "an empty chain");
        assert_eq!(found("{}"), "no chain");
    }
}
