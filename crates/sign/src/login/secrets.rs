//! What binds the answers to a login.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::error::LoginError;

/// Bytes of each value: as many as RFC 7636 (section 7.1) recommends.
const LENGTH: usize = 32;

/// Random values of one login. It isn't `Debug`.
pub(super) struct Secrets {
    /// Comes back with the browser (RFC 6749, section 10.12).
    pub(super) state: Zeroizing<String>,
    /// Comes back in the token (OpenID Connect Core 1.0, section 3.1.2.1).
    pub(super) nonce: Zeroizing<String>,
    /// Whoever has it can redeem the code (RFC 7636, section 4.1).
    pub(super) verifier: Zeroizing<String>,
}

impl Secrets {
    pub(super) fn new() -> Result<Self, LoginError> {
        Ok(Self {
            state: random()?,
            nonce: random()?,
            verifier: random()?,
        })
    }

    /// The challenge of the method S256 (RFC 7636, section 4.2).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.as_bytes()))
    }
}

fn random() -> Result<Zeroizing<String>, LoginError> {
    let mut bytes = Zeroizing::new([0; LENGTH]);
    rand::fill(&mut *bytes).map_err(|_| LoginError::Random)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let secrets = Secrets {
            verifier: Zeroizing::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into()),
            ..Secrets::new().unwrap()
        };
        let expected = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(secrets.challenge(), expected);
    }

    #[test]
    fn every_value_of_every_login_is_new_and_as_long_as_pkce_asks() {
        let (one, other) = (Secrets::new().unwrap(), Secrets::new().unwrap());
        let values = [one, other]
            .map(|s| [s.state, s.nonce, s.verifier])
            .concat();
        assert!(values.iter().all(|value| value.len() == 43));
        let different: HashSet<&str> = values.iter().map(|value| value.as_str()).collect();
        assert_eq!(different.len(), 6);
    }
}
