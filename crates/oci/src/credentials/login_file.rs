//! Reads logins from the configuration files of docker and podman (containers-auth.json(5)). Errors
//! never show a secret.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::login::{Secret, secret_if_any};
use crate::reference::normal_host;

/// A configuration file.
pub(super) struct LoginFile {
    name: String,
    config: Config,
}

impl LoginFile {
    /// Reads the text of a file. Errors call the file `name`.
    pub(super) fn parse(name: &str, json: &str) -> Result<Self, LoginFileError> {
        // Some editors begin a file with a byte order mark, and an empty file has no logins.
        let text = json.strip_prefix('\u{feff}').unwrap_or(json);
        let text = if text.trim().is_empty() { "{}" } else { text };
        // Only line and column of serde's error are kept, because its message may quote a secret.
        let config = serde_json::from_str(text).map_err(|error| LoginFileError::Json {
            line: error.line(),
            column: error.column(),
        })?;
        Ok(Self {
            name: name.into(),
            config,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The helper of the first entry for `keys` with a helper, and the server to ask it for.
    pub(super) fn helper(&self, keys: &[String]) -> Option<(&str, &str)> {
        let mut helpers = entries(&self.config.cred_helpers, keys);
        helpers
            .find_map(|(helper, server)| (!helper.is_empty()).then_some((helper.as_str(), server)))
    }

    /// The secret of the first entry for `keys` with a secret. Docker Hub has several names, so an
    /// empty entry for one of them doesn't hide the login under another.
    pub(super) fn secret(&self, keys: &[String]) -> Result<Option<Secret>, LoginFileError> {
        let mut entries = entries(&self.config.auths, keys);
        entries
            .find_map(|(auth, _)| auth.secret().transpose())
            .transpose()
    }

    /// The registry as the file spells it, `registry` itself first. A helper knows the login by this name.
    pub(super) fn spelled(&self, registry: &str) -> Option<&str> {
        let keys = || self.config.auths.iter().flat_map(BTreeMap::keys);
        let mut exact = keys().filter(|key| *key == registry);
        let mut same = keys().filter(|key| normal_key(key) == registry);
        exact.next().or_else(|| same.next()).map(String::as_str)
    }

    /// The helper for all registries.
    pub(super) fn store(&self) -> Option<&str> {
        let helper = self.config.creds_store.as_deref();
        helper.filter(|helper| !helper.is_empty())
    }
}

/// The parts of docker's `config.json` and podman's `auth.json` that hold logins
/// (containers-auth.json(5)).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    auths: Entries<AuthEntry>,
    cred_helpers: Entries<String>,
    creds_store: Option<String>,
}

/// By registry, or by a part of one. Go writes empty maps as `null`.
type Entries<T> = Option<BTreeMap<String, Option<T>>>;

#[derive(Deserialize, Default)]
#[serde(default)]
struct AuthEntry {
    #[serde(deserialize_with = "secret_if_any")]
    auth: Option<Zeroizing<String>>,
    username: Option<String>,
    #[serde(deserialize_with = "secret_if_any")]
    password: Option<Zeroizing<String>>,
    #[serde(deserialize_with = "secret_if_any")]
    identitytoken: Option<Zeroizing<String>>,
    #[serde(deserialize_with = "secret_if_any")]
    registrytoken: Option<Zeroizing<String>>,
}

impl AuthEntry {
    /// The secret of the entry. With a `credsStore`, docker writes empty entries.
    fn secret(&self) -> Result<Option<Secret>, LoginFileError> {
        let filled = |field: &Option<Zeroizing<String>>| {
            field.as_ref().filter(|text| !text.is_empty()).cloned()
        };
        if let Some(token) = filled(&self.identitytoken) {
            return Ok(Some(Secret::Identity(token)));
        }
        if let Some(token) = filled(&self.registrytoken) {
            return Ok(Some(Secret::Registry(token)));
        }
        if let Some(encoded) = filled(&self.auth) {
            return decode(&encoded).map(Some);
        }
        let user = self.username.clone().filter(|user| !user.is_empty());
        match (user, filled(&self.password)) {
            (Some(user), Some(password)) => Ok(Some(Secret::Password { user, password })),
            _ => Ok(None),
        }
    }
}

/// `auth` is the base64 of `user:password`.
fn decode(encoded: &str) -> Result<Secret, LoginFileError> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let base64 = GeneralPurpose::new(&base64::alphabet::STANDARD, lenient);
    let bytes = base64
        .decode(encoded.trim())
        .map_err(|_| LoginFileError::Auth)?;
    let bytes = Zeroizing::new(bytes);
    let text = std::str::from_utf8(&bytes).map_err(|_| LoginFileError::Auth)?;
    // Docker adds NUL characters at the end.
    let (user, password) = text
        .trim_end_matches('\0')
        .split_once(':')
        .ok_or(LoginFileError::Auth)?;
    Ok(Secret::Password {
        user: user.into(),
        password: Zeroizing::new(password.into()),
    })
}

#[derive(Debug, thiserror::Error)]
pub(super) enum LoginFileError {
    #[error(
        "expected the JSON of a docker or podman configuration, found something else at line {line}, column {column}"
    )]
    Json { line: usize, column: usize },
    #[error("expected `auth` to be the base64 of `user:password`, found something else")]
    Auth,
}

/// The entries for `keys`, in the order of `keys`, each with its own key. What is written as the key comes before its
/// other spellings.
fn entries<'a, T>(
    entries: &'a Entries<T>,
    keys: &[String],
) -> impl Iterator<Item = (&'a T, &'a str)> {
    keys.iter().flat_map(move |wanted| {
        let filled = || {
            let entries = entries.iter().flatten();
            entries.filter_map(|(key, value)| Some((value.as_ref()?, key.as_str())))
        };
        let exact = filled().filter(move |(_, key)| key == wanted);
        let others = filled().filter(move |(_, key)| key != wanted && normal_key(key) == *wanted);
        exact.chain(others)
    })
}

/// A key of docker or podman, without scheme and without `/v1/`. Its host has the form of [`Repository`]'s.
///
/// [`Repository`]: crate::Repository
pub(super) fn normal_key(key: &str) -> String {
    let bare = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    // A key with a scheme names a server, and its path doesn't count. A key without one may name a
    // part of a registry.
    let name = match bare {
        Some(server) => server.split('/').next().unwrap_or_default(),
        None => key.trim_end_matches('/'),
    };
    let (host, path) = name.split_once('/').unwrap_or((name, ""));
    let host = normal_host(host);
    match path {
        "" | "v1" | "v2" => host,
        path => format!("{host}/{path}"),
    }
}
