//! Signers by a key: the key itself, and what contradicts it.

use super::values::{at, instant, non_empty};
use super::{KeyReader, KeySigner, LogUse};
use crate::claims::ClaimRule;
use crate::error::{KeyPath, PolicyError, Problem};
use crate::keys::{IDENTITY, ISSUER, KEY, TIME_CONDITIONS};
use crate::public_key::PublicKey;
use crate::spec::{PolicySpec, SignerSpec};

/// How the names begin by which cosign knows keys that are in no file.
const KEY_SERVICES: [&str; 7] = [
    "awskms://",
    "azurekms://",
    "env://",
    "gcpkms://",
    "gitlab://",
    "hashivault://",
    "k8s://",
];

/// Refuses what only a certificate has, beside a key.
pub(super) fn refuse_beside(
    spec: &SignerSpec,
    path: &KeyPath,
    common: &[ClaimRule],
) -> Result<(), PolicyError> {
    let beside = [
        (ISSUER.exact, spec.issuer.is_some()),
        (ISSUER.regex, spec.issuer_regex.is_some()),
        (IDENTITY.exact, spec.identity.is_some()),
        (IDENTITY.regex, spec.identity_regex.is_some()),
        ("claims", !spec.claims.is_empty()),
    ];
    if let Some((key, _)) = beside.into_iter().find(|(_, there)| *there) {
        return Err(at(path.key(key), Problem::BesideKey { key }));
    }
    match common {
        [] => Ok(()),
        _ => Err(at(path.key(KEY), Problem::BesideKey { key: "claims" })),
    }
}

/// The signer by the key in `text`, which is PEM or the path of a file.
pub(super) fn signer(
    text: &str,
    spec: &SignerSpec,
    path: &KeyPath,
    read: KeyReader<'_>,
) -> Result<KeySigner, PolicyError> {
    let key_path = path.key(KEY);
    non_empty(text, "a public key in PEM or the path of a file", &key_path)?;
    let key = if PublicKey::looks_like_pem(text) {
        PublicKey::from_pem(text).map_err(|reason| Problem::PublicKey { file: None, reason })
    } else {
        match read(text) {
            Ok(pem) => match PublicKey::from_pem(&pem) {
                Ok(key) => Ok(key.with_file(text)),
                Err(reason) => Err(Problem::PublicKey {
                    file: Some(text.to_owned()),
                    reason,
                }),
            },
            Err(_) if KEY_SERVICES.iter().any(|scheme| text.starts_with(scheme)) => {
                Err(Problem::Form {
                    expected: format!(
                        "a public key in PEM (`cosign public-key --key {text}` prints it), or the path of its file"
                    ),
                    found: Some("the name of a key elsewhere".to_owned()),
                })
            }
            Err(error) => Err(Problem::KeyFile {
                found: text.to_owned(),
                reason: error.to_string(),
            }),
        }
    };
    Ok(KeySigner {
        key: key.map_err(|problem| at(key_path, problem))?,
        log: if spec.ignore_tlog {
            LogUse::Ignored
        } else {
            LogUse::Demanded
        },
        not_before: instant(spec.not_before.as_deref(), path)?,
    })
}

/// Refuses conditions on the time of a signature where nothing proves it.
pub(super) fn check_time_conditions(spec: &PolicySpec, path: &KeyPath) -> Result<(), PolicyError> {
    let is_undated = |signer: &SignerSpec| signer.ignore_tlog && signer.key.is_some();
    let any = if spec.identities.is_empty() {
        spec.ignore_tlog && spec.key.is_some()
    } else {
        spec.identities.iter().any(is_undated)
    };
    if !any {
        return Ok(());
    }
    let no_time = |path: &KeyPath, key| Err(at(path.key(key), Problem::NoTime { key }));
    let found = TIME_CONDITIONS
        .into_iter()
        .zip(time_conditions(spec))
        .find(|(_, there)| *there);
    if let Some((key, _)) = found {
        return no_time(path, key);
    }
    let contradicts = |signer: &SignerSpec| is_undated(signer) && signer.not_before.is_some();
    match spec.identities.iter().position(contradicts) {
        Some(position) => no_time(&path.key("identities").index(position), "not_before"),
        None => Ok(()),
    }
}

/// Which of [`TIME_CONDITIONS`] are there. It names every key, so that a new one has to be sorted in.
fn time_conditions(spec: &PolicySpec) -> [bool; TIME_CONDITIONS.len()] {
    let PolicySpec {
        not_before,
        min_age,
        issuer: _,
        issuer_regex: _,
        identity: _,
        identity_regex: _,
        key: _,
        ignore_tlog: _,
        identities: _,
        claims: _,
        predicate_types: _,
        predicate: _,
        require: _,
        signature_formats: _,
        annotations: _,
        bind_name: _,
        trust: _,
        signature_sources: _,
        deny_digests: _,
    } = spec;
    [not_before.is_some(), min_age.is_some()]
}
