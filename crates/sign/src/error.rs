//! What can go wrong while signing.

use std::fmt;

use countersign_oci::{Digest, ErrorKind, PinnedReference, Reference, UnreadEntries};
use countersign_policy::{PolicyError, Violation};

use crate::clock::Skew;
use crate::login::LoginError;
use crate::token::TokenError;

/// An error of the producer. None holds a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading the image from the registry, or pushing the signature, failed.
    #[error(transparent)]
    Registry(#[from] countersign_oci::Error),
    /// The trusted root can't be loaded.
    #[error(transparent)]
    Trust(#[from] countersign_verify::TrustError),
    /// The identity token can't be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Nobody logged in.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The identity token expired, and there was no new one to be had.
    #[error("the identity token has expired, and a new one could not be had")]
    Renewal(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Annotations that no policy can ask for.
    #[error(transparent)]
    Annotations(PolicyError),
    /// References without a digest: a registry would decide what is signed.
    #[error(
        "expected a digest in each reference, found none in {}: the registry decides what a tag names, and would decide what is signed",
        .pinned.iter().map(|one| one.without_digest().to_string()).collect::<Vec<_>>().join(" and ")
    )]
    ByTag {
        /// Each of them with the digest that its tag names now.
        pinned: Vec<Reference>,
    },
    /// A tag that does not exist, or names another digest than the one it stands beside.
    #[error(
        "the tag {} does not name the given digest: expected {expected}, found {}",
        .reference.without_digest(),
        .found.as_ref().map_or_else(|| "no such tag".to_owned(), ToString::to_string)
    )]
    Tag {
        /// The reference.
        reference: Box<Reference>,
        /// Its digest.
        expected: Digest,
        /// What the registry says that the tag names.
        found: Option<Digest>,
    },
    /// The signing config, or the combination of services, can't be used.
    #[error("the signing services can't be used: expected {expected}, found {found}")]
    Services {
        /// What a usable configuration has.
        expected: String,
        /// What this one has.
        found: String,
    },
    /// Signatures can't be made in this form, or nobody would accept them.
    #[error("signatures can't be written in this form: expected {expected}, found {found}")]
    Format {
        /// What the form needs.
        expected: &'static str,
        /// What there is.
        found: &'static str,
    },
    /// A signing service answers with an error, after retries where they make sense.
    #[error("{service} failed{}", .status.map(|s| format!(" (HTTP status {s})")).unwrap_or_default())]
    Service {
        /// Which one.
        service: Service,
        /// HTTP status of its answer, if there was one.
        status: Option<u16>,
        /// What kind of failure it is.
        kind: ErrorKind,
        /// What it says, or what happened on the way.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An image index is nested deeper, or has more members, than can be signed in one run.
    #[error("{image} has more than {limit} {unit}")]
    Limit {
        /// The index.
        image: PinnedReference,
        /// The bound.
        limit: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// An index lists something without a digest or with one that can't be checked, so that not all of it can be
    /// signed.
    #[error("{index} can't be signed as a whole")]
    Entry {
        /// The index.
        index: PinnedReference,
        /// How many entries it has, and how many of them can be read.
        #[source]
        source: UnreadEntries,
    },
    /// The installer's policy refuses what would be signed. Nothing was published but, where there
    /// is one, the certificate.
    #[error("the policy would refuse a signature of {image} by this job; nothing was signed")]
    Policy {
        /// The manifest.
        image: PinnedReference,
        /// The first condition that doesn't hold.
        #[source]
        source: Box<Violation>,
    },
    /// This machine's clock is wrong by more than can be waited for.
    #[error("this machine's clock differs from that of {service}: {skew}")]
    Clock {
        /// Who has the other time.
        service: Service,
        /// Both times.
        skew: Skew,
    },
    /// Signing or encoding failed in this process.
    #[error("the signature for {image} can't be made")]
    Encode {
        /// The manifest to sign.
        image: PinnedReference,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A key pair can't be made, by this process's source of random numbers.
    #[error("an ephemeral key can't be made")]
    Key(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The signature was pushed, and the consumer refuses it.
    #[error("{image} was signed and the signature pushed, but the consumer refuses it")]
    Refused {
        /// The manifest that was signed.
        image: PinnedReference,
        /// The consumer's reasons.
        #[source]
        source: Box<countersign_verify::Error>,
    },
    /// The signature that is to be verified again is by a key: then nothing says whose it is.
    #[error("the signature of {image} has no certificate: expected the one that it was made with")]
    NoCertificate {
        /// The manifest that was signed.
        image: PinnedReference,
    },
    /// The consumer accepts the signatures, and a further check does not. No tag was written.
    #[error(
        "the further check refuses the signatures; they are in the registry, and no tag was written"
    )]
    FurtherCheck(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bundle that the services' answers make does not hold. It was not pushed.
    #[error("the signature made for {image} does not hold, and was not pushed")]
    Bundle {
        /// The manifest that was signed.
        image: PinnedReference,
        /// The first check that fails.
        #[source]
        source: Box<countersign_verify::Failure>,
    },
    /// Images can't be joined into one.
    #[error(transparent)]
    Merge(#[from] crate::merge::MergeError),
    /// An image can't be copied.
    #[error(transparent)]
    Copy(#[from] crate::copy::CopyError),
    /// Tags can't be written.
    #[error(transparent)]
    Publication(#[from] crate::publication::PublicationError),
    /// The signature was pushed, and the registry's list of referrers doesn't name it.
    #[error(
        "the signature of {image} was pushed, but the registry does not list it: expected {expected} among {found} referrers"
    )]
    NotListed {
        /// The manifest that was signed.
        image: PinnedReference,
        /// Digest of the signature's manifest.
        expected: Digest,
        /// How many referrers are listed.
        found: usize,
    },
}

/// There is no fresh token. Any error may say it; this one says of what kind the failure is, too.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct NotRenewed {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// Why there is none.
    pub message: String,
}

impl Error {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Registry(error) => error.kind(),
            Self::Trust(error) => error.kind(),
            Self::Token(error) => error.kind(),
            Self::Login(error) => error.kind(),
            Self::Renewal(source) => {
                let of_caller = source.downcast_ref::<NotRenewed>().map(|none| none.kind);
                let kind = of_caller.or_else(|| source.downcast_ref::<Self>().map(Self::kind));
                // Whoever was asked for a login gave none.
                kind.unwrap_or(ErrorKind::Rejected)
            }
            Self::Annotations(_)
            | Self::ByTag { .. }
            | Self::Services { .. }
            | Self::Format { .. } => ErrorKind::Usage,
            Self::Tag { found, .. } => match found {
                Some(_) => ErrorKind::Invalid,
                None => ErrorKind::NotFound,
            },
            Self::Policy { .. } => ErrorKind::Policy,
            Self::Clock { .. } => ErrorKind::Machine,
            Self::Service { kind, .. } => *kind,
            Self::Limit { .. } | Self::Entry { .. } | Self::FurtherCheck(_) => ErrorKind::Invalid,
            Self::Bundle { source, .. } => source.kind().into(),
            Self::Encode { .. } | Self::Key(_) | Self::NoCertificate { .. } => ErrorKind::Internal,
            Self::Refused { source, .. } => match source.kind() {
                // The image was there a moment ago.
                ErrorKind::NotFound => ErrorKind::Unreachable,
                kind => kind,
            },
            Self::NotListed { .. } => ErrorKind::Unreachable,
            Self::Merge(error) => error.kind(),
            Self::Copy(error) => error.kind(),
            Self::Publication(error) => error.kind(),
        }
    }
}

/// A service that takes part in signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Service {
    /// The certificate authority.
    Fulcio,
    /// The transparency log.
    Rekor,
    /// The timestamp authority.
    TimestampAuthority,
    /// The TUF repository that distributes the signing config.
    Tuf,
    /// The endpoint at which a CI hands out identity tokens.
    IdentityEndpoint,
    /// The issuer at which a person logs in.
    OidcIssuer,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fulcio => "the certificate authority (Fulcio)",
            Self::Rekor => "the transparency log (Rekor)",
            Self::TimestampAuthority => "the timestamp authority",
            Self::Tuf => "the TUF repository",
            Self::IdentityEndpoint => "the CI's identity endpoint",
            Self::OidcIssuer => "the OIDC issuer",
        })
    }
}
