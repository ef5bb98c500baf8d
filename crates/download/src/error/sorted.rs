//! How each error is sorted: [`Error::sorted`] is the table.

use countersign_oci::{Consequence, ErrorKind, MachineFault, Sorted};

use super::Error;

impl Error {
    /// The table of errors. It names every variant, so a new variant doesn't compile until it has a
    /// row.
    fn sorted(&self) -> Sorted {
        let (kind, consequence) = match self {
            Self::Verify(error) => (error.kind(), error.consequence()),
            Self::Registry(error) => (error.kind(), error.consequence()),
            Self::Http(error) => (error.kind(), error.consequence()),
            // Another copy may hold the signature or the bytes that are missing or bad here.
            Self::OtherSigner { .. } => (ErrorKind::Policy, Consequence::TrySameDigest),
            Self::Checksum { .. } => (ErrorKind::Invalid, Consequence::TrySameDigest),
            Self::Layer { source, .. } => (source.kind(), Consequence::TrySameDigest),
            Self::Archive { source, .. } | Self::Tree(source) => (source.kind(), Consequence::End),
            Self::NoDirectory { .. } | Self::NotInLayout { .. } => {
                (ErrorKind::NotFound, Consequence::TryNext)
            }
            Self::Platform(_)
            | Self::WrongPlatform { .. }
            | Self::NotAnImage { .. }
            | Self::NoRecord { .. } => (ErrorKind::NotFound, Consequence::End),
            Self::Lock(error) => (error.kind(), Consequence::End),
            Self::Older { .. }
            | Self::Undated { .. }
            | Self::Weaker { .. }
            | Self::Unverifiable { .. } => (ErrorKind::Policy, Consequence::End),
            Self::OtherPermit { .. }
            | Self::Configuration { .. }
            | Self::LayerCount { .. }
            | Self::LayerType { .. }
            | Self::Limit { .. }
            | Self::OtherContent { .. }
            | Self::Inventory { .. } => (ErrorKind::Invalid, Consequence::End),
            Self::Directory { .. }
            | Self::Target { .. }
            | Self::Mounted { .. }
            | Self::UnreadableRecord { .. }
            | Self::LaterRecord { .. } => (ErrorKind::Usage, Consequence::End),
            Self::Immovable { source, .. } => {
                let kind = match MachineFault::of(source) {
                    None => ErrorKind::Usage,
                    Some(_) => ErrorKind::Machine,
                };
                (kind, Consequence::End)
            }
            Self::Displaced { .. } | Self::Busy { .. } | Self::Io { .. } => {
                (ErrorKind::Machine, Consequence::End)
            }
            Self::NoVerifier { .. } | Self::Cancelled => (ErrorKind::Internal, Consequence::End),
        };
        Sorted::new(kind, consequence)
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.sorted().kind()
    }

    /// What the error means for the other sources of the same content.
    pub(crate) fn consequence(&self) -> Consequence {
        self.sorted().consequence()
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
