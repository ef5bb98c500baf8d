//! An OpenID Connect issuer, as far as Fulcio needs one: discovery, keys and tokens.
//!
//! Anybody gets any token: identities are whatever a test says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore_crypto::{SigningScheme, verify_signature};
use sigstore_types::{DerPublicKey, SignatureBytes};

use super::SigstoreError;
use super::ca::is_email;
use super::error::ErrorAnswer;
use super::keys::{EcdsaKey, from_fixed_width};
use super::login::{self, Logins};

/// The audience that Sigstore's clients ask tokens for.
const AUDIENCE: &str = "sigstore";
/// How long a token is good.
const LIFETIME: SignedDuration = SignedDuration::from_mins(10);
const KEY_ID: &str = "sandbox";

/// The issuer.
pub(super) struct OidcIssuer {
    url: String,
    key: EcdsaKey,
    bearer: String,
    logins: Logins,
}

/// What a good token says.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    nbf: i64,
    email: Option<String>,
}

impl Claims {
    /// What Fulcio certifies and what a client signs to prove that it holds its key: the email
    /// address where there is one, else the subject.
    pub(super) fn identity(&self) -> &str {
        self.email.as_deref().unwrap_or(&self.sub)
    }

    /// The issuer's URL.
    pub(super) fn issuer(&self) -> &str {
        &self.iss
    }
}

impl OidcIssuer {
    /// `url` is where the issuer is served, without a slash at its end.
    pub(super) fn generate(url: String) -> Result<Self, SigstoreError> {
        let key = EcdsaKey::generate()?;
        // As hard to guess as a key.
        let bearer = URL_SAFE_NO_PAD.encode(key.sign_fixed_width(b"bearer"));
        let logins = Logins::default();
        Ok(Self {
            url,
            key,
            bearer,
            logins,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What a job shows to be handed a token.
    pub(super) fn bearer(&self) -> &str {
        &self.bearer
    }

    /// Who logs in, and how.
    pub(super) fn logins(&self) -> &Logins {
        &self.logins
    }

    /// A token for `identity`, good for ten minutes from `at`, with `further` claims.
    pub(super) fn token(&self, identity: &str, at: Timestamp, further: &Value) -> String {
        let issued = at.as_second();
        let mut claims = json!({
            "iss": self.url,
            "sub": identity,
            "aud": AUDIENCE,
            "iat": issued,
            "nbf": issued,
            "exp": at.saturating_add(LIFETIME).map_or(issued, Timestamp::as_second),
        });
        if let (Some(claims), Some(further)) = (claims.as_object_mut(), further.as_object()) {
            claims.extend(further.clone());
        }
        if is_email(identity)
            && let Some(claims) = claims.as_object_mut()
        {
            claims.insert("email".into(), identity.into());
            claims.insert("email_verified".into(), true.into());
        }
        self.sign(&claims)
    }

    /// A JSON Web Token with these claims.
    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": KEY_ID});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.key.sign_fixed_width(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The claims of a token that this issuer signed for Sigstore and that is good at `now`.
    pub(super) fn check(&self, token: &str, now: Timestamp) -> Result<Claims, ErrorAnswer> {
        let refused = |why: &str| ErrorAnswer::bad_request(format!("identity token: {why}"));
        let (signed, signature) = token
            .rsplit_once('.')
            .ok_or_else(|| refused("expected three parts"))?;
        let (_, claims) = signed
            .split_once('.')
            .ok_or_else(|| refused("expected three parts"))?;
        let decode = |part: &str| {
            let decoded = URL_SAFE_NO_PAD.decode(part);
            decoded.map_err(|_| refused("expected base64url"))
        };
        let signature = from_fixed_width(&decode(signature)?)?;
        verify_signature(
            &DerPublicKey::from_bytes(self.key.spki()),
            signed.as_bytes(),
            &SignatureBytes::new(signature),
            SigningScheme::EcdsaP256Sha256,
        )
        .map_err(|_| refused("not signed by this issuer"))?;

        let claims: Claims = serde_json::from_slice(&decode(claims)?)
            .map_err(|error| refused(&format!("claims: {error}")))?;
        if claims.iss != self.url {
            return Err(refused(&format!("unknown issuer {}", claims.iss)));
        }
        if claims.aud != AUDIENCE {
            return Err(refused(&format!("audience is {}", claims.aud)));
        }
        if claims.exp <= now.as_second() {
            return Err(refused("expired"));
        }
        if claims.nbf > now.as_second() {
            return Err(refused("not valid yet"));
        }
        Ok(claims)
    }

    /// The discovery document (OpenID Connect Discovery 1.0, section 4).
    pub(super) fn discovery(&self) -> Value {
        let mut document = login::metadata(&self.url);
        let keys = json!({
            "issuer": self.url,
            "jwks_uri": format!("{}/keys", self.url),
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        if let (Some(document), Value::Object(keys)) = (document.as_object_mut(), keys) {
            document.extend(keys);
        }
        document
    }

    /// The key set (RFC 7517).
    pub(super) fn keys(&self) -> Value {
        let (x, y) = self.key.coordinates();
        json!({"keys": [{
            "kty": "EC",
            "crv": "P-256",
            "use": "sig",
            "alg": "ES256",
            "kid": KEY_ID,
            "x": URL_SAFE_NO_PAD.encode(x),
            "y": URL_SAFE_NO_PAD.encode(y),
        }]})
    }
}
