//! The file of cases of `countersign policy test`: saved signatures, and the verdicts that are expected.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use countersign_oci::{Digest, Reference};
use countersign_policy::{KeyPath, Problem, parse_document};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::failure::Failure;
use crate::input::read_text;

const BUNDLE: &str = "bundle";

/// The name of the file of cases in a directory.
pub(in crate::commands) const FILE: &str = "cases.yaml";

/// The file of cases.
pub(super) struct Cases {
    /// The trusted root to judge by, where no flag names one.
    pub(super) trusted_root: Option<PathBuf>,
    pub(super) cases: Vec<Case>,
}

/// A saved signature, and the verdict that the policy must come to. Paths are relative to the file of cases.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) subject: CaseSubject,
    /// `None` if the case names none: nobody has signed the image.
    pub(super) signatures: Option<SignatureFiles>,
    /// The name that the image is asked for by.
    pub(super) image: Option<Reference>,
    /// The time that it is judged at. Without it, the present time.
    pub(super) at: Option<Timestamp>,
    pub(super) expect: Expectation,
}

/// The image that a case is about.
pub(super) enum CaseSubject {
    /// By the file of its manifest or index.
    Manifest(PathBuf),
    /// By the digest of that.
    Digest(Digest),
}

/// The files of the signatures of a case.
pub(super) enum SignatureFiles {
    /// One bundle, which has to prove all that the policy requires.
    One(PathBuf),
    /// All signatures of the image.
    All(AllSignatures),
}

/// The files of all signatures of an image.
#[derive(Default)]
pub(super) struct AllSignatures {
    pub(super) bundles: Vec<PathBuf>,
    /// What the registry lists as signatures, and are no bundles.
    pub(super) not_bundles: Vec<PathBuf>,
    pub(super) simple_signing: Vec<LegacySignature>,
}

/// Whether a case may name no signatures.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unsigned {
    /// For an image verifier, it is an image that nobody signed.
    Allowed,
    Refused,
}

/// The file of cases, as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CasesSpec {
    /// The trusted root to judge by, where no flag names one. It stands in the place of any that the policy or a rule
    /// names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trusted_root: Option<PathBuf>,
    #[serde(deserialize_with = "some_cases")]
    pub(super) cases: Vec<CaseSpec>,
}

/// A case, as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseSpec {
    name: String,
    /// The image's manifest or index, byte for byte as the registry has it; or `digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    manifest: Option<PathBuf>,
    /// The digest of the image's manifest or index.
    #[serde(
        default,
        deserialize_with = "digest",
        skip_serializing_if = "Option::is_none"
    )]
    digest: Option<Digest>,
    /// The Sigstore bundle. Without it the image has no signature, which only an image verifier judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bundle: Option<PathBuf>,
    /// All Sigstore bundles of the image, in place of `bundle`. There may be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bundles: Option<Vec<PathBuf>>,
    /// What the registry lists as signatures of the image, and are no bundles. They are judged like `bundles`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    not_bundles: Vec<PathBuf>,
    /// All signatures of the image in cosign's legacy form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    simple_signing: Vec<LegacySignature>,
    /// The name that the image is asked for by. A policy with `bind_name` needs it, and so does an image verifier.
    #[serde(
        default,
        deserialize_with = "image",
        skip_serializing_if = "Option::is_none"
    )]
    image: Option<Reference>,
    /// The time that the signature is judged at (RFC 3339). Without it, the present time.
    #[serde(
        default,
        deserialize_with = "time",
        skip_serializing_if = "Option::is_none"
    )]
    at: Option<Timestamp>,
    /// The verdict that the policy must come to. [`Cases::read`] refuses a case without it, behind all other mistakes.
    #[serde(
        default,
        deserialize_with = "expectation",
        skip_serializing_if = "Option::is_none"
    )]
    expect: Option<Expectation>,
}

/// Reads a value from its text. What is wrong is told with its line.
struct Text<T: FromStr> {
    expected: &'static str,
    /// More about what is wrong, or nothing.
    because: fn(&T::Err) -> String,
}

impl<T: FromStr> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse::<T>().map_err(|error| {
            let expected = format!("{}{}", self.expected, (self.because)(&error));
            E::invalid_value(Unexpected::Str(text), &expected.as_str())
        })
    }
}

/// As [`Text`], or nothing: then the key may as well be left out.
struct TextOrNothing<T: FromStr>(Text<T>);

impl<'de, T: FromStr> Visitor<'de> for TextOrNothing<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.expected)
    }

    fn visit_none<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_str(self.0).map(Some)
    }
}

fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Digest>, D::Error> {
    deserializer.deserialize_option(TextOrNothing::<Digest>(Text {
        expected: "a digest: `sha256:` and 64 lower-case hex digits",
        because: |_| String::new(),
    }))
}

fn image<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Reference>, D::Error> {
    deserializer.deserialize_option(TextOrNothing::<Reference>(Text {
        expected: "the name of an image, such as ghcr.io/acme/app:v1",
        because: |error| format!(" ({error})"),
    }))
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    deserializer.deserialize_option(TextOrNothing::<Timestamp>(Text {
        expected: "an RFC 3339 time such as 2026-01-31T12:00:00Z",
        because: |_| String::new(),
    }))
}

const EXPECTED: &str =
    "`accepted`, `refused`, `refused_policy`, `refused_invalid` or `refused_unsigned`";

fn expectation<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Expectation>, D::Error> {
    let text = Text::<Expectation> {
        expected: EXPECTED,
        because: |()| String::new(),
    };
    deserializer.deserialize_str(text).map(Some)
}

/// A test of nothing must not look like one that passed.
fn some_cases<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CaseSpec>, D::Error> {
    let cases = Vec::<CaseSpec>::deserialize(deserializer)?;
    if cases.is_empty() {
        return Err(D::Error::invalid_length(0, &"at least one case"));
    }
    Ok(cases)
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Verdict")]
pub(in crate::commands) enum Expectation {
    /// The policy accepts it.
    Accepted,
    /// Refused, for whatever reason.
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

    const ALL: [Self; 5] = [
        Self::Accepted,
        Self::Refused,
        Self::RefusedPolicy,
        Self::RefusedInvalid,
        Self::RefusedUnsigned,
    ];
}

impl FromStr for Expectation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.as_str() == text).ok_or(())
    }
}

impl Cases {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// All that is wrong with the file, each with its line.
    pub(super) fn read(path: &Path, unsigned: Unsigned) -> Result<Self, Failure> {
        let text = read_text(path, "file of cases")?;
        let name = path.display().to_string();
        let check = |spec: CasesSpec| spec.checked(unsigned);
        parse_document(&text, &name, check).map_err(|(first, all)| {
            let lacks_signatures = all.iter().any(|mistake| {
                matches!(mistake.problem(), Problem::Neither { exact, .. } if *exact == BUNDLE)
            });
            let failure = Failure::of_file(&text, first, all);
            let failure = failure.hint("`countersign policy test --help` shows a file of cases");
            if lacks_signatures {
                failure.hint("for an image without a signature, write `bundles: []`")
            } else {
                failure
            }
        })
    }
}

impl CasesSpec {
    /// The cases, by what the types don't say.
    fn checked(self, unsigned: Unsigned) -> Result<Cases, (KeyPath, Problem)> {
        let cases = self.cases.into_iter().enumerate();
        let cases = cases.map(|(position, case)| {
            let path = KeyPath::default().key("cases").index(position);
            case.checked(unsigned).map_err(|problem| match problem {
                Problem::Form { .. } => (path.key(BUNDLE), problem),
                other => (path, other),
            })
        });
        Ok(Cases {
            cases: cases.collect::<Result<_, _>>()?,
            trusted_root: self.trusted_root,
        })
    }
}

impl CaseSpec {
    fn checked(self, unsigned: Unsigned) -> Result<Case, Problem> {
        let subject = match (self.manifest, self.digest) {
            (Some(path), None) => CaseSubject::Manifest(path),
            (None, Some(digest)) => CaseSubject::Digest(digest),
            (Some(_), Some(_)) => return Err(both("manifest", "digest")),
            (None, None) => return Err(neither("manifest", "digest")),
        };
        let has_others = !self.simple_signing.is_empty() || !self.not_bundles.is_empty();
        let signatures = match (self.bundle, self.bundles) {
            (Some(_), Some(_)) => return Err(both(BUNDLE, "bundles")),
            (Some(_), None) if has_others => {
                return Err(Problem::Form {
                    expected: "`bundles`, a list, beside `simple_signing` or `not_bundles`"
                        .to_owned(),
                    found: Some("`bundle`".to_owned()),
                });
            }
            (Some(one), None) => Some(SignatureFiles::One(one)),
            (None, None) if !has_others => match unsigned {
                Unsigned::Allowed => None,
                Unsigned::Refused => return Err(neither(BUNDLE, "bundles")),
            },
            (None, bundles) => Some(SignatureFiles::All(AllSignatures {
                bundles: bundles.unwrap_or_default(),
                not_bundles: self.not_bundles,
                simple_signing: self.simple_signing,
            })),
        };
        Ok(Case {
            name: self.name,
            subject,
            signatures,
            image: self.image,
            at: self.at,
            // The last one: without a verdict, the case is given up.
            expect: self.expect.ok_or(Problem::MissingKey { key: "expect" })?,
        })
    }
}

fn both(exact: &str, other: &str) -> Problem {
    Problem::Both {
        exact: exact.to_owned(),
        regex: other.to_owned(),
    }
}

fn neither(exact: &'static str, other: &'static str) -> Problem {
    Problem::Neither {
        exact,
        regex: other,
    }
}

/// As it is written.
impl From<Case> for CaseSpec {
    fn from(case: Case) -> Self {
        let (manifest, digest) = match case.subject {
            CaseSubject::Manifest(path) => (Some(path), None),
            CaseSubject::Digest(digest) => (None, Some(digest)),
        };
        let (bundle, all) = match case.signatures {
            Some(SignatureFiles::One(one)) => (Some(one), None),
            Some(SignatureFiles::All(all)) => (None, Some(all)),
            None => (None, None),
        };
        let bundles_are_listed = all.is_some();
        let AllSignatures {
            bundles,
            not_bundles,
            simple_signing,
        } = all.unwrap_or_default();
        Self {
            name: case.name,
            manifest,
            digest,
            bundle,
            bundles: bundles_are_listed.then_some(bundles),
            not_bundles,
            simple_signing,
            image: case.image,
            at: case.at,
            expect: Some(case.expect),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_is_read_as_it_is_written_and_named_in_the_error() {
        for (position, one) in Expectation::ALL.into_iter().enumerate() {
            // Each variant has to be in `ALL`.
            let there = match one {
                Expectation::Accepted => 0,
                Expectation::Refused => 1,
                Expectation::RefusedPolicy => 2,
                Expectation::RefusedInvalid => 3,
                Expectation::RefusedUnsigned => 4,
            };
            assert_eq!(position, there);
            let written = serde_json::to_value(one).unwrap();
            assert_eq!(written, one.as_str());
            assert_eq!(one.as_str().parse::<Expectation>(), Ok(one));
            assert!(EXPECTED.contains(&format!("`{}`", one.as_str())));
        }
    }
}
