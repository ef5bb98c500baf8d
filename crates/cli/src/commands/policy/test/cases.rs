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
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cases {
    /// The trusted root to judge by, where no flag names one. It stands in the place of any that the policy or a rule
    /// names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trusted_root: Option<PathBuf>,
    #[serde(deserialize_with = "some_cases")]
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
    #[serde(
        default,
        deserialize_with = "digest",
        skip_serializing_if = "Option::is_none"
    )]
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
    #[serde(
        default,
        deserialize_with = "image",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) image: Option<Reference>,
    /// The time that the signature is judged at (RFC 3339). Without it, the present time.
    #[serde(
        default,
        deserialize_with = "time",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) at: Option<Timestamp>,
    /// The verdict that the policy must come to. [`Cases::read`] refuses a case without it.
    #[serde(
        default,
        deserialize_with = "expectation",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) expect: Option<Expectation>,
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
fn some_cases<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Case>, D::Error> {
    let cases = Vec::<Case>::deserialize(deserializer)?;
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
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// Reads a file of cases. `signed` says whether each has to name signatures: for an image verifier, a case without them
    /// is an image that nobody signed.
    ///
    /// # Errors
    /// All that is wrong with the file, each with its line.
    pub(super) fn read(path: &Path, signed: bool) -> Result<Self, Failure> {
        let text = read_text(path, "file of cases")?;
        let name = path.display().to_string();
        parse_document(&text, &name, |cases: &Self| cases.check(signed)).map_err(|(first, all)| {
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

    /// What the types don't say.
    fn check(&self, signed: bool) -> Result<(), (KeyPath, Problem)> {
        for (position, case) in self.cases.iter().enumerate() {
            let path = KeyPath::default().key("cases").index(position);
            case.check(signed).map_err(|problem| match problem {
                Problem::Form { .. } => (path.key(BUNDLE), problem),
                other => (path, other),
            })?;
        }
        Ok(())
    }
}

impl Case {
    /// The verdict that the policy must come to.
    pub(super) fn expected(&self) -> Expectation {
        self.expect.unwrap_or_default()
    }

    /// Whether it names signatures, be it none.
    pub(super) fn has_signatures(&self) -> bool {
        self.bundle.is_some() || self.bundles.is_some() || self.has_others()
    }

    fn has_others(&self) -> bool {
        !self.simple_signing.is_empty() || !self.not_bundles.is_empty()
    }

    fn check(&self, signed: bool) -> Result<(), Problem> {
        let pair = |exact, regex, both: [bool; 2]| match both {
            [true, true] => Err(Problem::Both {
                exact: String::from(exact),
                regex: String::from(regex),
            }),
            [false, false] => Err(Problem::Neither { exact, regex }),
            _ => Ok(()),
        };
        let images = [self.manifest.is_some(), self.digest.is_some()];
        pair("manifest", "digest", images)?;
        let bundles = [self.bundle.is_some(), self.bundles.is_some()];
        if bundles == [true, true] || signed && !self.has_signatures() {
            pair(BUNDLE, "bundles", bundles)?;
        }
        if self.bundle.is_some() && self.has_others() {
            return Err(Problem::Form {
                expected: "`bundles`, a list, beside `simple_signing` or `not_bundles`".to_owned(),
                found: Some("`bundle`".to_owned()),
            });
        }
        // The last one: without a verdict, the case is given up.
        match self.expect {
            Some(_) => Ok(()),
            None => Err(Problem::MissingKey { key: "expect" }),
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
