//! What `verify --save` writes, and `policy test` reads: the inputs of a verdict, whole.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use countersign_oci::{Digest, Location, ResolvedImage};
use countersign_policy::Policy;
use countersign_verify::{FoundSignature, TrustedRoot};
use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::case::{Case, Expectation, FILE, LegacySignature, Signatures, Subject};
use super::cases::{AllSignatures, CaseSubject, CasesSpec, SignatureFiles};
use crate::commands::verify::bundle;
use crate::failure::{Failure, Kind};
use crate::input::read_text;
use crate::printable;

const TRUSTED_ROOT: &str = "trusted_root.json";

/// The trusted root that a file of cases names.
pub(super) struct SavedRoot {
    name: String,
    json: String,
}

impl SavedRoot {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        Ok(Self {
            name: path.display().to_string(),
            json: read_text(path, "trusted root")?,
        })
    }

    /// The root to judge by `policy` with. It stands for the instance that the policy names.
    pub(super) fn for_policy(&self, policy: &Policy) -> Result<TrustedRoot, Failure> {
        let root = if policy.needs_trusted_root() {
            TrustedRoot::from_json(&self.name, &self.json)?
        } else {
            TrustedRoot::empty()?
        };
        Ok(match policy.trust() {
            Some(trust) => root.for_trust(trust.clone()),
            None => root,
        })
    }
}

/// What a verdict on an image stood on.
pub(in crate::commands) struct Inputs<'a> {
    pub(in crate::commands) image: &'a ResolvedImage,
    /// In the order in which they were judged.
    pub(in crate::commands) signatures: Vec<FoundSignature>,
    pub(in crate::commands) trusted_root: &'a TrustedRoot,
    pub(in crate::commands) policy: &'a Policy,
    /// When it was judged.
    pub(in crate::commands) at: Timestamp,
    /// What became of it.
    pub(in crate::commands) verdict: Expectation,
}

/// Refuses a directory that is there.
pub(in crate::commands) fn require_new(directory: &Path) -> Result<(), Failure> {
    match directory.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(there(directory)),
        Err(error) => Err(unwritable(directory, error)),
    }
}

fn there(directory: &Path) -> Failure {
    let message = format!("{} is there already", printable::path(directory));
    Failure::new(Kind::Usage, message).hint("name a new directory, or remove this one first")
}

fn unwritable(directory: &Path, error: io::Error) -> Failure {
    Failure::unwritable(directory, "directory", error)
}

/// Gives the draft its name. `renamed` is what became of a rename that replaces nothing.
fn named(renamed: Result<(), Errno>, draft: &Path, directory: &Path) -> Result<(), Failure> {
    match renamed {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(there(directory)),
        // A file system without such a rename. What stood there was looked for before.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::rename(draft, directory).map_err(|error| unwritable(directory, error))
        }
        Err(errno) => Err(unwritable(directory, errno.into())),
    }
}

impl Inputs<'_> {
    /// Writes all of it to a new directory, and says which verdict `policy test` comes to with it: where it is refused for
    /// another reason, [`Expectation::Refused`] is expected. Nothing is there if it fails.
    ///
    /// # Errors
    /// If the directory is there or can't be written, or the verdict depends on more than this.
    pub(in crate::commands) fn write(&self, directory: &Path) -> Result<Saved, Failure> {
        require_new(directory)?;
        let parent = match directory.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let draft = tempfile::Builder::new()
            .prefix(".countersign-new")
            // Less the umask, as for any directory.
            .permissions(fs::Permissions::from_mode(0o777))
            .tempdir_in(parent)
            .map_err(|error| unwritable(directory, error))?;
        let (cases, saved) = self.cases(draft.path(), directory)?;
        let text = serde_saphyr::to_string(&cases).map_err(|error| {
            let message = "the case can't be written as YAML".to_owned();
            Failure::caused(Kind::Internal, message, error)
        })?;
        let text = format!(
            "# What a verdict of `countersign verify --save` stood on. To come to it again:\n\
             #   countersign policy test POLICY --case DIRECTORY\n{text}"
        );
        put(draft.path(), FILE, text.as_bytes()).map_err(|error| unwritable(directory, error))?;
        let renamed = renameat_with(CWD, draft.path(), CWD, directory, RenameFlags::NOREPLACE);
        named(renamed, draft.path(), directory)?;
        // It has another name now, by which nothing removes it.
        let _ = draft.keep();
        Ok(saved)
    }

    /// Writes all files but that of the cases.
    fn cases(&self, draft: &Path, directory: &Path) -> Result<(CasesSpec, Saved), Failure> {
        let put = |name: &str, content: &[u8]| {
            put(draft, name, content).map_err(|error| unwritable(directory, error))
        };
        let digest = self.image.digest();
        let image = match self.image.requested().location() {
            Location::Registry(_) => Some(self.image.requested().clone()),
            Location::Layout(_) if self.policy.bind_name() => {
                let message = "the policy has `bind_name`, and a case can't name an image layout";
                return Err(Failure::new(Kind::Usage, message).hint("leave --save out"));
            }
            Location::Layout(_) => None,
        };
        let subject = if Digest::sha256(self.image.bytes()) == *digest {
            put("image.json", self.image.bytes())?;
            CaseSubject::Manifest(PathBuf::from("image.json"))
        } else {
            CaseSubject::Digest(digest.clone())
        };
        let mut files = AllSignatures::default();
        for (number, signature) in (1..).zip(&self.signatures) {
            match signature.layer() {
                None => {
                    let text = String::from_utf8_lossy(signature.bytes());
                    if bundle::what_else(&text).is_none() {
                        let name = format!("signature-{number}.sigstore.json");
                        put(&name, signature.bytes())?;
                        files.bundles.push(name.into());
                    } else {
                        let name = format!("signature-{number}.bin");
                        put(&name, signature.bytes())?;
                        files.not_bundles.push(name.into());
                    }
                }
                Some(layer) => {
                    let (descriptor, payload) = (
                        format!("signature-{number}.descriptor.json"),
                        format!("signature-{number}.payload.json"),
                    );
                    let text = serde_json::to_vec_pretty(layer).map_err(|error| {
                        let message = "a descriptor can't be written as JSON".to_owned();
                        Failure::caused(Kind::Internal, message, error)
                    })?;
                    put(&descriptor, &text)?;
                    put(&payload, signature.bytes())?;
                    files.simple_signing.push(LegacySignature {
                        descriptor: descriptor.into(),
                        payload: payload.into(),
                    });
                }
            }
        }
        let mut case = Case {
            name: self.image.requested().to_string(),
            subject,
            signatures: Some(SignatureFiles::All(files)),
            image,
            at: Some(self.at),
            expect: self.verdict,
        };
        let saved = self.judged(&case)?;
        case.expect = saved.expectation();
        let trusted_root = match self.trusted_root.json() {
            "" => None,
            json => {
                put(TRUSTED_ROOT, json.as_bytes())?;
                Some(PathBuf::from(TRUSTED_ROOT))
            }
        };
        let cases = CasesSpec {
            trusted_root,
            cases: vec![case.into()],
        };
        Ok((cases, saved))
    }

    /// The verdict that the case comes to.
    fn judged(&self, case: &Case) -> Result<Saved, Failure> {
        let signatures = Signatures::All(self.signatures.clone());
        let (asked, subject) = (self.image.requested(), Subject::of(self.image));
        let verdict = case.judged(asked, &subject, &signatures, self.trusted_root, self.policy)?;
        compared(self.verdict, verdict.exactly())
    }
}

/// How the verdict of a case compares with the one that was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Saved {
    /// It is this one again.
    Same(Expectation),
    /// It is refused again, but for this reason, since that of the first verdict is in nothing that is saved.
    OtherReason(Expectation),
}

impl Saved {
    fn expectation(self) -> Expectation {
        match self {
            Self::Same(verdict) => verdict,
            Self::OtherReason(_) => Expectation::Refused,
        }
    }
}

/// Compares the verdict on the image with the one that its case comes to.
fn compared(verdict: Expectation, again: Expectation) -> Result<Saved, Failure> {
    let is_accepted = |one| one == Expectation::Accepted;
    match (is_accepted(verdict), is_accepted(again)) {
        _ if verdict == again => Ok(Saved::Same(again)),
        (false, false) => Ok(Saved::OtherReason(again)),
        (true, _) => {
            let again = again.as_str();
            let message = format!("the image is accepted, and its saved signatures are {again}");
            Err(Failure::new(Kind::Internal, message))
        }
        (false, true) => {
            let message =
                "the verdict can't be saved: it depends on more than the image's own signatures";
            Err(Failure::new(Kind::Policy, message)
                .hint("an index that the policy denies lists the image; `verify` says which"))
        }
    }
}

fn put(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    fs::write(directory.join(name), content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_gets_its_name_where_no_rename_says_that_something_is_there() {
        for lacking in [Errno::NOSYS, Errno::INVAL, Errno::OPNOTSUPP] {
            let above = tempfile::tempdir().unwrap();
            let (draft, directory) = (above.path().join("draft"), above.path().join("saved"));
            fs::create_dir(&draft).unwrap();
            named(Err(lacking), &draft, &directory).unwrap();
            assert!(directory.is_dir() && !draft.exists(), "{lacking:?}");
        }
        let nowhere = Path::new("nowhere");
        let taken = named(Err(Errno::EXIST), nowhere, nowhere).unwrap_err();
        assert_eq!(taken.kind, Kind::Usage);
        let refused = named(Err(Errno::ACCESS), nowhere, nowhere).unwrap_err();
        assert!(!refused.line().contains("already"), "{}", refused.line());
    }

    #[test]
    fn a_case_that_comes_to_another_verdict_is_told_and_is_no_refusal_by_the_policy() {
        use Expectation::{Accepted, RefusedInvalid, RefusedPolicy, RefusedUnsigned};
        for verdict in [Accepted, RefusedInvalid, RefusedPolicy, RefusedUnsigned] {
            let saved = compared(verdict, verdict).unwrap();
            assert_eq!(saved.expectation(), verdict);
        }
        let saved = compared(RefusedInvalid, RefusedUnsigned).unwrap();
        assert_eq!(saved, Saved::OtherReason(RefusedUnsigned));
        assert_eq!(saved.expectation(), Expectation::Refused);
        let failure = compared(Accepted, RefusedUnsigned).unwrap_err();
        assert_eq!(failure.kind, Kind::Internal);
        assert!(failure.hints().iter().all(|hint| !hint.contains("index")));
        let failure = compared(RefusedPolicy, Accepted).unwrap_err();
        assert_eq!(failure.kind, Kind::Policy);
        assert!(failure.hints().iter().any(|hint| hint.contains("index")));
    }
}
