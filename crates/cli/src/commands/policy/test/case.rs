//! One case of `countersign policy test`: its files, and what the policy says of them.

use std::fmt;
use std::path::{Path, PathBuf};

use countersign_oci::{Digest, Document, Reference, ResolvedImage};
use countersign_policy::Policy;
use countersign_verify::{
    Denied, Error as VerifyError, FoundSignature, RefusalKind, TrustedRoot, judge_digest,
    judge_found, short_digest,
};
use jiff::Timestamp;

use super::cases::{AllSignatures, CaseSubject, SignatureFiles};
pub(super) use super::cases::{Case, Cases, LegacySignature};
pub(in crate::commands) use super::cases::{Expectation, FILE};
use crate::commands::verify::bundle;
use crate::failure::{Failure, Kind};
use crate::input::read_bytes;
use crate::printable;

/// Stands for the name of an image that no condition asks for.
const NAMELESS: &str = "registry.invalid/image";

/// Bytes of one manifest or bundle. Real ones are a hundred times smaller.
const FILE_MAX: u64 = 4 << 20;

impl Case {
    /// What the policy says of the case. The error is of the files, not of the verdict.
    pub(super) fn judge(
        &self,
        directory: &Path,
        trusted_root: &TrustedRoot,
        policy: &Policy,
    ) -> Result<Verdict, Failure> {
        let asked = self.asked(policy)?;
        let subject = self.subject(directory, &asked)?;
        // Without any, nobody has signed it.
        let found = self.signatures(directory)?;
        let found = found.unwrap_or_else(|| Signatures::All(Vec::new()));
        self.judged(&asked, &subject, &found, trusted_root, policy)
    }

    /// The signatures; `None` if the case names none.
    pub(super) fn signatures(&self, directory: &Path) -> Result<Option<Signatures>, Failure> {
        let bundle = |path: &PathBuf| self.read_bundle(directory, path);
        let AllSignatures {
            bundles,
            not_bundles,
            simple_signing,
        } = match &self.signatures {
            None => return Ok(None),
            Some(SignatureFiles::One(one)) => return Ok(Some(Signatures::One(bundle(one)?))),
            Some(SignatureFiles::All(all)) => all,
        };
        let mut found = Vec::new();
        for path in bundles {
            found.push(FoundSignature::bundle(bundle(path)?));
        }
        for path in not_bundles {
            let content = read(&directory.join(path), "signature")?;
            found.push(FoundSignature::bundle(content));
        }
        for LegacySignature {
            descriptor,
            payload,
        } in simple_signing
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
                let failure = self.useless(format_args!(
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
        let Some(SignatureFiles::All(files)) = &self.signatures else {
            return self.with_name(reason);
        };
        let bundles = files.bundles.iter().chain(&files.not_bundles);
        let legacy = files.simple_signing.iter().map(|legacy| &legacy.payload);
        for (signature, file) in found.iter().zip(bundles.chain(legacy)) {
            let digest = short_digest(&Digest::sha256(signature.bytes()));
            reason = reason.replace(&digest, &printable::path(file));
        }
        self.with_name(reason)
    }

    /// `reason` without the name of an image that nobody named.
    fn with_name(&self, reason: String) -> String {
        match self.image {
            Some(_) => reason,
            None => reason.replace(&format!("{NAMELESS}@"), ""),
        }
    }

    /// What the policy says of these signatures.
    pub(super) fn judged(
        &self,
        asked: &Reference,
        subject: &Subject,
        signatures: &Signatures,
        trusted_root: &TrustedRoot,
        policy: &Policy,
    ) -> Result<Verdict, Failure> {
        let Subject { digest, listed } = subject;
        let at = self.at.unwrap_or_else(Timestamp::now);
        let verdict = match signatures {
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
        };
        // As without `--platform`: nobody knows which of its images will be used. As in `verify`, it is asked last.
        let denied = listed.iter().find(|listed| policy.denies(listed));
        Ok(match (verdict, denied) {
            (Verdict::Accepted, Some(listed)) => {
                let denied = Denied {
                    image: asked.location().at(listed.clone()),
                    listed_by: None,
                };
                Verdict::Refused {
                    kind: RefusalKind::Policy,
                    reason: self.with_name(denied.to_string()),
                }
            }
            (verdict, _) => verdict,
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

    /// The image that the case is about.
    pub(super) fn subject(&self, directory: &Path, asked: &Reference) -> Result<Subject, Failure> {
        let subject = match &self.subject {
            CaseSubject::Manifest(path) => {
                let manifest = read(&directory.join(path), "manifest")?;
                let image = ResolvedImage::from_bytes(asked.location(), manifest.into(), None)
                    .map_err(|error| self.unusable(error))?;
                Subject::of(&image)
            }
            CaseSubject::Digest(digest) => Subject {
                digest: digest.clone(),
                listed: Vec::new(),
            },
        };
        let digest = &subject.digest;
        match asked.digest() {
            Some(named) if named != digest => Err(self.unusable(format_args!(
                "`image` names {named}, but the case is about {digest}"
            ))),
            _ => Ok(subject),
        }
    }

    fn unusable(&self, detail: impl fmt::Display) -> Failure {
        self.useless(detail)
            .hint("correct the file of cases; `countersign policy test --help` shows one")
    }

    /// As [`Self::unusable`], without its hint.
    fn useless(&self, detail: impl fmt::Display) -> Failure {
        let message = format!("the case `{}` can't be used: {detail}", self.name);
        Failure::new(Kind::Usage, message)
    }
}

/// The image of a case.
pub(super) struct Subject {
    pub(super) digest: Digest,
    /// What its index lists, if the manifest is there and is one.
    listed: Vec<Digest>,
}

impl Subject {
    pub(super) fn of(image: &ResolvedImage) -> Self {
        let listed = match image.document() {
            Document::Index(index) => index.manifests.iter(),
            Document::Manifest(_) => [].iter(),
        };
        Self {
            digest: image.digest().clone(),
            listed: listed.map(|one| one.digest.clone()).collect(),
        }
    }
}

/// The signatures of a case.
pub(super) enum Signatures {
    /// One bundle, which has to prove all that the policy requires.
    One(Vec<u8>),
    /// All signatures of the image, as `verify` judges them.
    All(Vec<FoundSignature>),
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
