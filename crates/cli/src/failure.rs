//! Errors as a person meets them: one place that gives every library error a kind, an exit code
//! and a hint of what to do.

mod layout;

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use countersign_download::HttpError;
use countersign_oci::{Error as RegistryError, Repository};
use countersign_verify::RefusalKind;
use serde::Serialize;

/// What kind of failure ended a command; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A fault of this program or of the machine it runs on.
    Internal,
    /// The command line, or an input file, can't be used.
    Usage,
    /// No signature of a kind that counts.
    Unsigned,
    /// A genuine signature that the policy does not accept.
    Policy,
    /// Signature, certificate, log entry, digest or archive do not hold.
    Invalid,
    /// No such image, tag or platform.
    NotFound,
    /// Network, registry, signing service or login.
    Unreachable,
}

impl Kind {
    /// The process's exit code.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Unsigned => 3,
            Self::Policy => 4,
            Self::Invalid => 5,
            Self::NotFound => 6,
            Self::Unreachable => 7,
        }
    }
}

/// A failure with all that is said of it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    error: Box<dyn Error + Send + Sync>,
    hints: Vec<String>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            error: error.into(),
            hints: Vec::new(),
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With what to do about a refusal of this kind, of an image in `repository`.
    fn hinted_as_refused(self, kind: Kind, repository: &Repository) -> Self {
        let failure = self.hint(refusal_hint(kind));
        match layout::unsigned_hint(repository) {
            Some(hint) if kind == Kind::Unsigned => failure.hint(hint),
            _ => failure,
        }
    }

    /// An input file that can't be read.
    pub(crate) fn unreadable(path: &Path, what: &str, error: &std::io::Error) -> Self {
        let message = format!("the {what} {} can't be read: {error}", path.display());
        Self::new(Kind::Usage, message).hint("check the path, and who may read it")
    }

    /// The error's message and those of its causes, the outermost first. A cause that only
    /// repeats what stands before it is left out.
    fn messages(&self) -> Vec<String> {
        let mut messages = vec![self.error.to_string()];
        let mut source = self.error.source();
        while let Some(error) = source {
            let message = error.to_string();
            if messages.last().is_none_or(|last| !last.contains(&message)) {
                messages.push(message);
            }
            source = error.source();
        }
        messages
    }

    /// The error and its causes in one line.
    pub(crate) fn line(&self) -> String {
        self.messages().join(": ")
    }

    /// For a terminal: `error:`, the causes, then the hints.
    pub(crate) fn to_text(&self) -> String {
        let messages = self.messages();
        let mut text = String::new();
        for (at, message) in messages.iter().enumerate() {
            let label = if at == 0 { "error" } else { "  caused by" };
            let _ = writeln!(text, "{label}: {}", indent(message));
        }
        for hint in &self.hints {
            let _ = writeln!(text, "  hint: {}", indent(hint));
        }
        text
    }

    /// For a program.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let messages = self.messages();
        serde_json::json!({
            "kind": self.kind,
            "exit_code": self.kind.exit_code(),
            "message": messages.first(),
            "causes": messages.get(1..).unwrap_or_default(),
            "hints": self.hints,
        })
    }
}

fn indent(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let (kind, hint) = match &error {
            RegistryError::Layout { source, .. } => (layout::kind(source), layout::hint(source)),
            RegistryError::NotFound { what } if layout::is_layout(what) => {
                (Kind::NotFound, Some(layout::NOT_FOUND))
            }
            RegistryError::DigestMismatch { what, .. }
            | RegistryError::SizeMismatch { what, .. }
                if layout::is_layout(what) =>
            {
                (Kind::Invalid, Some(layout::CHANGED))
            }
            RegistryError::NotFound { .. } => (
                Kind::NotFound,
                Some(
                    "check the name and the tag; a registry also answers so for a private repository without a login",
                ),
            ),
            RegistryError::Unauthorized { .. } => (
                Kind::Unreachable,
                Some(
                    "log in with `docker login` or `podman login`; countersign reads the same credential files and helpers",
                ),
            ),
            RegistryError::DigestMismatch { .. } | RegistryError::SizeMismatch { .. } => (
                Kind::Invalid,
                Some(
                    "the registry, or something between, serves other bytes than those asked for; do not use them",
                ),
            ),
            RegistryError::Limit { .. } | RegistryError::Manifest { .. } => (Kind::Invalid, None),
            RegistryError::Network { .. } => (
                Kind::Unreachable,
                Some(
                    "check the host's name, the network and the proxy; a name without a host is Docker Hub's, and a registry without TLS needs --plain-http unless it is on a loopback address",
                ),
            ),
            RegistryError::Protocol { .. } => (
                Kind::Unreachable,
                Some(
                    "check that this is a registry's address: login pages and proxies answer like this",
                ),
            ),
            RegistryError::Status { .. } => (Kind::Unreachable, None),
            RegistryError::Credentials { .. } | RegistryError::Configuration { .. } => {
                (Kind::Usage, None)
            }
            _ => (Kind::Internal, None),
        };
        let failure = Self::new(kind, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<countersign_oci::NoSuchPlatform> for Failure {
    fn from(error: countersign_oci::NoSuchPlatform) -> Self {
        Self::new(Kind::NotFound, error).hint("choose one of these with --platform")
    }
}

impl From<countersign_policy::PolicyError> for Failure {
    fn from(error: countersign_policy::PolicyError) -> Self {
        use countersign_policy::Problem;
        let hint = match error.problem() {
            Problem::Syntax { .. } => Some(
                "keys of one mapping begin in the same column, after spaces and never tabs; in \"double quotes\" a backslash is written twice, in 'single quotes' once",
            ),
            Problem::Regex { .. } => {
                Some("write a backslash before what stands for itself: `\\.`, `\\(`, `\\+`, `\\?`")
            }
            Problem::Form { .. } if error.place().path.to_string().ends_with("verification") => {
                Some(
                    "a `verification` block has `issuer` and `identity`, or `issuer_regex` and `identity_regex` in their places",
                )
            }
            _ => None,
        };
        let failure = Self::new(Kind::Usage, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<countersign_verify::TrustError> for Failure {
    fn from(error: countersign_verify::TrustError) -> Self {
        use countersign_verify::{TrustError, TufError};
        match error {
            TrustError::Tuf {
                source: TufError::Cache { .. },
                ..
            } => Self::new(Kind::Unreachable, error).hint(
                "run it once without --offline, where the network reaches the TUF repository, or \
                 pass --trusted-root FILE",
            ),
            TrustError::Tuf { .. } => Self::new(Kind::Unreachable, error).hint(
                "check the network, or pass --trusted-root FILE to do without the TUF repository",
            ),
            _ => Self::new(Kind::Usage, error)
                .hint("pass a trusted_root.json as the instance's TUF repository distributes it"),
        }
    }
}

impl From<countersign_verify::Error> for Failure {
    fn from(error: countersign_verify::Error) -> Self {
        use countersign_verify::Error as VerifyError;
        match error {
            VerifyError::Registry(error) => error.into(),
            VerifyError::Trust(error) => error.into(),
            VerifyError::Refused(refusal) => {
                let kind = refused(refusal.kind());
                let repository = refusal.image.repository().clone();
                Self::new(kind, refusal).hinted_as_refused(kind, &repository)
            }
            VerifyError::Late { .. } => Self::new(Kind::Unreachable, error)
                .hint("the registry is very slow, or holds the verification up: try again later"),
            other => Self::new(Kind::Internal, other),
        }
    }
}

fn refused(kind: RefusalKind) -> Kind {
    match kind {
        RefusalKind::Unsigned => Kind::Unsigned,
        RefusalKind::Policy => Kind::Policy,
        RefusalKind::Invalid => Kind::Invalid,
    }
}

fn refusal_hint(kind: Kind) -> &'static str {
    match kind {
        Kind::Unsigned => {
            "sign the image in its CI with `countersign sign` or `cosign sign` (cosign 3, or 2.6 with --new-bundle-format)"
        }
        Kind::Policy => {
            "if this signer is the right one, correct the policy; if not, do not use the image"
        }
        _ => {
            "the signature can't be trusted: do not use the image; its publisher has to sign it again"
        }
    }
}

impl From<countersign_download::Error> for Failure {
    fn from(error: countersign_download::Error) -> Self {
        use countersign_download::Error as DownloadError;
        match error {
            DownloadError::Verify(error) => error.into(),
            DownloadError::Registry(error) => error.into(),
            DownloadError::Platform(error) => error.into(),
            DownloadError::Refused {
                ref index,
                ref manifest,
                ..
            } => {
                let kind = refused(index.kind().max(manifest.kind()));
                let repository = index.image.repository().clone();
                Self::new(kind, error).hinted_as_refused(kind, &repository)
            }
            DownloadError::Denied { .. } => Self::new(Kind::Policy, error),
            DownloadError::OtherSigner { .. } => Self::new(Kind::Policy, error).hint(
                "find out why somebody else signed it; if that is right, install it with --lock again",
            ),
            DownloadError::OtherContent { .. } => Self::new(Kind::Invalid, error).hint(
                "if the lock file was edited, restore it; if the content was, and that is right, install it with --lock again",
            ),
            DownloadError::Older { .. } => Self::new(Kind::Policy, error).hint(
                "somebody may have moved the tag back; if the older image is wanted, pass --allow-older",
            ),
            DownloadError::Weaker { .. } => Self::new(Kind::Policy, error).hint(
                "if it is wanted all the same, `countersign remove` what is installed first",
            ),
            DownloadError::Unverifiable { .. } => Self::new(Kind::Policy, error),
            DownloadError::Checksum { .. } => Self::new(Kind::Invalid, error).hint(
                "the file was changed, or the gallery's `sha256` is of another one; do not use it",
            ),
            DownloadError::Http(ref http) => Self::new(http_kind(http), error),
            DownloadError::NoDirectory { .. } => Self::new(Kind::NotFound, error),
            DownloadError::Directory { .. } => Self::new(Kind::Usage, error),
            DownloadError::WrongPlatform { .. } => Self::new(Kind::NotFound, error)
                .hint("ask for the platform that there is with --platform"),
            DownloadError::NotAnImage { .. } => Self::new(Kind::NotFound, error),
            DownloadError::OtherProof { .. }
            | DownloadError::OtherPermit { .. }
            | DownloadError::Configuration { .. }
            | DownloadError::LayerCount { .. }
            | DownloadError::LayerType { .. }
            | DownloadError::Layer { .. }
            | DownloadError::Archive { .. }
            | DownloadError::Tree(_)
            | DownloadError::Limit { .. } => Self::new(Kind::Invalid, error),
            DownloadError::Target { .. } => Self::new(Kind::Usage, error).hint(
                "name a directory that does not exist, is empty, or holds an earlier installation",
            ),
            DownloadError::Displaced { ref kept, .. } => {
                let hint = format!(
                    "the old installation is whole in {}; installing again puts it back first",
                    kept.display()
                );
                Self::new(Kind::Internal, error).hint(hint)
            }
            DownloadError::Busy { .. } => {
                Self::new(Kind::Internal, error).hint("wait for the other installation to end")
            }
            _ => Self::new(Kind::Internal, error),
        }
    }
}

impl From<countersign_download::LockError> for Failure {
    fn from(error: countersign_download::LockError) -> Self {
        Self::new(Kind::Usage, error)
    }
}

impl From<countersign_download::LockedError> for Failure {
    fn from(error: countersign_download::LockedError) -> Self {
        use countersign_download::LockedError;
        let (kind, hint) = match &error {
            LockedError::Unknown { .. } => (
                Kind::NotFound,
                "install it with --lock first, and what there is now is locked",
            ),
            LockedError::Platform { .. } => (
                Kind::NotFound,
                "install it for this platform with --lock first; what is locked for the others stays as it is",
            ),
            LockedError::Gallery { .. } => (
                Kind::Usage,
                "pass the file with the gallery that it was locked from, or install it with --lock again",
            ),
            LockedError::Entry { .. } => (
                Kind::Policy,
                "pass the --capability that it was locked for; if the gallery has changed and this is wanted, install it with --lock again",
            ),
            LockedError::Digest { .. } => (
                Kind::Policy,
                "if the gallery's content is the one that is wanted, install it with --lock again",
            ),
            LockedError::Weaker { .. } => (
                Kind::Policy,
                "somebody took it out of the gallery: put the `verification` block, or the `sha256`, back",
            ),
            LockedError::Unverified { .. } => (
                Kind::Policy,
                "give the gallery a `verification` block, and install it with --lock again",
            ),
            LockedError::Signer { .. } => (
                Kind::Policy,
                "if the policy is right, do not use what is locked: install with --lock again",
            ),
            _ => return Self::new(Kind::Internal, error),
        };
        Self::new(kind, error).hint(hint)
    }
}

impl From<countersign_download::PlanFailure> for Failure {
    /// Kind and hints are those of the decisive error; the text has those of all sources.
    fn from(failure: countersign_download::PlanFailure) -> Self {
        let message = failure.to_string();
        let locked = failure.locked().is_some();
        let Some(decisive) = failure.into_decisive().map(Self::from) else {
            return Self::new(Kind::Internal, message);
        };
        let hints = if locked && decisive.kind == Kind::NotFound {
            let hint = "the locked digest is gone from the registries: if what is there now is wanted, install it with --lock again";
            vec![hint.to_owned()]
        } else {
            decisive.hints
        };
        Self {
            error: message.into(),
            kind: decisive.kind,
            hints,
        }
    }
}

impl From<countersign_download::StoreError> for Failure {
    fn from(error: countersign_download::StoreError) -> Self {
        use countersign_download::StoreError;
        match error {
            StoreError::Plan(failure) => failure.into(),
            StoreError::Installation(error) => error.into(),
            StoreError::Name(error) => Self::new(Kind::Usage, error),
            StoreError::NotInstalled { .. } => {
                Self::new(Kind::NotFound, error).hint("`countersign list` shows what is installed")
            }
            _ => Self::new(Kind::Internal, error),
        }
    }
}

impl From<countersign_download::NameError> for Failure {
    fn from(error: countersign_download::NameError) -> Self {
        Self::new(Kind::Usage, error)
    }
}

impl From<crate::environment::NotABoolean> for Failure {
    fn from(error: crate::environment::NotABoolean) -> Self {
        Self::new(Kind::Usage, error.to_string())
    }
}

fn http_kind(error: &HttpError) -> Kind {
    match error {
        HttpError::NotFound { .. } => Kind::NotFound,
        HttpError::TooLarge { .. } => Kind::Invalid,
        HttpError::Configuration { .. } => Kind::Usage,
        _ => Kind::Unreachable,
    }
}

impl From<countersign_download::GalleryError> for Failure {
    fn from(error: countersign_download::GalleryError) -> Self {
        use countersign_download::GalleryError;
        match &error {
            GalleryError::Unserved { unserved, .. } => {
                let absent = |error: &GalleryError| {
                    matches!(
                        error,
                        GalleryError::NoFile { .. }
                            | GalleryError::Http(HttpError::NotFound { .. })
                    )
                };
                if unserved.iter().all(|one| absent(&one.error)) {
                    Self::new(Kind::NotFound, error)
                        .hint("correct the gallery's `url`, or give it `mirrors`; after `file:` stands a path from the directory of the file that names the gallery")
                } else {
                    Self::new(Kind::Unreachable, error)
                        .hint("check the network and the proxy, or give the gallery `mirrors`")
                }
            }
            GalleryError::NoFile { .. } => Self::new(Kind::NotFound, error),
            GalleryError::Http(http) => Self::new(http_kind(http), error),
            GalleryError::Index(_) | GalleryError::NotText { .. } => Self::new(Kind::Usage, error)
                .hint("correct the index, or the gallery's `url` if that isn't an index's: a list of entries, each with `name` and `uri`"),
            GalleryError::Location { .. } => Self::new(Kind::Usage, error)
                .hint("correct the gallery's `url`; an index beside the file that names the gallery is `file:index.yaml`"),
            GalleryError::File { .. } => Self::new(Kind::Usage, error),
            _ => Self::new(Kind::Internal, error),
        }
    }
}

/// What is wrong stands in the gallery's index, which may be the user's own.
const CORRECT_THE_INDEX: &str =
    "correct the entry in the gallery's index, or tell the gallery's maintainer";

impl From<countersign_download::PlanError> for Failure {
    fn from(error: countersign_download::PlanError) -> Self {
        use countersign_download::{EntryError, PlanError, RequirementError};
        if let PlanError::Locked(error) = error {
            return error.into();
        }
        match &error {
            PlanError::Entry { source, .. } => {
                match source {
                    EntryError::Unknown { .. } => Self::new(Kind::NotFound, error)
                        .hint("`--all --dry-run` shows every entry that there is"),
                    EntryError::NotForCapability { .. } => Self::new(Kind::NotFound, error)
                        .hint("choose one of these with --capability"),
                    EntryError::Ambiguous { .. } => {
                        Self::new(Kind::Usage, error).hint("choose one of these names")
                    }
                    _ => Self::new(Kind::Usage, error).hint(CORRECT_THE_INDEX),
                }
            }
            PlanError::Local { .. } => Self::new(Kind::Policy, error)
                .hint("to install from this machine, save the index as a file and name it by `url: file:…`"),
            PlanError::Source { .. } | PlanError::Mirrors { .. } => {
                Self::new(Kind::Usage, error).hint(CORRECT_THE_INDEX)
            }
            PlanError::Requirement { source, .. } => {
                let hint = match source {
                    RequirementError::NoPolicy { .. } => {
                        "give the gallery a `verification` block that says who must have signed"
                    }
                    RequirementError::NoDigest { .. } => {
                        "add the tarball's `sha256` to the entry, or tell the gallery's maintainer"
                    }
                    _ => "publish it as a signed image, or tell the gallery's maintainer",
                };
                Self::new(Kind::Policy, error).hint(hint)
            }
            _ => Self::new(Kind::Internal, error),
        }
    }
}

impl From<countersign_sign::TokenError> for Failure {
    fn from(error: countersign_sign::TokenError) -> Self {
        use countersign_sign::TokenError;
        match error {
            TokenError::Expired { .. } => Self::new(Kind::Unreachable, error)
                .hint("get a new token right before signing: most live for five to ten minutes"),
            TokenError::Audience { .. } => Self::new(Kind::Usage, error)
                .hint("ask the issuer for a token with the audience `sigstore`"),
            _ => Self::new(Kind::Usage, error)
                .hint("pass the token itself, or @FILE to read it from a file"),
        }
    }
}

impl From<countersign_sign::Error> for Failure {
    fn from(error: countersign_sign::Error) -> Self {
        use countersign_sign::Error as SignError;
        match error {
            SignError::Registry(error) => error.into(),
            SignError::Trust(error) => error.into(),
            SignError::Token(error) => error.into(),
            SignError::Services { .. } => Self::new(Kind::Usage, error),
            SignError::Service { .. } => Self::new(Kind::Unreachable, error),
            SignError::Refused { ref source, .. } => {
                let kind = match source.as_ref() {
                    countersign_verify::Error::Refused(refusal) => refused(refusal.kind()),
                    countersign_verify::Error::Registry(_) => Kind::Unreachable,
                    _ => Kind::Internal,
                };
                Self::new(kind, error).hint(
                    "an installer would refuse this image too: compare the trusted root with the services that signed, and the policy with the signer",
                )
            }
            SignError::Unneeded { ref source, .. } => {
                let kind = refused(source.kind());
                Self::new(kind, error).hint(
                    "an installer would accept the image for another signature, and not for this one: compare the policy with the signer",
                )
            }
            SignError::Bundle { .. } => Self::new(Kind::Invalid, error)
                .hint("the trusted root has to be of the instance whose services signed"),
            SignError::NotListed { .. } => Self::new(Kind::Unreachable, error)
                .hint("sign again; if it stays so, the registry's referrers support is at fault"),
            SignError::Limit { .. } => Self::new(Kind::Invalid, error),
            _ => Self::new(Kind::Internal, error),
        }
    }
}
