//! The path of an image layout.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::digest::Digest;
use crate::excerpt::excerpt;

/// The prefix of a layout's path, as in LocalAI.
pub(super) const SCHEME: &str = "ocifile://";

/// The path of an image layout on this machine. It is absolute and printable, and is written
/// `ocifile://path`.
///
/// This is a separate type and not a kind of image reference, so that a reference from elsewhere
/// never names files of this machine.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct LayoutPath(String);

impl LayoutPath {
    /// Checks a path.
    ///
    /// # Errors
    /// [`LayoutPathError`], if the path is relative, or can't be written on one line and read
    /// again.
    pub fn new(path: &Path) -> Result<Self, LayoutPathError> {
        let shown = || excerpt(&path.to_string_lossy());
        if !path.is_absolute() {
            return Err(LayoutPathError::Relative { found: shown() });
        }
        match path.to_str() {
            Some(text) if !text.contains(char::is_control) && pinned(text).is_none() => {
                Ok(Self(text.into()))
            }
            _ => Err(LayoutPathError::Form { found: shown() }),
        }
    }

    /// The path.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the text of [`Display`](fmt::Display), and a digest if one follows. `None` if the text
    /// is not a layout's path.
    pub(super) fn written(text: &str) -> Option<(Self, Option<Digest>)> {
        let rest = text.strip_prefix(SCHEME)?;
        let (path, digest) = match pinned(rest) {
            Some((path, digest)) => (path, Some(digest)),
            None => (rest, None),
        };
        Some((Self::new(Path::new(path)).ok()?, digest))
    }
}

/// Splits `path@digest`.
fn pinned(text: &str) -> Option<(&str, Digest)> {
    let (path, digest) = text.rsplit_once('@')?;
    Some((path, digest.parse().ok()?))
}

impl fmt::Display for LayoutPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.0)
    }
}

impl fmt::Debug for LayoutPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<LayoutPath> for String {
    fn from(path: LayoutPath) -> Self {
        path.to_string()
    }
}

/// Why a path can't be a layout's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutPathError {
    /// The path is relative, so it would depend on the current directory.
    #[error(
        "expected the absolute path of an image layout, as in {SCHEME}/srv/app.tar, found `{found}`"
    )]
    Relative {
        /// The path.
        found: String,
    },
    /// The path is not UTF-8, has control characters, or ends like a digest.
    #[error(
        "expected the path of an image layout in printable characters and without a digest, found `{found}`"
    )]
    Form {
        /// The path.
        found: String,
    },
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_path_is_absolute() {
        let error = LayoutPath::new(Path::new("app.tar")).unwrap_err();
        let found = "app.tar".into();
        assert_eq!(error, LayoutPathError::Relative { found });
    }

    #[test]
    fn a_path_is_one_printable_line_that_can_be_read_again() {
        let digest = Digest::sha256(b"");
        let pinned = format!("/srv/app@{digest}");
        for path in [b"/srv/\xff".as_slice(), b"/srv/\x1b[31m", pinned.as_bytes()] {
            let error = LayoutPath::new(Path::new(OsStr::from_bytes(path))).unwrap_err();
            assert!(matches!(error, LayoutPathError::Form { .. }), "{error}");
        }
        let path = LayoutPath::new(Path::new("/srv/a b@1:2.tar")).unwrap();
        assert_eq!(path.to_string(), "ocifile:///srv/a b@1:2.tar");
        let written = LayoutPath::written(&path.to_string());
        assert_eq!(written, Some((path.clone(), None)));
        let written = LayoutPath::written(&format!("{path}@{digest}"));
        assert_eq!(written, Some((path, Some(digest))));
    }
}
