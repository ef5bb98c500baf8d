//! How each error is sorted. [`Error::sorted`] is the table; every question about an error is
//! answered from its row.

use super::Error;
use crate::kind::{Consequence, ErrorKind, MachineFault, Sorted, StatusMeaning};

/// What is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The content, because it doesn't exist.
    Absent,
    /// The content, because its bytes are wrong: their digest, their size, or no manifest.
    Content,
    /// One answer: it is over a limit, or not of the specification's form.
    Answer,
    /// The request, because the server refuses it.
    Request,
    /// The server: it says that it can't answer now.
    Busy,
    /// The network: there was no complete answer.
    Network,
    /// Something else: a setting, or what was asked for.
    Other,
}

impl Error {
    /// The table of errors. It names every variant, so a new variant doesn't compile until it has a
    /// row.
    fn sorted(&self) -> (Sorted, Fault) {
        let (kind, consequence, fault) = match self {
            Self::NotFound { .. } => (ErrorKind::NotFound, Consequence::TryNext, Fault::Absent),
            Self::Platform(_) | Self::WrongPlatform { .. } => {
                (ErrorKind::NotFound, Consequence::End, Fault::Other)
            }
            // Some registries ask for a login instead of answering that the content doesn't exist.
            Self::Unauthorized { .. } => {
                (ErrorKind::Rejected, Consequence::TryNext, Fault::Request)
            }
            Self::Status { status, .. } => (
                ErrorKind::of_status(*status),
                Consequence::of_status(*status),
                match StatusMeaning::of(*status) {
                    StatusMeaning::NotNow | StatusMeaning::NotAble => Fault::Busy,
                    StatusMeaning::Absent | StatusMeaning::Refused => Fault::Request,
                },
            ),
            Self::Network { source, .. } => (
                ErrorKind::of_network(source.as_ref()),
                Consequence::TryNext,
                Fault::Network,
            ),
            Self::TooSlow { .. } => (ErrorKind::Unreachable, Consequence::TryNext, Fault::Network),
            Self::Redirect { .. } => (
                ErrorKind::Rejected,
                Consequence::TrySameDigest,
                Fault::Other,
            ),
            Self::Protocol { .. } => (
                ErrorKind::Rejected,
                Consequence::TrySameDigest,
                Fault::Answer,
            ),
            Self::Limit { .. } => (
                ErrorKind::Invalid,
                Consequence::TrySameDigest,
                Fault::Answer,
            ),
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } | Self::Manifest { .. } => (
                ErrorKind::Invalid,
                Consequence::TrySameDigest,
                Fault::Content,
            ),
            Self::NoReferrers { .. } => (ErrorKind::Rejected, Consequence::End, Fault::Other),
            Self::Contended { .. } => (ErrorKind::Unreachable, Consequence::End, Fault::Other),
            Self::Full { .. } => (ErrorKind::Invalid, Consequence::End, Fault::Other),
            Self::Layout { source, .. } => {
                let fault = if source.is_absence() {
                    Fault::Absent
                } else {
                    Fault::Other
                };
                return (source.sorted(), fault);
            }
            Self::Credentials { source, .. } => {
                let kind = match MachineFault::of(source.as_ref()) {
                    None | Some(MachineFault::Permission) => ErrorKind::Usage,
                    Some(_) => ErrorKind::Machine,
                };
                (kind, Consequence::End, Fault::Other)
            }
            Self::Configuration { .. } => (ErrorKind::Usage, Consequence::End, Fault::Other),
            Self::Io { .. } => (ErrorKind::Machine, Consequence::End, Fault::Other),
        };
        (Sorted::new(kind, consequence), fault)
    }

    /// The kind of this failure.
    pub fn kind(&self) -> ErrorKind {
        self.sorted().0.kind()
    }

    /// What this error means for other sources of the same content.
    pub fn consequence(&self) -> Consequence {
        self.sorted().0.consequence()
    }

    /// Whether the content doesn't exist, according to the registry or the layout.
    pub fn is_absence(&self) -> bool {
        match self.sorted().1 {
            Fault::Absent => true,
            Fault::Content
            | Fault::Answer
            | Fault::Request
            | Fault::Busy
            | Fault::Network
            | Fault::Other => false,
        }
    }

    /// Whether the content itself is at fault: it doesn't exist, has the wrong digest or size, or
    /// is not a manifest. Network and access errors are not about content.
    pub(crate) fn is_about_content(&self) -> bool {
        match self.sorted().1 {
            Fault::Absent | Fault::Content => true,
            Fault::Answer | Fault::Request | Fault::Busy | Fault::Network | Fault::Other => false,
        }
    }

    /// Whether this one document can't be used, so that the next one may be looked at: the content is
    /// at fault, it is over a limit, or the answer is not of the specification's form.
    pub fn spoils_one_candidate(&self) -> bool {
        match self.sorted().1 {
            Fault::Absent | Fault::Content | Fault::Answer => true,
            Fault::Request | Fault::Busy | Fault::Network | Fault::Other => false,
        }
    }

    /// Whether the server can't be reached, or says that it can't answer now. Any other answer is an
    /// answer, also a wrong one, and so is "gone".
    pub fn is_unreachable(&self) -> bool {
        match self.sorted().1 {
            Fault::Busy | Fault::Network => true,
            Fault::Absent | Fault::Content | Fault::Answer | Fault::Request | Fault::Other => false,
        }
    }

    /// Whether the server refused this one request: no access, no such content, or another error
    /// status.
    pub fn is_refused_request(&self) -> bool {
        match self.sorted().1 {
            Fault::Absent | Fault::Request | Fault::Busy => true,
            Fault::Content | Fault::Answer | Fault::Network | Fault::Other => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{errors, sorted_line};

    /// What each error means for exit codes, and for whoever has another source to ask.
    #[test]
    fn every_error_is_sorted() {
        let lines = errors()
            .into_iter()
            .map(|error| sorted_line(error.kind(), error.consequence(), &error));
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn each_question_about_an_error_has_its_errors() {
        let named = |asked: fn(&Error) -> bool| {
            let errors = errors().into_iter().filter(asked);
            let names = errors.map(|error| match error {
                Error::Status { status, .. } => format!("Status {status}"),
                Error::Layout { source, .. } => name(&source),
                other => name(&other),
            });
            let mut names: Vec<String> = names.collect();
            names.dedup();
            names.join(", ")
        };
        insta::assert_snapshot!(named(Error::is_absence), @"NotFound, Nothing, NoBlob, NoName");
        insta::assert_snapshot!(named(Error::is_about_content), @"NotFound, DigestMismatch, SizeMismatch, Manifest, Nothing, NoBlob, NoName");
        insta::assert_snapshot!(named(Error::spoils_one_candidate), @"NotFound, Protocol, DigestMismatch, SizeMismatch, Limit, Manifest, Nothing, NoBlob, NoName");
        insta::assert_snapshot!(named(Error::is_unreachable), @"Status 429, Status 503, Network, TooSlow");
        insta::assert_snapshot!(named(Error::is_refused_request), @"NotFound, Unauthorized, Status 403, Status 410, Status 429, Status 503, Nothing, NoBlob, NoName");
    }

    /// The name of a variant.
    fn name(value: &dyn std::fmt::Debug) -> String {
        let text = format!("{value:?}");
        text.chars().take_while(|c| c.is_alphanumeric()).collect()
    }
}
