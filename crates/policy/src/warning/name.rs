//! The name and the level of each finding.

use super::{Level, Warning};

impl Warning {
    /// The name of every finding, sorted.
    pub const NAMES: [&'static str; 21] = [
        "almost-known-issuer",
        "any-caller",
        "denied-indexes",
        "doubled-backslash",
        "future-not-before",
        "glob-pattern",
        "ignored-log",
        "impossible-claim",
        "impossible-identity",
        "issuer-without-scheme",
        "key-times",
        "no-not-before",
        "open-repository",
        "pattern-as-text",
        "predicate-fraction",
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
            Self::DoubledBackslash { .. } => "doubled-backslash",
            Self::FutureNotBefore { .. } => "future-not-before",
            Self::GlobPattern { .. } => "glob-pattern",
            Self::IgnoredLog { .. } => "ignored-log",
            Self::ImpossibleClaim { .. } => "impossible-claim",
            Self::ImpossibleIdentity { .. } => "impossible-identity",
            Self::IssuerWithoutScheme { .. } => "issuer-without-scheme",
            Self::KeyTimes { .. } => "key-times",
            Self::NoNotBefore => "no-not-before",
            Self::OpenRepository { .. } => "open-repository",
            Self::PatternAsText { .. } => "pattern-as-text",
            Self::PredicateFraction { .. } => "predicate-fraction",
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
            Self::KeyTimes { .. } | Self::NoNotBefore | Self::PredicateFraction { .. } => {
                Level::Note
            }
            Self::AlmostKnownIssuer { .. }
            | Self::AnyCaller { .. }
            | Self::DeniedIndexes
            | Self::DoubledBackslash { .. }
            | Self::FutureNotBefore { .. }
            | Self::GlobPattern { .. }
            | Self::IgnoredLog { .. }
            | Self::ImpossibleClaim { .. }
            | Self::ImpossibleIdentity { .. }
            | Self::IssuerWithoutScheme { .. }
            | Self::OpenRepository { .. }
            | Self::PatternAsText { .. }
            | Self::SeveralProviders { .. }
            | Self::ShortPredicateType { .. }
            | Self::SimpleSigning
            | Self::SimpleSigningTag
            | Self::StrayCharacter { .. }
            | Self::UnescapedDot { .. } => Level::Warning,
        }
    }
}
