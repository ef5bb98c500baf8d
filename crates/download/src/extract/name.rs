//! Names of archive entries.
//!
//! An [`EntryPath`] has only ordinary components: no `..`, no root, no NUL, nothing over the
//! limits. It is always below the root of the image, even if it begins with slashes. The resolver
//! handles symbolic links.

use countersign_oci::archive::display;

use super::error::ArchiveError;
use crate::limits::{Bound, Limits};

/// A path below the root of the image: components joined by single slashes. The empty path is the
/// root itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryPath(Vec<u8>);

impl EntryPath {
    /// Longest component that Linux file systems take, in bytes (`NAME_MAX`).
    const COMPONENT_BYTES: u64 = 255;

    /// Reads a name as it is written in an archive. Leading slashes, empty and `.` components are
    /// dropped. `..` removes the component before it, whatever that is on disk.
    pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, ArchiveError> {
        let shown = || display(bytes);
        let over = |what: &str, limit, bound| ArchiveError::Limit {
            what: format!("{what} `{}`", shown()),
            limit,
            bound,
        };
        if bytes.is_empty() || bytes.contains(&0) {
            return Err(ArchiveError::Name {
                name: shown(),
                kind: "file",
            });
        }
        if bytes.len() as u64 > limits.path_bytes {
            return Err(over("the name", limits.path_bytes, Bound::PathBytes));
        }
        let mut components: Vec<&[u8]> = Vec::new();
        for component in bytes.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => {
                    let above = components.pop();
                    above.ok_or_else(|| ArchiveError::ParentName { name: shown() })?;
                    continue;
                }
                _ => {}
            }
            if component.len() as u64 > Self::COMPONENT_BYTES {
                let what = "a component of the name";
                return Err(over(what, Self::COMPONENT_BYTES, Bound::Fixed));
            }
            components.push(component);
        }
        if components.len() as u64 > limits.depth {
            return Err(over("the depth of", limits.depth, Bound::Depth));
        }
        Ok(Self(components.join(&b'/')))
    }

    /// Reads the target of a hard link. It must not have a `..`: readers disagree on its meaning when
    /// the path goes through links.
    pub(super) fn parse_target(bytes: &[u8], limits: &Limits) -> Result<Self, ArchiveError> {
        if bytes.split(|&byte| byte == b'/').any(|part| part == b"..") {
            let name = display(bytes);
            return Err(ArchiveError::ParentName { name });
        }
        Self::parse(bytes, limits)
    }

    /// The path as bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The directory's path and the name in it; `None` for the root.
    pub(super) fn split(&self) -> Option<(&[u8], &[u8])> {
        (!self.0.is_empty()).then(|| split(&self.0))
    }

    /// Another entry of the same directory. `leaf` is an ordinary component.
    pub(super) fn sibling(&self, leaf: &[u8]) -> Self {
        let (directory, _) = split(&self.0);
        let mut path = directory.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(leaf);
        Self(path)
    }

    /// The components, outermost first.
    pub(super) fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0
            .split(|&byte| byte == b'/')
            .filter(|component| !component.is_empty())
    }

    /// For error messages.
    pub(super) fn display(&self) -> String {
        match self.0.as_slice() {
            b"" => "/".into(),
            path => display(path),
        }
    }
}

/// Splits a path of ordinary components into its directory (empty for the root) and its last
/// component.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = path.rsplitn(2, |&byte| byte == b'/');
    let leaf = parts.next().unwrap_or_default();
    (parts.next().unwrap_or_default(), leaf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<EntryPath, ArchiveError> {
        EntryPath::parse(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn redundant_components_say_nothing() {
        assert_eq!(parse("./a//b/./c/").unwrap().as_bytes(), b"a/b/c");
        assert_eq!(parse("./").unwrap().split(), None);
        assert_eq!(parse("/").unwrap().split(), None);
        assert_eq!(parse("//a/b").unwrap().as_bytes(), b"a/b");
        assert_eq!(parse("/./a/../b").unwrap().as_bytes(), b"b");
        assert_eq!(parse("a/..").unwrap().split(), None);
        let name = parse("a/b/c").unwrap();
        assert_eq!(name.split(), Some((&b"a/b"[..], &b"c"[..])));
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for text in ["..", "../x", "/../x", "a/../../x", "a/../.."] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, ArchiveError::ParentName { .. }), "{text}");
        }
        let target = EntryPath::parse_target(b"a/../b", &Limits::default());
        let error = target.unwrap_err();
        assert!(matches!(error, ArchiveError::ParentName { .. }));
    }

    #[test]
    fn names_that_no_file_has_are_refused() {
        for text in ["", "a\0b"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, ArchiveError::Name { .. }), "{text:?}");
        }
    }

    #[test]
    fn names_over_a_bound_are_refused() {
        for text in ["a".repeat(256), "a/".repeat(129), "a/b/".repeat(25_000)] {
            let error = parse(&text).unwrap_err();
            assert!(matches!(error, ArchiveError::Limit { .. }));
        }
    }
}
