//! The cases of `countersign policy test`: saved signatures, and the verdicts that are expected.

use std::fmt;
use std::path::{Path, PathBuf};

use countersign_oci::{Digest, Reference, ResolvedImage, excerpt};
use countersign_policy::Policy;
use countersign_verify::{
    Error as VerifyError, FoundSignature, RefusalKind, TrustedRoot, judge_digest, judge_found,
    short_digest,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::commands::verify::bundle;
use crate::failure::{Failure, Kind};
use crate::input::{read_bytes, read_text};
use crate::printable;

/// Stands for the name of an image that no condition asks for.
const NAMELESS: &str = "registry.invalid/image";

/// Bytes of one manifest or bundle. Real ones are a hundred times smaller.
const FILE_MAX: u64 = 4 << 20;

/// The name of the file of cases in a directory.
pub(in crate::commands) const FILE: &str = "cases.yaml";

/// The file of cases.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cases {
    /// The trusted root to judge by, where no flag names one. It stands in the place of any that the policy or a rule
    /// names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trusted_root: Option<PathBuf>,
    pub(super) cases: Vec<Case>,
}

/// A saved signature, and the verdict that the policy must come to. Paths are relative to the file
/// of cases.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// The image's manifest or index, byte for byte as the registry has it; or `digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) manifest: Option<PathBuf>,
    /// The digest of the image's manifest or index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<Digest>,
    /// The Sigstore bundle. Without it the image has no signature, which only an image verifier judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bundle: Option<PathBuf>,
    /// All Sigstore bundles of the image, in place of `bundle`. There may be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bundles: Option<Vec<PathBuf>>,
    /// What the registry lists as signatures of the image, and are no bundles. They are judged like `bundles`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) not_bundles: Vec<PathBuf>,
    /// All signatures of the image in cosign's legacy form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) simple_signing: Vec<LegacySignature>,
    /// The name that the image is asked for by. A policy with `bind_name` needs it, and so does an image verifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<Reference>,
    /// The time that the signature is judged at (RFC 3339). Without it, the present time.
    #[serde(
        default,
        deserialize_with = "time",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) at: Option<Timestamp>,
    pub(super) expect: Expectation,
}

/// Reads `at`. What is wrong with it is told with its key.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let time = text.parse().map_err(|_| {
        let found = excerpt(&text);
        D::Error::custom(format_args!(
            "at: expected an RFC 3339 time such as 2026-01-31T12:00:00Z, found `{found}`"
        ))
    });
    time.map(Some)
}

/// A signature in cosign's legacy form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LegacySignature {
    /// The descriptor of its layer, JSON.
    pub(super) descriptor: PathBuf,
    /// The content of that layer.
    pub(super) payload: PathBuf,
}

/// A verdict.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Verdict")]
pub(in crate::commands) enum Expectation {
    /// The policy accepts it.
    Accepted,
    /// Refused, for whatever reason.
    #[default]
    Refused,
    /// Refused because there is no signature that can be used.
    RefusedUnsigned,
    /// Refused because signature, certificate, log entry or digest do not hold.
    RefusedInvalid,
    /// Genuine, and refused by the policy.
    RefusedPolicy,
}

impl Expectation {
    /// As it is written in the file.
    pub(in crate::commands) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::RefusedUnsigned => "refused_unsigned",
            Self::RefusedInvalid => "refused_invalid",
            Self::RefusedPolicy => "refused_policy",
        }
    }
}

impl Cases {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let unusable = |detail: String| {
            let message = format!("the cases {} can't be used: {detail}", path.display());
            Failure::new(Kind::Usage, message)
                .hint("`countersign policy test --help` shows a file of cases")
        };
        let text = read_text(path, "file of cases")?;
        let cases: Self = serde_saphyr::from_str(&text).map_err(|error| {
            let first = error.without_snippet().to_string();
            unusable(mistakes(&text, first))
        })?;
        if cases.cases.is_empty() {
            // A test of nothing must not look like one that passed.
            return Err(unusable("it has no cases".to_owned()));
        }
        Ok(cases)
    }
}

impl Case {
    /// What the policy says of the case. The error is of the files, not of the verdict.
    pub(super) fn judge(
        &self,
        directory: &Path,
        trusted_root: &TrustedRoot,
        policy: &Policy,
    ) -> Result<Verdict, Failure> {
        let asked = self.asked(policy)?;
        let digest = self.digest(directory, &asked)?;
        match self.signatures(directory)? {
            Some(found) => self.judged(&asked, &digest, &found, trusted_root, policy),
            None => Err(self.unusable("expected `bundle` or `bundles`, found neither")),
        }
    }

    /// The signatures; `None` if the case names none.
    pub(super) fn signatures(&self, directory: &Path) -> Result<Option<Signatures>, Failure> {
        let bundle = |path: &PathBuf| self.read_bundle(directory, path);
        let is_alone = self.simple_signing.is_empty() && self.not_bundles.is_empty();
        match (&self.bundle, &self.bundles) {
            (Some(_), Some(_)) => {
                return Err(self.unusable("expected `bundle` or `bundles`, found both"));
            }
            (Some(_), None) if !is_alone => {
                let message = "expected `bundles` beside `simple_signing` or `not_bundles`";
                return Err(self.unusable(message));
            }
            (Some(one), None) => return Ok(Some(Signatures::One(bundle(one)?))),
            (None, None) if is_alone => return Ok(None),
            (None, _) => {}
        }
        let mut found = Vec::new();
        for path in self.bundles.iter().flatten() {
            found.push(FoundSignature::bundle(bundle(path)?));
        }
        for path in &self.not_bundles {
            let content = read(&directory.join(path), "signature")?;
            found.push(FoundSignature::bundle(content));
        }
        for LegacySignature {
            descriptor,
            payload,
        } in &self.simple_signing
        {
            let text = read(&directory.join(descriptor), "descriptor")?;
            let layer = serde_json::from_slice(&text).map_err(|error| {
                self.unusable(format_args!("{}: {error}", descriptor.display()))
            })?;
            let content = read(&directory.join(payload), "payload")?;
            let signature = FoundSignature::simple_signing(layer, content);
            found.push(signature.ok_or_else(|| {
                self.unusable(format_args!(
                    "{} is not the content that {} names",
                    payload.display(),
                    descriptor.display()
                ))
            })?);
        }
        Ok(Some(Signatures::All(found)))
    }

    /// A bundle, be it a good one or not.
    ///
    /// # Errors
    /// If the file is something else. It would be refused, and a test that expects a refusal would pass for ever.
    fn read_bundle(&self, directory: &Path, path: &Path) -> Result<Vec<u8>, Failure> {
        let path = directory.join(path);
        let content = read(&path, "bundle")?;
        match bundle::what_else(&String::from_utf8_lossy(&content)) {
            None => Ok(content),
            Some(found) => {
                let path = printable::path(&path);
                let failure = self.unusable(format_args!(
                    "expected a Sigstore bundle in {path}, found {found}"
                ));
                let hint = if found == bundle::GIT_LFS {
                    "fetch the file itself: `git lfs pull`"
                } else {
                    "put the bundle there, as `cosign sign --bundle` or `countersign verify --save` wrote it"
                };
                Err(failure.hint(hint))
            }
        }
    }

    /// `reason`, with the names of files where it names signatures by the digests of their content. `found` is what
    /// the files hold, in the order of the case.
    fn with_files(&self, mut reason: String, found: &[FoundSignature]) -> String {
        let bundles = self.bundles.iter().flatten().chain(&self.not_bundles);
        let legacy = self.simple_signing.iter().map(|legacy| &legacy.payload);
        for (signature, file) in found.iter().zip(bundles.chain(legacy)) {
            let digest = short_digest(&Digest::sha256(signature.bytes()));
            reason = reason.replace(&digest, &printable::path(file));
        }
        match self.image {
            Some(_) => reason,
            // Nobody knows this name.
            None => reason.replace(&format!("{NAMELESS}@"), ""),
        }
    }

    /// What the policy says of these signatures.
    pub(super) fn judged(
        &self,
        asked: &Reference,
        digest: &Digest,
        signatures: &Signatures,
        trusted_root: &TrustedRoot,
        policy: &Policy,
    ) -> Result<Verdict, Failure> {
        let at = self.at.unwrap_or_else(Timestamp::now);
        Ok(match signatures {
            Signatures::One(bundle) => {
                match judge_digest(digest, asked, bundle, trusted_root, policy, at) {
                    Ok(_) => Verdict::Accepted,
                    Err(failure) => Verdict::Refused {
                        kind: failure.kind(),
                        reason: Failure::new(Kind::Policy, failure).line(),
                    },
                }
            }
            Signatures::All(found) => {
                match judge_found(digest, asked, found, trusted_root, policy, at) {
                    Ok(_) => Verdict::Accepted,
                    Err(error) => Verdict::Refused {
                        kind: match &error {
                            VerifyError::Refused(refusal) => refusal.kind(),
                            VerifyError::Denied(_) => RefusalKind::Policy,
                            // That is no verdict.
                            _ => return Err(error.into()),
                        },
                        reason: self.with_files(Failure::from(error).line(), found),
                    },
                }
            }
        })
    }

    /// The name that the image is asked for by.
    fn asked(&self, policy: &Policy) -> Result<Reference, Failure> {
        match &self.image {
            Some(image) => Ok(image.clone()),
            None if policy.bind_name() => {
                Err(self.unusable("the policy has `bind_name`: add `image`, the name of the image"))
            }
            None => NAMELESS.parse().map_err(|error| self.unusable(error)),
        }
    }

    /// The name that a rule of an image verifier has to match.
    pub(super) fn name_for_rules(&self) -> Result<&Reference, Failure> {
        let image = self.image.as_ref();
        image.ok_or_else(|| {
            self.unusable("add `image`, the name of the image: a rule is found by it")
        })
    }

    /// The digest of the image that the case is about.
    pub(super) fn digest(&self, directory: &Path, asked: &Reference) -> Result<Digest, Failure> {
        let digest = match (&self.manifest, &self.digest) {
            (Some(path), None) => {
                let manifest = read(&directory.join(path), "manifest")?;
                let image = ResolvedImage::from_bytes(asked.location(), manifest.into(), None)
                    .map_err(|error| self.unusable(error))?;
                image.digest().clone()
            }
            (None, Some(digest)) => digest.clone(),
            (None, None) => {
                return Err(self.unusable("expected `manifest` or `digest`, found neither"));
            }
            (Some(_), Some(_)) => {
                return Err(self.unusable("expected `manifest` or `digest`, found both"));
            }
        };
        match asked.digest() {
            Some(named) if *named != digest => Err(self.unusable(format_args!(
                "`image` names {named}, but the case is about {digest}"
            ))),
            _ => Ok(digest),
        }
    }

    fn unusable(&self, detail: impl fmt::Display) -> Failure {
        let message = format!("the case `{}` can't be used: {detail}", self.name);
        Failure::new(Kind::Usage, message)
    }
}

/// The signatures of a case.
pub(super) enum Signatures {
    /// One bundle, which has to prove all that the policy requires.
    One(Vec<u8>),
    /// All signatures of the image, as `verify` judges them.
    All(Vec<FoundSignature>),
}

/// All that is wrong with a file of cases: what is wrong with each case, or `first`.
fn mistakes(text: &str, first: String) -> String {
    let Ok(Value::Object(file)) = serde_saphyr::from_str::<Value>(text) else {
        return first;
    };
    let cases = file.get("cases").and_then(Value::as_array);
    let cases = cases.map_or(&[][..], Vec::as_slice);
    let wrong = cases.iter().enumerate().filter_map(|(position, case)| {
        let error = serde_json::from_value::<Case>(case.clone()).err()?;
        let name = case.get("name").and_then(Value::as_str);
        let name = name.map_or_else(String::new, |name| format!(" (`{name}`)"));
        Some(format!("\n  case {}{name}: {error}", position + 1))
    });
    let wrong: Vec<String> = wrong.collect();
    match wrong.len() {
        0 | 1 => first,
        count => format!("{count} cases are wrong{}", wrong.concat()),
    }
}

/// What the policy says of a case.
pub(super) enum Verdict {
    Accepted,
    Refused { kind: RefusalKind, reason: String },
}

impl Verdict {
    /// The narrowest expectation that this meets.
    pub(super) fn exactly(&self) -> Expectation {
        match self {
            Self::Accepted => Expectation::Accepted,
            Self::Refused { kind, .. } => match kind {
                RefusalKind::Unsigned => Expectation::RefusedUnsigned,
                RefusalKind::Invalid => Expectation::RefusedInvalid,
                RefusalKind::OtherSigner | RefusalKind::Policy => Expectation::RefusedPolicy,
            },
        }
    }
}

/// A file, whole, or an error where it is larger than such files are.
fn read(path: &Path, what: &str) -> Result<Vec<u8>, Failure> {
    read_bytes(path, what, FILE_MAX)
}
