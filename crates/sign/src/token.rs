//! The OIDC token that says who signs.
//!
//! It is read here and not by a library: times with fractions, an audience among others and an
//! `email_verified` in quotes are what issuers write, and have to be read.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_oci::{ErrorKind, excerpt};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::clock::{self, Skew};

/// The audience that Fulcio expects.
const AUDIENCE: &str = "sigstore";

/// Time that a token must have left: a certificate has to be asked for with it.
const MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// An OIDC identity token, of the right form, for the right audience, and not expired when read.
///
/// Whether it is genuine is for Fulcio to say. Neither `Debug` nor any error shows it.
#[derive(Clone)]
pub struct IdentityToken {
    text: Zeroizing<String>,
    claims: Map<String, Value>,
    issuer: String,
    subject: String,
    issued: Option<Timestamp>,
    expires: Timestamp,
}

impl IdentityToken {
    /// Reads a JWT in compact form (RFC 7519); white space around it is dropped.
    ///
    /// # Errors
    /// [`TokenError`], when it isn't one, is for another audience, or has expired; and when it was
    /// issued later than this machine's clock shows, by more than can be waited for.
    pub fn from_jwt(text: &str) -> Result<Self, TokenError> {
        Self::from_jwt_at(text, Timestamp::now())
    }

    /// Reads a JWT that its issuer has made just now, to be told from an old one: where that has
    /// expired it is this machine's clock that is ahead.
    ///
    /// # Errors
    /// As [`Self::from_jwt`], with [`TokenError::Clock`] in the place of [`TokenError::Expired`].
    pub fn just_issued(text: &str) -> Result<Self, TokenError> {
        Self::just_issued_at(text, Timestamp::now())
    }

    fn just_issued_at(text: &str, now: Timestamp) -> Result<Self, TokenError> {
        let token = Self::read(text)?;
        match (token.check(now), token.issued) {
            (Err(TokenError::Expired { .. }), Some(issued)) => Err(TokenError::Clock(Skew {
                here: clock::second(now),
                there: issued,
            })),
            (checked, _) => checked.map(|()| token),
        }
    }

    fn from_jwt_at(text: &str, now: Timestamp) -> Result<Self, TokenError> {
        let token = Self::read(text)?;
        token.check(now)?;
        Ok(token)
    }

    fn read(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let claims = claims(text).ok_or(TokenError::NotJwt)?;
        let words = |name: &str| {
            let word = claims.get(name).and_then(Value::as_str);
            word.map(str::to_owned).ok_or(TokenError::NotJwt)
        };
        let expires = match claims.get("exp") {
            Some(time) => numeric_date(time)?,
            None => return Err(TokenError::NotJwt),
        };
        // Zero is what some issuers write for none.
        let issued = match claims.get("iat") {
            None | Some(Value::Null) => None,
            Some(time) => Some(numeric_date(time)?).filter(|time| *time != Timestamp::UNIX_EPOCH),
        };
        let (issuer, subject) = (words("iss")?, words("sub")?);
        check_audience(claims.get("aud"))?;
        Ok(Self {
            text: Zeroizing::new(text.to_owned()),
            issuer,
            subject,
            issued,
            expires,
            claims,
        })
    }

    /// Whether a certificate can still be asked for with this token at `now`.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), TokenError> {
        let Self {
            expires, issued, ..
        } = *self;
        // The token counts in whole seconds; more of the clock would only be noise.
        let here = clock::second(now);
        if let Some(there) = issued
            && let Err(skew) = (Skew { here: now, there }).bearable()
        {
            return Err(TokenError::Clock(Skew { here, ..skew }));
        }
        if expires.duration_since(now) <= MARGIN {
            return Err(TokenError::Expired {
                expired: expires,
                now: here,
            });
        }
        Ok(())
    }

    /// Who issued the token.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whom the token is about, in the issuer's words.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// The email address, if there is one.
    pub(crate) fn email(&self) -> Option<&str> {
        self.claim("email")
    }

    /// Whether the issuer says that the address is not the holder's.
    pub(crate) fn email_is_unverified(&self) -> bool {
        match self.claims.get("email_verified") {
            Some(Value::Bool(verified)) => !verified,
            // As AWS and others write it.
            Some(Value::String(verified)) => verified != "true",
            _ => false,
        }
    }

    /// What the holder of a key signs to prove that he holds it: the email address, else the
    /// subject (Fulcio's proof of possession).
    pub(crate) fn challenge(&self) -> &str {
        self.email().unwrap_or(&self.subject)
    }

    /// A claim that is a text, and not an empty one.
    pub(crate) fn claim(&self, name: &str) -> Option<&str> {
        let text = self.claims.get(name)?.as_str()?;
        (!text.is_empty()).then_some(text)
    }

    /// A text within a claim that is an object.
    pub(crate) fn claim_in(&self, name: &str, key: &str) -> Option<&str> {
        self.claims.get(name)?.get(key)?.as_str()
    }

    /// The names of all claims.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.claims.keys().map(String::as_str)
    }

    /// The token itself, for Fulcio.
    pub(crate) fn expose_secret(&self) -> &str {
        &self.text
    }
}

/// The claims of a JWT: the second of its three parts.
fn claims(text: &str) -> Option<Map<String, Value>> {
    let mut parts = text.split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let base64url = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    // Else a text around a token would only be noticed by Fulcio.
    if parts.next().is_some()
        || ![header, signature]
            .iter()
            .all(|part| part.chars().all(base64url))
    {
        return None;
    }
    let payload = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload).ok()?);
    serde_json::from_slice(&payload).ok()
}

/// A `NumericDate` (RFC 7519, section 2), which may have a fraction.
fn numeric_date(value: &Value) -> Result<Timestamp, TokenError> {
    let seconds = match (value.as_i64(), value.as_f64()) {
        (Some(seconds), _) => seconds,
        // What is out of range saturates, and is refused below.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a fraction of a second counts for nothing"
        )]
        (None, Some(seconds)) => seconds.floor() as i64,
        (None, None) => return Err(TokenError::NotJwt),
    };
    Timestamp::from_second(seconds).map_err(|_| TokenError::NotJwt)
}

/// One audience or a list of them.
fn check_audience(audience: Option<&Value>) -> Result<(), TokenError> {
    let audiences: Vec<&str> = match audience {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if audiences.contains(&AUDIENCE) {
        return Ok(());
    }
    Err(TokenError::Audience {
        found: if audiences.is_empty() {
            "none".into()
        } else {
            format!("`{}`", excerpt(&audiences.join("`, `")))
        },
    })
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
    /// The time at which the token was issued says that this machine's clock is wrong.
    #[error("this machine's clock differs from that of the identity token's issuer: {0}")]
    Clock(Skew),
}

impl TokenError {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotJwt => ErrorKind::Usage,
            // A login that has ended, or is for another service, would be refused by the signing service.
            Self::Audience { .. } | Self::Expired { .. } => ErrorKind::Rejected,
            Self::Clock(_) => ErrorKind::Machine,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn jwt(claims: &Value) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    /// A token with these claims beside those that there have to be.
    fn with(claims: &Value) -> String {
        let mut all = json!({
            "iss": "https://issuer.example", "sub": "me", "aud": "sigstore", "exp": 1000,
        });
        let object = all.as_object_mut().unwrap();
        object.extend(claims.as_object().unwrap().clone());
        jwt(&all)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn error(claims: &Value) -> TokenError {
        IdentityToken::from_jwt_at(&with(claims), at(900)).unwrap_err()
    }

    #[test]
    fn a_live_token_for_sigstore_is_taken() {
        let token = IdentityToken::from_jwt_at(&format!("{}\n", with(&json!({}))), at(900));
        let token = token.unwrap();
        assert_eq!(token.issuer(), "https://issuer.example");
        assert_eq!(token.challenge(), "me");
        assert_eq!(token.expose_secret(), with(&json!({})));
    }

    #[test]
    fn what_issuers_write_otherwise_is_read() {
        for claims in [
            json!({"aud": ["other", "sigstore"]}),
            json!({"exp": 1000.75, "iat": 899.5}),
            json!({"exp": 1e3, "iat": 0}),
            json!({"iat": null, "email": ""}),
            json!({"iat": 899, "nbf": 898.1, "email_verified": "false"}),
        ] {
            let token = IdentityToken::from_jwt_at(&with(&claims), at(900)).unwrap();
            assert_eq!((token.expires, token.challenge()), (at(1000), "me"));
        }
        let address = |verified: Value| {
            let claims = json!({"email": "a@b.c", "email_verified": verified});
            let token = IdentityToken::from_jwt_at(&with(&claims), at(900)).unwrap();
            assert_eq!(token.challenge(), "a@b.c");
            token.email_is_unverified()
        };
        assert!(!address(json!("true")));
        assert!(!address(json!(true)));
        assert!(address(json!("false")));
        assert!(address(json!(false)));
    }

    #[test]
    fn expiry_audience_and_form_each_refuse() {
        let expired = IdentityToken::from_jwt_at(&with(&json!({})), at(995)).unwrap_err();
        assert_eq!(
            expired,
            TokenError::Expired {
                expired: at(1000),
                now: at(995)
            }
        );
        for (audience, found) in [
            (json!("other"), "`other`"),
            (json!(["a", "b"]), "`a`, `b`"),
            (json!([]), "none"),
            (json!(null), "none"),
        ] {
            let found = found.to_owned();
            assert_eq!(
                error(&json!({"aud": audience})),
                TokenError::Audience { found }
            );
        }
        for claims in [
            json!({"exp": "1000"}),
            json!({"exp": null}),
            json!({"exp": 1e300}),
            json!({"iat": "899"}),
            json!({"sub": 7}),
        ] {
            assert_eq!(error(&claims), TokenError::NotJwt, "{claims}");
        }
        let good = with(&json!({}));
        for text in ["hunter2", "a.b.c", &format!("{good}.d"), &jwt(&json!([]))] {
            let error = IdentityToken::from_jwt_at(text, at(900)).unwrap_err();
            assert_eq!(error, TokenError::NotJwt, "{text}");
        }
    }

    #[test]
    fn a_token_from_the_future_tells_that_the_clock_is_behind() {
        let issued = |time: i64| json!({"iat": time});
        assert!(IdentityToken::from_jwt_at(&with(&issued(930)), at(900)).is_ok());
        assert_eq!(
            error(&issued(931)),
            TokenError::Clock(Skew {
                here: at(900),
                there: at(931)
            })
        );
        assert_eq!(
            error(&issued(931)).to_string(),
            "this machine's clock differs from that of the identity token's issuer: expected about \
             1970-01-01T00:15:31Z, found 1970-01-01T00:15:00Z (31s behind)"
        );
    }

    #[test]
    fn a_token_that_expires_as_it_is_issued_tells_that_the_clock_is_ahead() {
        let text = with(&json!({"iat": 700}));
        let skew = Skew {
            here: at(1300),
            there: at(700),
        };
        let error = IdentityToken::just_issued_at(&text, at(1300)).unwrap_err();
        assert_eq!(error, TokenError::Clock(skew));
        assert!(error.to_string().ends_with("(10m ahead)"), "{error}");
        assert!(IdentityToken::just_issued_at(&text, at(900)).is_ok());
        // Where nothing says when it was issued, it is just expired.
        let error = IdentityToken::just_issued_at(&with(&json!({})), at(1300)).unwrap_err();
        assert!(matches!(error, TokenError::Expired { .. }), "{error:?}");
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let text = with(&json!({}));
        let token = IdentityToken::from_jwt_at(&text, at(0)).unwrap();
        assert!(!format!("{token:?}").contains(&text[4..12]));
    }
}
