//! What kind of failure each error is, and what it means for the other sources of the same content.

use countersign_oci::{Consequence, ErrorKind, MachineFault};

use super::Error;

impl Error {
    /// What kind of failure it is. Every variant is named here: a new one has to be sorted in.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Verify(error) => error.kind(),
            Self::Registry(error) => error.kind(),
            Self::Http(error) => error.kind(),
            Self::OtherSigner { .. }
            | Self::Older { .. }
            | Self::Weaker { .. }
            | Self::Unverifiable { .. } => ErrorKind::Policy,
            Self::OtherPermit { .. }
            | Self::Configuration { .. }
            | Self::LayerCount { .. }
            | Self::LayerType { .. }
            | Self::Limit { .. }
            | Self::Checksum { .. }
            | Self::OtherContent { .. } => ErrorKind::Invalid,
            Self::Layer { source, .. } | Self::Archive { source, .. } | Self::Tree(source) => {
                source.kind()
            }
            Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::NotAnImage { .. }
            | Self::NoDirectory { .. } => ErrorKind::NotFound,
            Self::Directory { .. }
            | Self::Target { .. }
            | Self::Mounted { .. }
            | Self::UnreadableRecord { .. } => ErrorKind::Usage,
            Self::Immovable { source, .. } => match MachineFault::of(source) {
                None => ErrorKind::Usage,
                Some(_) => ErrorKind::Machine,
            },
            Self::Displaced { .. } | Self::Busy { .. } | Self::Io { .. } => ErrorKind::Machine,
            Self::NoVerifier { .. } | Self::Record(_) | Self::Cancelled => ErrorKind::Internal,
        }
    }

    /// Whether signatures were judged, and none of them counts.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Verify(error) => error.is_refusal(),
            Self::Registry(_)
            | Self::Http(_)
            | Self::OtherSigner { .. }
            | Self::Layer { .. }
            | Self::Checksum { .. }
            | Self::NoDirectory { .. }
            | Self::OtherPermit { .. }
            | Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::NotAnImage { .. }
            | Self::Configuration { .. }
            | Self::LayerCount { .. }
            | Self::LayerType { .. }
            | Self::Archive { .. }
            | Self::Directory { .. }
            | Self::Tree(_)
            | Self::Limit { .. }
            | Self::Target { .. }
            | Self::NoVerifier { .. }
            | Self::Immovable { .. }
            | Self::Mounted { .. }
            | Self::UnreadableRecord { .. }
            | Self::Displaced { .. }
            | Self::Busy { .. }
            | Self::Older { .. }
            | Self::Weaker { .. }
            | Self::OtherContent { .. }
            | Self::Unverifiable { .. }
            | Self::Record(_)
            | Self::Io { .. }
            | Self::Cancelled => false,
        }
    }

    /// What the error means for the other sources of the same content.
    pub(crate) fn consequence(&self) -> Consequence {
        if self.kind() == ErrorKind::Machine {
            // A full disk stays full, whoever serves the bytes.
            return Consequence::End;
        }
        match self {
            Self::Registry(error) => error.consequence(),
            Self::Verify(error) => error.consequence(),
            // Another copy may hold the signature or the bytes that are missing or bad here.
            Self::OtherSigner { .. } | Self::Layer { .. } | Self::Checksum { .. } => {
                Consequence::TrySameDigest
            }
            Self::NoDirectory { .. } => Consequence::TryNext,
            Self::Http(error) => error.consequence(),
            Self::OtherPermit { .. }
            | Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::NotAnImage { .. }
            | Self::Configuration { .. }
            | Self::LayerCount { .. }
            | Self::LayerType { .. }
            | Self::Archive { .. }
            | Self::Directory { .. }
            | Self::Tree(_)
            | Self::Limit { .. }
            | Self::Target { .. }
            | Self::NoVerifier { .. }
            | Self::Immovable { .. }
            | Self::Mounted { .. }
            | Self::UnreadableRecord { .. }
            | Self::Displaced { .. }
            | Self::Busy { .. }
            | Self::Older { .. }
            | Self::Weaker { .. }
            | Self::OtherContent { .. }
            | Self::Unverifiable { .. }
            | Self::Record(_)
            | Self::Io { .. }
            | Self::Cancelled => Consequence::End,
        }
    }
}

#[cfg(test)]
mod tests {
    /// What each error means for exit codes, and for whoever has another source to ask.
    #[test]
    fn every_error_is_sorted() {
        let lines = crate::samples::errors().into_iter().map(|error| {
            countersign_oci::samples::sorted_line(error.kind(), error.consequence(), &error)
        });
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
