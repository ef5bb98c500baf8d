//! The policy that a command judges by: from a file or from flags.

use std::path::{Path, PathBuf};

use countersign_policy::{Policy, PolicySpec};

use crate::arguments::annotations::annotations;
use crate::arguments::policy::PolicyArguments;
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

/// The policy of `--policy`, or of the flags that carry its fields' names.
pub(crate) fn from_arguments(arguments: &PolicyArguments) -> Result<LoadedPolicy, Failure> {
    if let Some(path) = &arguments.policy {
        return from_file(path);
    }
    let issuer = arguments.issuer.is_some() || arguments.issuer_regex.is_some();
    let identity = arguments.identity.is_some() || arguments.identity_regex.is_some();
    if !(issuer && identity) {
        let missing = match (issuer, identity) {
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
        issuer: arguments.issuer.clone(),
        issuer_regex: arguments.issuer_regex.clone(),
        identity: arguments.identity.clone(),
        identity_regex: arguments.identity_regex.clone(),
        not_before: arguments.not_before.clone(),
        annotations: annotations(&arguments.annotations)?,
        ..PolicySpec::default()
    };
    Ok(LoadedPolicy {
        policy: Policy::try_from(spec)?,
        file: None,
    })
}
