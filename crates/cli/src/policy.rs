//! The policy that a command judges by: from a file or from flags.
//!
//! A policy that a file of configuration names is the default of commands that need one. There is no other: with neither a
//! file nor flags it is an error.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use countersign_policy::{ImageVerifierConfig, Policy, PolicyFile, PolicySpec, PublicKey};

use crate::arguments::annotations::annotations as annotation_map;
use crate::arguments::policy::{PolicyArguments, PolicyFields};
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::input::{read_text, text_of};
use crate::printable;

/// Bytes of one key's file.
const KEY_BYTES: u64 = 64 << 10;

/// A policy, and where it was read.
pub(crate) struct LoadedPolicy {
    pub(crate) policy: Policy,
    /// The file it is from; flags come from none.
    pub(crate) file: Option<PathBuf>,
}

/// The policy of a file.
pub(crate) fn from_file(path: &Path) -> Result<LoadedPolicy, Failure> {
    Ok(LoadedPolicy {
        policy: parse_file(path, "policy")?.policy()?.clone(),
        file: Some(path.to_owned()),
    })
}

/// The policy of the flags, or that of a file of configuration, or nothing if neither names one.
pub(crate) fn if_given(
    arguments: &PolicyArguments,
    environment: &Environment,
) -> Result<Option<LoadedPolicy>, Failure> {
    if arguments.is_given() || environment.settings().policy.is_some() {
        from_arguments(arguments, environment).map(Some)
    } else {
        Ok(None)
    }
}

/// A policy file or a gallery file, whole. `what` says in errors which one it is. Paths of keys are relative to it.
pub(crate) fn parse_file(path: &Path, what: &str) -> Result<PolicyFile, Failure> {
    parse_text(&read_text(path, what)?, path)
}

/// The text of a file of galleries, and the keys that it names by their paths.
pub(crate) fn text_with_keys(
    path: &Path,
    what: &str,
) -> Result<(String, BTreeMap<String, String>), Failure> {
    let text = read_text(path, what)?;
    let ((), keys) = keeping_keys(path, |name, read| {
        PolicyFile::parse_with_keys(&text, name, read).map_err(|first| {
            let all = PolicyFile::mistakes(&text, name, read);
            Failure::of_file(&text, first, all)
        })?;
        Ok(())
    })?;
    Ok((text, keys))
}

/// What `parse` makes of the file `path`, and the keys that it read, by the paths that the file names.
fn keeping_keys<T>(
    path: &Path,
    parse: impl FnOnce(&str, &dyn Fn(&str) -> io::Result<String>) -> Result<T, Failure>,
) -> Result<(T, BTreeMap<String, String>), Failure> {
    let keys = RefCell::new(BTreeMap::new());
    let read = key_beside(path);
    let keep = |key: &str| {
        let text = read(key)?;
        keys.borrow_mut().insert(key.to_owned(), text.clone());
        Ok(text)
    };
    let parsed = parse(&path.display().to_string(), &keep)?;
    Ok((parsed, keys.into_inner()))
}

/// As [`parse_file`], for the text of the file.
pub(crate) fn parse_text(text: &str, path: &Path) -> Result<PolicyFile, Failure> {
    let name = path.display().to_string();
    let read = key_beside(path);
    PolicyFile::parse_with_keys(text, &name, &read).map_err(|first| {
        another_file(text, path).unwrap_or_else(|| {
            let all = PolicyFile::mistakes(text, &name, &read);
            Failure::of_file(text, first, all)
        })
    })
}

/// What is said of a file of another kind, where a policy is expected. All its keys would be mistakes.
fn another_file(text: &str, path: &Path) -> Option<Failure> {
    let serde_json::Value::Object(file) = serde_saphyr::from_str(text).ok()? else {
        return None;
    };
    let media_type = file.get("mediaType").and_then(serde_json::Value::as_str);
    let kind = media_type.and_then(|it| it.strip_prefix("application/vnd.dev.sigstore."));
    let is = |name: &str| kind.is_some_and(|kind| kind.starts_with(name));
    let (found, hint) = if is("trustedroot") {
        (
            "a trusted root",
            "pass it with --trusted-root, or name it in a policy: `trust: {trusted_root: FILE}`",
        )
    } else if is("signingconfig") {
        (
            "a signing config",
            "pass it to `sign` with --signing-config",
        )
    } else if is("bundle") {
        ("a bundle", "pass it to `verify` with --bundle")
    } else if file.contains_key("cases") {
        (
            "a file of cases",
            "test a policy with it: `countersign policy test POLICY --case FILE`",
        )
    } else {
        return None;
    };
    let path = printable::path(path);
    let message = format!("expected a policy in {path}, found {found}");
    Some(Failure::new(Kind::Usage, message).hint(hint))
}

/// The configuration of an image verifier. Paths of keys are relative to its file.
pub(crate) fn parse_image_verifier(
    text: &str,
    path: &Path,
) -> Result<ImageVerifierConfig, Failure> {
    Ok(image_verifier_with_keys(text, path)?.0)
}

/// As [`parse_image_verifier`], with the keys that it names by their paths.
pub(crate) fn image_verifier_with_keys(
    text: &str,
    path: &Path,
) -> Result<(ImageVerifierConfig, BTreeMap<String, String>), Failure> {
    keeping_keys(path, |name, read| {
        ImageVerifierConfig::parse_with_keys(text, name, read).map_err(|first| {
            let all = ImageVerifierConfig::mistakes(text, name, read);
            Failure::of_file(text, first, all)
        })
    })
}

/// Reads files of keys, whose paths are relative to the file `path`.
fn key_beside(path: &Path) -> impl Fn(&str) -> io::Result<String> {
    let directory = path.parent().unwrap_or(Path::new(""));
    move |key| read_key(&directory.join(key))
}

/// The text of a key's file. Keys have at most two thousand bytes.
fn read_key(path: &Path) -> io::Result<String> {
    text_of(File::open(path), KEY_BYTES)
}

/// The key of `--key`, as a policy has it.
fn key_of_flag(path: &Path) -> Result<String, Failure> {
    let text = read_key(path).map_err(|error| match address(&path.to_string_lossy()) {
        None => Failure::unreadable(path, "key", error),
        Some(scheme) => {
            let message = format!("expected a file with a public key, found an address ({scheme})");
            Failure::new(Kind::Usage, message).hint(format!(
                "write the key to a file: `cosign public-key --key {} > cosign.pub`",
                path.display()
            ))
        }
    })?;
    match PublicKey::from_pem(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::new(
            Kind::Usage,
            format!("the key {} can't be used: {error}", path.display()),
        )
        .hint("pass the public key, for example the `cosign.pub` of `cosign generate-key-pair`")),
    }
}

/// How an address begins that names a key for cosign.
fn address(text: &str) -> Option<&str> {
    match text.split_once("://") {
        Some((scheme, _)) => text.get(..scheme.len() + "://".len()),
        None => text.starts_with("pkcs11:").then_some("pkcs11:"),
    }
}

/// The policy of the flags, or else the one that a file of configuration names.
pub(crate) fn from_arguments(
    arguments: &PolicyArguments,
    environment: &Environment,
) -> Result<LoadedPolicy, Failure> {
    match &environment.settings().policy {
        Some(setting) if !arguments.is_given() => {
            let loaded = from_file(&setting.value);
            loaded.map_err(|failure| failure.hint(setting.origin()))
        }
        _ => from_flags(arguments),
    }
}

/// The policy of `--policy`, or of the flags that carry its fields' names.
fn from_flags(arguments: &PolicyArguments) -> Result<LoadedPolicy, Failure> {
    if let Some(path) = &arguments.policy {
        return from_file(path);
    }
    // A flag that is left out here does not compile, and neither does a field of the policy below.
    let PolicyFields {
        issuer,
        issuer_regex,
        identity,
        identity_regex,
        key,
        not_before,
        annotations,
    } = &arguments.fields;
    let has_issuer = issuer.is_some() || issuer_regex.is_some();
    let has_identity = identity.is_some() || identity_regex.is_some();
    if key.is_none() && !(has_issuer && has_identity) {
        let missing = match (has_issuer, has_identity) {
            (true, false) => "the identity is missing",
            (false, true) => "the issuer is missing",
            _ => "there is no policy file, no issuer and identity, and no key",
        };
        return Err(Failure::new(
            Kind::Usage,
            format!("the policy is incomplete: {missing}"),
        )
        .hint(
            "pass --policy FILE, or --issuer URL (or --issuer-regex) and --identity IDENTITY (or --identity-regex), or --key FILE, or set `policy` in your countersign.toml",
        ));
    }
    let spec = PolicySpec {
        issuer: issuer.clone(),
        issuer_regex: issuer_regex.clone(),
        identity: identity.clone(),
        identity_regex: identity_regex.clone(),
        key: key.as_deref().map(key_of_flag).transpose()?,
        not_before: not_before.clone(),
        annotations: annotation_map(annotations)?,
        // Only a policy file has these.
        identities: Vec::new(),
        ignore_tlog: false,
        min_age: None,
        claims: BTreeMap::new(),
        predicate_types: Vec::new(),
        predicate: BTreeMap::new(),
        require: Vec::new(),
        signature_formats: Vec::new(),
        bind_name: false,
        trust: None,
        signature_sources: Vec::new(),
        deny_digests: Vec::new(),
    };
    Ok(LoadedPolicy {
        policy: Policy::try_from(spec)?,
        file: None,
    })
}
