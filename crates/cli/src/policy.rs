//! The policy that a command judges by: from a file or from flags.
//!
//! There is no policy by default: with neither a file nor flags it is an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use countersign_policy::{Policy, PolicySpec};

use crate::arguments::annotations::annotations as annotation_map;
use crate::arguments::policy::{PolicyArguments, PolicyFields};
use crate::failure::{Failure, Kind};
use crate::input::read_text;

/// A policy, and where it was read.
pub(crate) struct LoadedPolicy {
    pub(crate) policy: Policy,
    /// The file it is from; flags come from none.
    pub(crate) file: Option<PathBuf>,
}

/// The policy of a file.
pub(crate) fn from_file(path: &Path) -> Result<LoadedPolicy, Failure> {
    let text = read_text(path, "policy")?;
    Ok(LoadedPolicy {
        policy: Policy::from_yaml(&text, &path.display().to_string())?,
        file: Some(path.to_owned()),
    })
}

/// As [`from_arguments`], or nothing if no flag is of a policy.
pub(crate) fn if_given(arguments: &PolicyArguments) -> Result<Option<LoadedPolicy>, Failure> {
    let PolicyArguments { policy, fields } = arguments;
    match policy.is_none() && *fields == PolicyFields::default() {
        true => Ok(None),
        false => from_arguments(arguments).map(Some),
    }
}

/// The policy of `--policy`, or of the flags that carry its fields' names.
pub(crate) fn from_arguments(arguments: &PolicyArguments) -> Result<LoadedPolicy, Failure> {
    if let Some(path) = &arguments.policy {
        return from_file(path);
    }
    // A flag that is left out here does not compile, and neither does a field of the policy below.
    let PolicyFields {
        issuer,
        issuer_regex,
        identity,
        identity_regex,
        not_before,
        annotations,
    } = &arguments.fields;
    let has_issuer = issuer.is_some() || issuer_regex.is_some();
    let has_identity = identity.is_some() || identity_regex.is_some();
    if !(has_issuer && has_identity) {
        let missing = match (has_issuer, has_identity) {
            (true, false) => "the identity is missing",
            (false, true) => "the issuer is missing",
            _ => "there is no policy file, and no issuer and identity",
        };
        return Err(Failure::new(
            Kind::Usage,
            format!("the policy is incomplete: {missing}"),
        )
        .hint(
            "pass --policy FILE, or --issuer URL (or --issuer-regex) and --identity IDENTITY (or --identity-regex)",
        ));
    }
    let spec = PolicySpec {
        issuer: issuer.clone(),
        issuer_regex: issuer_regex.clone(),
        identity: identity.clone(),
        identity_regex: identity_regex.clone(),
        not_before: not_before.clone(),
        annotations: annotation_map(annotations)?,
        // Only a policy file has these.
        identities: Vec::new(),
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
