//! The subjects of a statement, and which of them is the image.

use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};

use countersign_oci::{Algorithm, Digest, excerpt, from_object_alone};

use super::Annotations;
use crate::failure::Failure;

/// The most subjects of one statement. GitHub's `attest` action writes at most 1,024.
pub(super) const SUBJECTS_MAX: usize = 1_024;
/// How many digests of a statement about other images are shown.
const SHOWN_MAX: usize = 3;

/// A list of subjects. All are counted, and at most [`SUBJECTS_MAX`] are kept.
#[derive(Default)]
pub(super) struct Subjects {
    kept: Vec<Subject>,
    count: usize,
}

#[derive(Deserialize)]
#[serde(remote = "Self")]
pub(super) struct Subject {
    pub(super) name: Option<String>,
    digest: SubjectDigest,
    pub(super) annotations: Option<Annotations>,
}

/// The fields are named, so a repeated field is an error.
#[derive(Deserialize)]
#[serde(remote = "Self")]
struct SubjectDigest {
    sha256: Option<String>,
    sha512: Option<String>,
}

from_object_alone!(Subject, SubjectDigest);

impl Subject {
    /// The digest by `algorithm`, in hex.
    fn hex(&self, algorithm: Algorithm) -> Option<&str> {
        match algorithm {
            Algorithm::Sha256 => self.digest.sha256.as_deref(),
            Algorithm::Sha512 => self.digest.sha512.as_deref(),
        }
    }
}

impl Subjects {
    /// The only subject. It must be the image with this digest.
    ///
    /// # Errors
    /// [`Failure::SubjectCount`], [`Failure::SubjectDigest`].
    pub(super) fn only(self, image: &Digest) -> Result<Subject, Failure> {
        match self.count {
            1 => self.one_of_several(image),
            found => Err(Failure::SubjectCount { found }),
        }
    }

    /// The one subject that is the image with this digest. There may be others.
    ///
    /// # Errors
    /// [`Failure::SubjectCount`] if there is none at all, [`Failure::TooMany`], [`Failure::SubjectDigest`] if the
    /// image is not one of them, [`Failure::SubjectRepeated`] if it is there more than once: then its name and
    /// its annotations would depend on the reader.
    pub(super) fn one_of_several(self, image: &Digest) -> Result<Subject, Failure> {
        let Self { kept, count } = self;
        if count == 0 {
            return Err(Failure::SubjectCount { found: 0 });
        }
        if count > SUBJECTS_MAX {
            return Err(Failure::TooMany {
                what: "subjects of the statement",
                limit: SUBJECTS_MAX,
                found: count,
            });
        }
        let algorithm = image.algorithm();
        let found = shown(&kept, algorithm);
        // A digest in capital letters is the same digest for some readers. It counts, and is then refused:
        // no tool writes one.
        let mut named = kept.into_iter().filter(|subject| {
            let hex = subject.hex(algorithm);
            hex.is_some_and(|hex| hex.eq_ignore_ascii_case(image.hex()))
        });
        let subject = named.next();
        let again = named.count();
        if again > 0 {
            return Err(Failure::SubjectRepeated { found: again + 1 });
        }
        subject
            .filter(|subject| subject.hex(algorithm) == Some(image.hex()))
            .ok_or_else(|| Failure::SubjectDigest {
                expected: image.clone(),
                found,
            })
    }
}

/// The subjects' digests by `algorithm`, the first few.
fn shown(subjects: &[Subject], algorithm: Algorithm) -> String {
    let digest = |subject: &Subject| match subject.hex(algorithm) {
        Some(hex) => format!("{algorithm}:{}", excerpt(hex)),
        None => format!("no {algorithm} digest"),
    };
    let mut texts: Vec<String> = subjects.iter().take(SHOWN_MAX).map(digest).collect();
    let more = subjects.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        texts.push(format!("and {more} more"));
    }
    texts.join(", ")
}

impl<'de> Deserialize<'de> for Subjects {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;

        impl<'de> Visitor<'de> for Counting {
            type Value = Subjects;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of subjects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Subjects, A::Error> {
                let mut subjects = Subjects::default();
                while subjects.count < SUBJECTS_MAX {
                    let Some(subject) = seq.next_element()? else {
                        return Ok(subjects);
                    };
                    subjects.kept.push(subject);
                    subjects.count += 1;
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    subjects.count += 1;
                }
                Ok(subjects)
            }
        }

        deserializer.deserialize_seq(Counting)
    }
}
