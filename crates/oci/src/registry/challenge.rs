//! Challenges: the `WWW-Authenticate` header in which a registry asks for a login.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use url::Url;

use super::www_authenticate;
use crate::excerpt::excerpt;

/// The kind of login that a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token from a token service (distribution project, "Token Authentication Specification").
    Bearer {
        realm: Url,
        service: Option<String>,
        /// What the token must allow, according to the registry. May be empty.
        scope: Option<String>,
    },
    /// User and password in every request (RFC 7617).
    Basic,
}

impl Challenge {
    /// The challenge in an answer's headers: the first bearer challenge, or else a basic one. `Err`
    /// says what the headers have instead.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, String> {
        let mut other = "no WWW-Authenticate header".to_owned();
        let mut basic = false;
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let challenges = value.to_str().ok().and_then(www_authenticate::challenges);
            let Some(challenges) = challenges else {
                other = "a WWW-Authenticate header that can't be read".into();
                continue;
            };
            for challenge in challenges {
                if challenge.scheme.eq_ignore_ascii_case("bearer") {
                    let realm = challenge.parameter("realm");
                    let Some(realm) = realm.and_then(|realm| Url::parse(realm).ok()) else {
                        other = "a bearer challenge whose realm is not a URL".into();
                        continue;
                    };
                    let filled = |name| challenge.parameter(name).filter(|text| !text.is_empty());
                    return Ok(Self::Bearer {
                        realm,
                        service: challenge.parameter("service").map(str::to_owned),
                        scope: filled("scope").map(str::to_owned),
                    });
                }
                if challenge.scheme.eq_ignore_ascii_case("basic") {
                    basic = true;
                } else {
                    other = format!("a challenge of the scheme `{}`", excerpt(challenge.scheme));
                }
            }
        }
        if basic { Ok(Self::Basic) } else { Err(other) }
    }
}

/// Reads a header of any bytes.
#[cfg(fuzzing)]
pub fn read_challenge(value: &[u8]) {
    let Ok(value) = reqwest::header::HeaderValue::from_bytes(value) else {
        return;
    };
    let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]);
    let _ = Challenge::from_headers(&headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&str]) -> Result<Challenge, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::from_headers(&headers)
    }

    #[test]
    fn bearer_is_preferred_to_basic() {
        let bearer =
            r#"Bearer realm="https://auth.example/token",service="r",scope="repository:a:pull""#;
        let expected = Challenge::Bearer {
            realm: Url::parse("https://auth.example/token").unwrap(),
            service: Some("r".into()),
            scope: Some("repository:a:pull".into()),
        };
        assert_eq!(challenge(&[bearer]), Ok(expected.clone()));
        assert_eq!(challenge(&[r#"Basic realm="x""#, bearer]), Ok(expected));
        assert_eq!(challenge(&[r#"basic realm="x""#]), Ok(Challenge::Basic));
    }

    #[test]
    fn a_bearer_challenge_is_found_in_any_company() {
        let realm = "realm=\"https://auth.example/token\"";
        for value in [
            format!("Bearer {realm}"),
            format!("BEARER  {realm}"),
            format!("bearer\t{}", realm.replace("realm", "REALM")),
            "Bearer realm=https://auth.example/token".to_owned(),
            format!("Negotiate, Bearer {realm}"),
            format!("Negotiate YII=, Bearer {realm}"),
            format!("Basic realm=registry, Bearer {realm}"),
            format!("Digest qop=\"auth, auth-int\" , , Bearer {realm}"),
            format!("Bearer {realm}, Basic realm=\"x\""),
        ] {
            let expected = Challenge::Bearer {
                realm: Url::parse("https://auth.example/token").unwrap(),
                service: None,
                scope: None,
            };
            assert_eq!(challenge(&[&value]), Ok(expected), "{value}");
        }
        assert_eq!(challenge(&["BASIC realm=x"]), Ok(Challenge::Basic));
        assert_eq!(challenge(&["Basic"]), Ok(Challenge::Basic));
    }

    #[test]
    fn what_is_no_challenge_is_named() {
        assert_eq!(challenge(&[]), Err("no WWW-Authenticate header".into()));
        assert_eq!(
            challenge(&["Bearer realm=\"/token\""]),
            Err("a bearer challenge whose realm is not a URL".into())
        );
        assert_eq!(
            challenge(&["Negotiate"]),
            Err("a challenge of the scheme `Negotiate`".into())
        );
        assert_eq!(
            challenge(&["Bearer realm=\"https://auth.example/token"]),
            Err("a WWW-Authenticate header that can't be read".into())
        );
    }
}
