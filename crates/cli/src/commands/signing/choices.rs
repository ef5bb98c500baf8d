//! Flags of signing that take one of a few words.

use countersign_sign::{RekorVersion, WrittenFormats};

/// API version of a transparency log, as the flag has it.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum LogVersion {
    #[value(name = "1")]
    V1,
    #[value(name = "2")]
    V2,
}

impl From<LogVersion> for RekorVersion {
    fn from(version: LogVersion) -> Self {
        match version {
            LogVersion::V1 => Self::V1,
            LogVersion::V2 => Self::V2,
        }
    }
}

/// The forms of signatures, as the flag has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    Bundle,
    SimpleSigning,
    Both,
}

impl From<Form> for WrittenFormats {
    fn from(form: Form) -> Self {
        match form {
            Form::Bundle => Self::Bundle,
            Form::SimpleSigning => Self::SimpleSigning,
            Form::Both => Self::Both,
        }
    }
}

/// A verifier that is not this one.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum OtherVerifier {
    Cosign,
}
