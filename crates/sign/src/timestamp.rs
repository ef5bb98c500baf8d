//! Has signatures timestamped (RFC 3161).

use der::asn1::{ObjectIdentifier, OctetString};
use der::{Decode as _, Encode as _};
use sigstore_types::{SignatureBytes, TimestampToken};
use url::Url;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_tsp::{MessageImprint, TimeStampReq, TimeStampResp, TspVersion};

use crate::error::Service;
use crate::transport::{Call, NoAnswer, Transport};

const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// Has the authority whose endpoint is at `url` state that the signature exists now.
///
/// That the answer is about this signature, and by an authority that is trusted, is for the
/// verifier to say; there is no nonce, since no earlier answer can be about a signature just made.
pub(crate) async fn timestamp(
    transport: &Transport,
    url: &Url,
    signature: &SignatureBytes,
) -> Result<TimestampToken, NoAnswer> {
    let request = request(signature).map_err(|error| NoAnswer::Request(Box::new(error)))?;
    let call = Call::post(
        Service::TimestampAuthority,
        url.clone(),
        "application/timestamp-query",
        request,
    );
    let asked = transport.ask_for(&call, |answer| {
        check(&answer)?;
        Ok(TimestampToken::new(answer.into()))
    });
    asked.await
}

fn request(signature: &SignatureBytes) -> der::Result<Vec<u8>> {
    let hash = sigstore_crypto::sha256(signature.as_bytes());
    TimeStampReq {
        version: TspVersion::V1,
        message_imprint: MessageImprint {
            hash_algorithm: AlgorithmIdentifierOwned {
                oid: SHA256,
                parameters: None,
            },
            hashed_message: OctetString::new(hash.as_bytes())?,
        },
        req_policy: None,
        nonce: None,
        cert_req: true,
        extensions: None,
    }
    .to_der()
}

/// A response has a token if, and only if, the request was granted (section 2.4.2).
fn check(answer: &[u8]) -> Result<(), NoAnswer> {
    const EXPECTED: &str = "a timestamp";
    let response =
        TimeStampResp::from_der(answer).map_err(|error| NoAnswer::answer(EXPECTED, error))?;
    if response.time_stamp_token.is_none() {
        let status = response.status.status;
        return Err(NoAnswer::answer(
            EXPECTED,
            format_args!("the status {status:?}"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_in_due_form_is_one() {
        // SEQUENCE { SEQUENCE { INTEGER 2 } }: rejection, no token.
        let refused = check(&[0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02]);
        let Err(NoAnswer::Answer { found, .. }) = refused else {
            panic!("expected an unusable answer, found {refused:?}");
        };
        assert_eq!(found, "the status Rejection");
        assert!(matches!(check(b"<html>"), Err(NoAnswer::Answer { .. })));
    }
}
