//! What is said of signatures that are refused, and of what they are judged by.
//!
//! A hint never advises to do without the check that failed.

use countersign_oci::Location;
use countersign_policy::{COSIGN_SIGN_PREDICATE, Violation};
use countersign_verify::{Refusal, RefusalKind};

use super::{Failure, Kind, kind, layout};

/// How a trusted root is named on the command line.
macro_rules! by_flag {
    () => {
        "pass --trusted-root FILE"
    };
}

/// How it is named where the command line may not.
macro_rules! in_policy {
    () => {
        "; where the policy has `trust`, write `trust: {trusted_root: FILE}` there instead"
    };
}

impl Failure {
    /// The same, where it is known whether a policy names the instance: its hints say the one thing that helps.
    pub(crate) fn of_instance(self, by_policy: bool) -> Self {
        self.with_hints(|hint| {
            let Some(hint) = hint.strip_suffix(in_policy!()) else {
                return hint.to_owned();
            };
            let to_write =
                "write `trust: {trusted_root: FILE}` into the policy, in the place of its `trust`";
            if by_policy {
                hint.replace(by_flag!(), to_write)
            } else {
                hint.to_owned()
            }
        })
    }
}

/// What to do about a signature that the policy refuses, if nothing better is known.
const REFUSED: &str = "do not use the image; if you are sure that the policy is wrong, correct it: `countersign policy check FILE` tells of patterns and names that no signer has";
/// The same, where flags are the policy.
const REFUSED_BY_FLAGS: &str = "do not use the image; if you are sure that the flags are wrong, correct them: texts are compared letter by letter, and patterns are --issuer-regex and --identity-regex";
/// What to do about a signature of another image.
const OTHER_IMAGE: &str = "do not use the image: the signature is of another one; if it is from a file (--bundle), pass the file of this image";

impl Failure {
    /// The same, where flags are the policy: there is no file to check.
    pub(crate) fn of_flags(self) -> Self {
        self.with_hints(|hint| match hint {
            REFUSED => REFUSED_BY_FLAGS.to_owned(),
            hint => hint.to_owned(),
        })
    }
}

impl From<countersign_verify::TrustError> for Failure {
    fn from(error: countersign_verify::TrustError) -> Self {
        use countersign_verify::{TrustError, TufError};
        let hint = match &error {
            _ if error.kind() == Kind::Machine => None,
            TrustError::Tuf {
                source: TufError::Cache { .. },
                ..
            } => Some(concat!(
                "run it once without --offline and with a network, or ",
                by_flag!(),
                in_policy!()
            )),
            TrustError::Tuf {
                source: TufError::WrongAnswer(_),
                ..
            } => Some(
                "check the address of the TUF repository, and the proxy if there is one; if they are right, ask whoever runs the repository",
            ),
            TrustError::Tuf { .. } => Some(concat!(
                "check the network, or ",
                by_flag!(),
                ": then no TUF repository is needed",
                in_policy!()
            )),
            _ => Some("pass a trusted_root.json from the TUF repository of the Sigstore instance"),
        };
        Self::new(error.kind(), error).hinted(hint)
    }
}

impl From<countersign_verify::Error> for Failure {
    fn from(error: countersign_verify::Error) -> Self {
        use countersign_verify::Error as VerifyError;
        match error {
            VerifyError::Registry(error) => error.into(),
            VerifyError::Trust(error) => error.into(),
            VerifyError::Refused(refusal) => {
                let kind = refusal.kind().into();
                let hint = refusal_hint(kind, &[&refusal]);
                let location = refusal.image.location().clone();
                Self::new(kind, refusal).hinted_as_refused(hint, kind, &location)
            }
            VerifyError::BothRefused {
                ref index,
                ref manifest,
                ..
            } => {
                let kind = index.kind().max(manifest.kind()).into();
                let hint = refusal_hint(kind, &[index, manifest]);
                let location = index.image.location().clone();
                Self::new(kind, error).hinted_as_refused(hint, kind, &location)
            }
            denied @ VerifyError::Denied(_) => Self::new(denied.kind(), denied).hint(DENIED),
            late @ VerifyError::Late { .. } => {
                Self::new(late.kind(), late).hint("the registry is very slow: try again later")
            }
            other => Self::new(other.kind(), other),
        }
    }
}

/// What to do about an image that a policy denies by digest.
const DENIED: &str = "do not use it: the policy's `deny_digests` has its digest, or the digest of an index that contains it; use a newer version";

/// What to do about an image that is refused.
fn refusal_hint(kind: Kind, refusals: &[&Refusal]) -> &'static str {
    match kind {
        Kind::Policy if refusals.iter().any(|refusal| has_only_to_wait(refusal)) => {
            "do not use the image yet: wait until the time that the message names, then try again"
        }
        Kind::Policy if refusals.iter().any(|refusal| is_untagged(refusal)) => SIGN_WITH_TAG,
        Kind::Policy if refusals.iter().any(|refusal| is_for_other_name(refusal)) => {
            if refusals.iter().any(|refusal| is_for_path(refusal)) {
                LAYOUT_HAS_NO_NAME
            } else {
                OTHER_NAME
            }
        }
        Kind::Policy => lack(refusals)
            .map(Lack::hint)
            .or_else(|| refusals.iter().find_map(|refusal| other_kind_of_signer(refusal)))
            .or_else(|| condition_beside_signer(refusals))
            .unwrap_or(REFUSED),
        Kind::Invalid => refusals
            .iter()
            .find_map(|refusal| other_kind_of_signer(refusal))
            .unwrap_or_else(|| {
                if refusals.iter().all(|refusal| is_of_another_image(refusal)) {
                    OTHER_IMAGE
                } else if refusals.iter().any(|refusal| may_be_of_another_root(refusal)) {
                    OTHER_ROOT
                } else if refusals.iter().any(|refusal| is_of_damaged_layout(refusal)) {
                    layout::CHANGED
                } else {
                    "do not use the image: the signature can't be trusted; the publisher has to sign again"
                }
            }),
        Kind::Unsigned => match lack(refusals) {
            Some(
                lack @ (Lack::Attestation { .. } | Lack::TypeOfAttestation | Lack::SignatureInstead),
            ) => lack.hint(),
            _ if refusals.iter().all(|refusal| asks_for_key(refusal)) => SIGN_BY_KEY,
            None | Some(Lack::Signature { .. }) => kind::usual_hint(kind),
        },
        Kind::Internal
        | Kind::Machine
        | Kind::Usage
        | Kind::NotFound
        | Kind::Differs
        | Kind::Rejected
        | Kind::Unreachable => kind::usual_hint(kind),
    }
}

/// What to do about a signature that may be of another Sigstore instance.
const OTHER_ROOT: &str = "do not use the image: the trusted root in use does not prove its signature; if another Sigstore instance signed it, the trusted root is the wrong one: use that instance's own; else the publisher has to sign again";

/// Whether a signature fails by what the trusted root says, which is so of each one that another instance made.
fn may_be_of_another_root(refusal: &Refusal) -> bool {
    use countersign_verify::Failure as Refused;
    refusal.candidates.iter().any(|candidate| {
        matches!(
            candidate.failure,
            Refused::Certificate(_)
                | Refused::TransparencyLog(_)
                | Refused::Timestamp(_)
                | Refused::CheckpointLog { .. }
                | Refused::UnknownLog { .. }
                | Refused::LogNotInUse { .. }
        )
    })
}

/// Whether all that was found is of other images.
fn is_of_another_image(refusal: &Refusal) -> bool {
    use countersign_verify::Failure as Refused;
    let mut failures = refusal
        .candidates
        .iter()
        .map(|candidate| &candidate.failure);
    let is_other = |failure: &Refused| matches!(failure, Refused::SubjectDigest { .. });
    !refusal.candidates.is_empty() && failures.all(is_other)
}

/// Whether a signature can't be read because the layout or the kit that has it is damaged: that is no fault of who signed.
fn is_of_damaged_layout(refusal: &Refusal) -> bool {
    use countersign_oci::Error as RegistryError;
    use countersign_verify::Failure as Refused;
    refusal.candidates.iter().any(|candidate| {
        let Refused::Unreadable(error) = &candidate.failure else {
            return false;
        };
        match &**error {
            RegistryError::Layout { .. } => true,
            RegistryError::DigestMismatch { what, .. }
            | RegistryError::SizeMismatch { what, .. } => {
                matches!(what.location(), Location::Layout(_))
            }
            _ => false,
        }
    })
}

/// What to do about a signature that names the repository, where the policy wants the tag too.
const SIGN_WITH_TAG: &str =
    "the publisher has to sign the tag: `countersign sign NAME:TAG@DIGEST`, or with --then-tag TAG";

/// Whether a signature lacks nothing but the tag in its name.
fn is_untagged(refusal: &Refusal) -> bool {
    use countersign_verify::Failure as Refused;
    let mut candidates = refusal.candidates.iter();
    candidates
        .any(|one| matches!(&one.failure, Refused::Policy(violation) if violation.is_untagged()))
}

/// What to do about a signature that is for another name, where the policy binds names.
const OTHER_NAME: &str = "do not use the image under this name: the signature is for another one (`bind_name`), as it is where somebody moved the tag; if you asked for a copy, ask for the name that is signed, have this name signed too, or make the copy a mirror in a gallery, where the name of the entry counts";

/// The same, of a layout, whose own name is a path.
const LAYOUT_HAS_NO_NAME: &str = "the policy has `bind_name`, and nobody signs the path of a layout: install from a kit (`countersign copy --gallery FILE --to ocifile://KIT`), which keeps the names of its images, or ask for the image in its registry";

/// Whether a signature is for another name, and lacks nothing else.
fn is_for_other_name(refusal: &Refusal) -> bool {
    use countersign_verify::Failure as Refused;
    refusal.candidates.iter().any(|one| {
        matches!(&one.failure, Refused::Policy(violation) if matches!(**violation, Violation::Name { .. }))
    })
}

/// Whether the name that is asked for is the path of a layout. An image of a kit has the name of its source.
fn is_for_path(refusal: &Refusal) -> bool {
    use countersign_verify::Failure as Refused;
    let Location::Layout(layout) = refusal.image.location() else {
        return false;
    };
    let path = layout.to_string();
    refusal.candidates.iter().any(|one| {
        matches!(&one.failure, Refused::Policy(violation) if matches!(&**violation, Violation::Name { expected, .. } if *expected == path))
    })
}

/// What to do about an unsigned image if only a key can sign it.
const SIGN_BY_KEY: &str = "sign the image in its CI with the policy's key: `cosign sign --key cosign.key` (cosign 3, or 2.6 with --new-bundle-format)";

/// Whether the policy accepts the first missing proof by a key only.
fn asks_for_key(refusal: &Refusal) -> bool {
    let missing = refusal.requirements.iter().find(|one| !one.met);
    missing.is_some_and(|one| one.by_key)
}

/// What to do if all signatures that were found are by a signer of a kind that the policy does not have, or by
/// another key, or by a key and in no log.
fn other_kind_of_signer(refusal: &Refusal) -> Option<&'static str> {
    use countersign_verify::Failure as Refused;
    let signatures = refusal.candidates.iter();
    let signatures = signatures.filter(|one| one.failure.kind() != RefusalKind::Unsigned);
    let hints = signatures.map(|candidate| match &candidate.failure {
        Refused::KeyForCertificate => Some(
            "if the publisher signs with a key, pass --key FILE in the place of the policy or the identity, or write it into the policy as `key`, in the place of `issuer` and `identity`",
        ),
        Refused::CertificateForKey => Some(
            "if the publisher signs without a key, pass --issuer and --identity in the place of the policy or the key, or write `issuer` and `identity` into the policy in the place of `key`",
        ),
        Refused::OtherKey { .. } => Some(
            "compare the policy's key with the one that the publisher names now; if they are the same, the signature is damaged or somebody else's",
        ),
        Refused::KeyNotLogged => Some(
            "ask the publisher: if the signatures are in no log on purpose, use a policy file with `ignore_tlog: true` beside `key`; else the publisher has to sign again, with a log",
        ),
        _ => None,
    });
    let hints: Option<Vec<_>> = hints.collect();
    hints?.into_iter().next()
}

/// What to do about signatures that were all made too early.
const SIGNED_BEFORE: &str = "do not use the image: it was signed before the time that is asked for (`not_before` in the policy, or --not-before); use one that was signed since, or have it signed again";
/// What to do about signatures that all lack an annotation.
const OTHER_ANNOTATIONS: &str = "do not use the image; if you are sure that it is the right one, correct the annotations that are asked for: `annotations` in the policy, or -a";

/// What to do if nothing is wrong with any signature but its time, or its annotations: then no issuer and no identity
/// has to be compared.
fn condition_beside_signer(refusals: &[&Refusal]) -> Option<&'static str> {
    use countersign_verify::Failure as Refused;
    let candidates = refusals.iter().flat_map(|refusal| &refusal.candidates);
    let mut hints = candidates.map(|candidate| match &candidate.failure {
        Refused::Policy(violation) => match &**violation {
            Violation::SignedBefore { .. } => Some(SIGNED_BEFORE),
            Violation::Annotation { .. } => Some(OTHER_ANNOTATIONS),
            _ => None,
        },
        _ => None,
    });
    let first = hints.next().flatten()?;
    hints.all(|hint| hint == Some(first)).then_some(first)
}

/// What an image lacks that has nothing of the kind that the policy asks for.
#[derive(Clone, Copy)]
enum Lack {
    Signature {
        by_key: bool,
    },
    Attestation {
        by_key: bool,
    },
    /// It has an attestation, of another type.
    TypeOfAttestation,
    /// It has signatures, and an attestation is asked for.
    SignatureInstead,
}

impl Lack {
    fn hint(self) -> &'static str {
        match self {
            Self::Signature { by_key: true } => {
                "sign the image too, in its CI, with the policy's key: `cosign sign --key cosign.key`; the policy asks for a signature beside the attestation"
            }
            Self::Signature { by_key: false } => {
                "sign the image too, in its CI, with `countersign sign` or `cosign sign`: the policy asks for a signature beside the attestation"
            }
            Self::Attestation { by_key: true } => {
                "attach the attestation that is missing, in the image's CI, with the policy's key: `cosign attest --key cosign.key --type TYPE --predicate FILE` (cosign 3, or 2.6 with --new-bundle-format); countersign makes none"
            }
            Self::Attestation { by_key: false } => {
                "attach the attestation that is missing, in the image's CI, with `cosign attest --type TYPE --predicate FILE` (cosign 3, or 2.6 with --new-bundle-format), GitHub's `actions/attest` or another tool; countersign makes none"
            }
            Self::SignatureInstead => {
                "if the policy means an attestation, attach it in the image's CI, with `cosign attest --type TYPE --predicate FILE`, GitHub's `actions/attest` or another tool; if it means a signature, `predicate_types` is a mistake there; for both, use `require`"
            }
            Self::TypeOfAttestation => {
                "compare the type that the policy asks for with the one that was found; a policy names a type in full, and `countersign policy check` knows cosign's short names"
            }
        }
    }
}

/// What is missing first, if that is so in all of these refusals.
fn lack(refusals: &[&Refusal]) -> Option<Lack> {
    let lacks: Option<Vec<Lack>> = refusals.iter().map(|refusal| lack_of(refusal)).collect();
    lacks?.into_iter().next()
}

fn lack_of(refusal: &Refusal) -> Option<Lack> {
    use countersign_verify::Failure as Refused;
    let mut requirements = refusal.requirements.iter().enumerate();
    let (position, requirement) = requirements.find(|(_, one)| !one.met)?;
    let candidates = refusal.candidates.iter();
    let found: Option<Vec<&str>> = candidates
        .filter(|candidate| candidate.requirement == Some(position))
        .map(|candidate| match &candidate.failure {
            Refused::Attestation { found, .. } => Some(found.as_str()),
            _ => None,
        })
        .collect();
    let found = found?;
    let by_key = requirement.by_key;
    let is_signature = |name: &&str| *name == COSIGN_SIGN_PREDICATE;
    Some(match requirement.attestation {
        false => Lack::Signature { by_key },
        true if !found.iter().all(is_signature) => Lack::TypeOfAttestation,
        true if !found.is_empty() && refusal.requirements.len() == 1 => Lack::SignatureInstead,
        true => Lack::Attestation { by_key },
    })
}

/// Whether a signature lacks nothing but age.
fn has_only_to_wait(refusal: &Refusal) -> bool {
    use countersign_verify::Failure as Refused;
    refusal
        .candidates
        .iter()
        .any(|candidate| match &candidate.failure {
            Refused::Policy(violation) => match &**violation {
                Violation::TooYoung { reached, .. } => reached.is_some(),
                Violation::DeniedDigest { .. }
                | Violation::Format { .. }
                | Violation::PredicateType { .. }
                | Violation::Signer(_)
                | Violation::SignedBefore { .. }
                | Violation::NoTime { .. }
                | Violation::Annotation { .. }
                | Violation::Predicate { .. }
                | Violation::Name { .. }
                | Violation::Several { .. } => false,
            },
            _ => false,
        })
}
