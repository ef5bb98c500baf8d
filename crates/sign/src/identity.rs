//! The OIDC token that says who signs.

use std::fmt;

use countersign_oci::excerpt;
use jiff::{SignedDuration, Timestamp};

/// The audience that Fulcio expects.
pub(crate) const AUDIENCE: &str = "sigstore";

/// Time that a token must have left: a certificate has to be asked for with it.
const MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// An OIDC identity token, of the right form, for the right audience, and not expired when read.
///
/// Whether it is genuine is for Fulcio to say. Neither `Debug` nor any error shows it.
#[derive(Clone)]
pub struct IdentityToken(sigstore_oidc::IdentityToken);

impl IdentityToken {
    /// Reads a JWT in compact form (RFC 7519); white space around it is dropped.
    ///
    /// # Errors
    /// [`TokenError`], when it isn't one, is for another audience, or has expired.
    pub fn from_jwt(text: &str) -> Result<Self, TokenError> {
        Self::from_jwt_at(text, Timestamp::now())
    }

    fn from_jwt_at(text: &str, now: Timestamp) -> Result<Self, TokenError> {
        // The library's error would quote the claims; its source says enough in a word.
        let token =
            sigstore_oidc::IdentityToken::from_jwt(text.trim()).map_err(|_| TokenError::NotJwt)?;
        let claims = token.claims();
        if !claims.aud.contains(AUDIENCE) {
            return Err(TokenError::Audience {
                found: match &claims.aud {
                    sigstore_oidc::Audience::Single(one) => format!("`{}`", excerpt(one)),
                    sigstore_oidc::Audience::Multiple(several) => {
                        format!("`{}`", excerpt(&several.join("`, `")))
                    }
                    _ => "none".into(),
                },
            });
        }
        let token = Self(token);
        token.check_expiry(now)?;
        Ok(token)
    }

    /// Whether a certificate can still be asked for with this token at `now`.
    pub(crate) fn check_expiry(&self, now: Timestamp) -> Result<(), TokenError> {
        let expired = self.0.expiration();
        if expired.duration_since(now) <= MARGIN {
            // The token counts in whole seconds; more of the clock would only be noise.
            let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
            return Err(TokenError::Expired { expired, now });
        }
        Ok(())
    }

    /// Who issued the token.
    pub fn issuer(&self) -> &str {
        self.0.issuer()
    }

    /// The token, for Fulcio.
    pub(crate) fn inner(&self) -> &sigstore_oidc::IdentityToken {
        &self.0
    }
}

impl fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityToken")
            .field("issuer", &self.issuer())
            .finish_non_exhaustive()
    }
}

/// Why a text can't be used as an identity token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not a JWT with the claims of an OIDC ID token.
    #[error(
        "the identity token is not an OIDC token: expected a JWT (three parts separated by dots) with iss, sub, aud and exp"
    )]
    NotJwt,
    /// Made for somebody else.
    #[error("the identity token is for the wrong audience: expected `sigstore`, found {found}")]
    Audience {
        /// The token's audience.
        found: String,
    },
    /// Expired, or about to.
    #[error("the identity token has expired: it was valid until {expired}, and it is {now}")]
    Expired {
        /// End of validity.
        expired: Timestamp,
        /// The time it was checked at.
        now: Timestamp,
    },
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn jwt(audience: &str, expires: i64) -> String {
        let claims = serde_json::json!({
            "iss": "https://issuer.example", "sub": "me", "aud": audience, "exp": expires,
        });
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_live_token_for_sigstore_is_taken() {
        let token = IdentityToken::from_jwt_at(&format!("{}\n", jwt("sigstore", 1000)), at(900));
        assert_eq!(token.unwrap().issuer(), "https://issuer.example");
    }

    #[test]
    fn expiry_audience_and_form_each_refuse() {
        let error = |text: &str| IdentityToken::from_jwt_at(text, at(995)).unwrap_err();
        assert_eq!(
            error(&jwt("sigstore", 1000)),
            TokenError::Expired {
                expired: at(1000),
                now: at(995)
            }
        );
        assert_eq!(
            error(&jwt("other", 2000)),
            TokenError::Audience {
                found: "`other`".into()
            }
        );
        assert_eq!(error("hunter2"), TokenError::NotJwt);
        assert_eq!(error("a.b.c"), TokenError::NotJwt);
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let text = jwt("sigstore", 1000);
        let token = IdentityToken::from_jwt_at(&text, at(0)).unwrap();
        assert!(!format!("{token:?}").contains(&text[4..12]));
    }
}
