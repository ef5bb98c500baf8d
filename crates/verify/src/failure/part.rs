//! Which part of a signature, and which log, a failure is about.

use std::fmt;

/// A part of a signature that doesn't parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MalformedPart {
    /// The Sigstore bundle.
    Bundle,
    /// The signed in-toto statement.
    Statement,
    /// The predicate of the statement.
    Predicate,
    /// The signed payload of a legacy signature.
    SimpleSigningPayload,
    /// The log entry of a legacy signature.
    LogEntry,
    /// The certificate.
    Certificate,
    /// The checkpoint of a log.
    Checkpoint,
    /// The timestamp of an authority.
    Timestamp,
    /// The digest of the image.
    ImageDigest,
}

/// The part's name, as messages have it.
impl fmt::Display for MalformedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bundle => "bundle",
            Self::Statement => "in-toto statement",
            Self::Predicate => "predicate",
            Self::SimpleSigningPayload => "simple signing payload",
            Self::LogEntry => "log entry of the signature",
            Self::Certificate => "certificate",
            Self::Checkpoint => "checkpoint",
            Self::Timestamp => "timestamp",
            Self::ImageDigest => "image digest",
        })
    }
}

/// A kind of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// A transparency log, which records signatures.
    Signatures,
    /// A certificate transparency log, which records certificates.
    Certificates,
}

/// The log's name, as messages have it.
impl fmt::Display for LogKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signatures => "transparency log",
            Self::Certificates => "certificate transparency log",
        })
    }
}
