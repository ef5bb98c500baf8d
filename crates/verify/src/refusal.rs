//! Refusals, as a person reads them: each candidate with the first check it failed.

use std::fmt;

use countersign_oci::{Digest, PinnedReference, cut, printable, with_causes};

use crate::failure::Failure;
use crate::kind::RefusalKind;

/// The most characters shown of one failure with its causes. That is several times the length of two
/// identities at GitHub.
const LINE_MAX: usize = 4_000;

/// Why an image is refused: every candidate, with the first check that it failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The image asked about.
    pub image: PinnedReference,
    /// The proofs that the policy requires. One, unless the policy has `require`.
    pub requirements: Vec<RequirementState>,
    /// Everything that was checked, in the order of the checks.
    pub candidates: Vec<Candidate>,
    /// How many referrers were not checked, because the limit on candidates was reached.
    pub untried: usize,
    /// How many repositories of [`Policy::signature_sources`](countersign_policy::Policy::signature_sources)
    /// were not searched, because the limit on them was reached.
    pub unsearched: usize,
}

/// A proof that the policy requires.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequirementState {
    /// What kind of proof it is, with its article.
    pub name: String,
    /// Whether it is an attestation, and no signature.
    pub attestation: bool,
    /// Whether the policy accepts it by a key only.
    pub by_key: bool,
    /// Whether it was found.
    pub met: bool,
}

/// A manifest that refers to the image and does not prove anything.
#[derive(Debug)]
#[non_exhaustive]
pub struct Candidate {
    /// Digest of its manifest.
    pub manifest: Digest,
    /// The first check that it failed.
    pub failure: Failure,
    /// Position of the requirement that it was checked for. `None` if it is no signature at all: then it proves
    /// none of them.
    pub requirement: Option<usize>,
}

impl Refusal {
    /// The class of the candidate that passed the most checks. If one of several required proofs was found, the
    /// image is signed, but not as the policy requires.
    pub fn kind(&self) -> RefusalKind {
        if self.requirements.iter().any(|requirement| requirement.met) {
            return RefusalKind::Policy;
        }
        self.candidates
            .iter()
            .map(|candidate| candidate.failure.kind())
            .max()
            .unwrap_or(RefusalKind::Unsigned)
    }
}

impl Refusal {
    /// Of several required proofs, those that are missing, each with why the candidates don't prove it.
    fn several(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (image, all) = (&self.image, self.requirements.len());
        let met = self.requirements.iter().filter(|one| one.met).count();
        write!(
            f,
            "{image} has {met} of the {all} proofs that the policy requires. Missing:"
        )?;
        for (position, requirement) in self.requirements.iter().enumerate() {
            if requirement.met {
                continue;
            }
            let candidates: Vec<&Candidate> = self
                .candidates
                .iter()
                .filter(|one| one.requirement.is_none_or(|checked| checked == position))
                .collect();
            let found = if candidates.is_empty() {
                ": nothing was found"
            } else {
                ". Found instead:"
            };
            write!(f, "\n  {}{found}", requirement.name)?;
            write_candidates(f, candidates, "    ")?;
        }
        self.unchecked(f)
    }

    /// What is required, if that is one attestation and no signature.
    fn attestation(&self) -> Option<&str> {
        match self.requirements.as_slice() {
            [one] if one.attestation => Some(&one.name),
            _ => None,
        }
    }

    fn has_legacy_form(&self) -> bool {
        let mut candidates = self.candidates.iter();
        candidates.any(|one| matches!(one.failure, Failure::LegacySignature))
    }

    /// Says what nobody has looked at, and where, if there is such a thing.
    fn unchecked(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.untried {
            0 => {}
            number => write!(
                f,
                "\n  not checked: {number} more, beyond the limit of candidates"
            )?,
        }
        match self.unsearched {
            0 => Ok(()),
            number => write!(
                f,
                "\n  not searched: {number} of the `signature_sources`, because the policy names more than the \
                 limit"
            ),
        }
    }
}

/// Writes why each of them proves nothing, the same reason once.
fn write_candidates<'a>(
    f: &mut fmt::Formatter<'_>,
    candidates: impl IntoIterator<Item = &'a Candidate>,
    indent: &str,
) -> fmt::Result {
    let mut reasons: Vec<(String, &Digest, usize)> = Vec::new();
    for candidate in candidates {
        let reason = line(&candidate.failure);
        match reasons.iter_mut().find(|(other, ..)| *other == reason) {
            Some((.., more)) => *more += 1,
            None => reasons.push((reason, &candidate.manifest, 0)),
        }
    }
    for (reason, first, more) in reasons {
        let reason = reason.replace('\n', &format!("\n{indent}"));
        let others = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        write!(f, "\n{indent}{}{others}: {reason}", short_digest(first))?;
    }
    Ok(())
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = &self.image;
        if self.requirements.len() > 1 {
            return self.several(f);
        }
        match self.kind() {
            RefusalKind::Unsigned if self.candidates.is_empty() => {
                match self.attestation() {
                    Some(wanted) => write!(f, "{image} lacks {wanted}: nothing was found")?,
                    None => write!(f, "{image} is not signed: no signature was found")?,
                }
                return self.unchecked(f);
            }
            RefusalKind::Unsigned => match self.attestation() {
                Some(wanted) => write!(f, "{image} lacks {wanted}. Found instead")?,
                None if self.has_legacy_form() => write!(
                    f,
                    "{image} is not signed in a form that the policy accepts. Found instead"
                )?,
                None => write!(f, "{image} is not signed. Found instead")?,
            },
            RefusalKind::OtherSigner => write!(
                f,
                "{image} is signed, but by another kind of signer than the policy names"
            )?,
            RefusalKind::Policy => write!(f, "{image} is signed, but not as the policy requires")?,
            RefusalKind::Invalid => write!(f, "{image} has no valid signature")?,
        }
        f.write_str(":")?;
        write_candidates(f, &self.candidates, "  ")?;
        self.unchecked(f)
    }
}

/// The short form of a digest by which a refusal names a signature: the algorithm and twelve digits.
pub fn short_digest(digest: &Digest) -> String {
    let digits: String = digest.hex().chars().take(12).collect();
    format!("{}:{digits}…", digest.algorithm())
}

/// The failure and its causes, made printable: the author of the candidate wrote parts of it. It is one
/// line. For a policy's violation, lines with the expected and the found value follow.
fn line(failure: &Failure) -> String {
    let text = cut(&with_causes(failure), LINE_MAX);
    match failure {
        // These line breaks are ours: a violation has already escaped those of strangers.
        Failure::Policy(_) => {
            let lines: Vec<String> = text.lines().map(printable).collect();
            lines.join("\n")
        }
        _ => printable(&text.replace('\n', " ")),
    }
}
