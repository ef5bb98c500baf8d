//! The name and the level of each finding.

use super::{Level, Warning};

impl Warning {
    /// The name of every finding, sorted.
    pub const NAMES: [&'static str; 16] = [
        "almost-known-issuer",
        "any-caller",
        "denied-indexes",
        "future-not-before",
        "ignored-log",
        "impossible-identity",
        "issuer-without-scheme",
        "key-times",
        "no-not-before",
        "open-repository",
        "several-providers",
        "short-predicate-type",
        "simple-signing",
        "simple-signing-tag",
        "stray-character",
        "unescaped-dot",
    ];

    /// Its name, one of [`Self::NAMES`]. It stays when the text changes.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AlmostKnownIssuer { .. } => "almost-known-issuer",
            Self::AnyCaller { .. } => "any-caller",
            Self::DeniedIndexes => "denied-indexes",
            Self::FutureNotBefore { .. } => "future-not-before",
            Self::IgnoredLog { .. } => "ignored-log",
            Self::ImpossibleIdentity { .. } => "impossible-identity",
            Self::IssuerWithoutScheme { .. } => "issuer-without-scheme",
            Self::KeyTimes { .. } => "key-times",
            Self::NoNotBefore => "no-not-before",
            Self::OpenRepository { .. } => "open-repository",
            Self::SeveralProviders { .. } => "several-providers",
            Self::ShortPredicateType { .. } => "short-predicate-type",
            Self::SimpleSigning => "simple-signing",
            Self::SimpleSigningTag => "simple-signing-tag",
            Self::StrayCharacter { .. } => "stray-character",
            Self::UnescapedDot { .. } => "unescaped-dot",
        }
    }

    /// How much it matters.
    pub fn level(&self) -> Level {
        match self {
            // No policy with a key is without it.
            Self::KeyTimes { .. } | Self::NoNotBefore => Level::Note,
            Self::AlmostKnownIssuer { .. }
            | Self::AnyCaller { .. }
            | Self::DeniedIndexes
            | Self::FutureNotBefore { .. }
            | Self::IgnoredLog { .. }
            | Self::ImpossibleIdentity { .. }
            | Self::IssuerWithoutScheme { .. }
            | Self::OpenRepository { .. }
            | Self::SeveralProviders { .. }
            | Self::ShortPredicateType { .. }
            | Self::SimpleSigning
            | Self::SimpleSigningTag
            | Self::StrayCharacter { .. }
            | Self::UnescapedDot { .. } => Level::Warning,
        }
    }
}
