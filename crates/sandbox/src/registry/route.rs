//! Which endpoint of the OCI distribution specification 1.1 a path names.

use countersign_oci::Repository;

/// An endpoint. Names are checked against the specification's grammar. Everything else is as in the
/// path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/v2/` (end-1).
    Ping,
    /// The token endpoint, which the specification leaves to the registry.
    Token,
    /// `/v2/<name>/manifests/<reference>` (end-3, end-7, end-9).
    Manifest { name: String, reference: String },
    /// `/v2/<name>/blobs/<digest>` (end-2, end-10).
    Blob { name: String, digest: String },
    /// `/v2/<name>/blobs/uploads/` (end-4, end-11).
    Uploads { name: String },
    /// `/v2/<name>/blobs/uploads/<id>` (end-5, end-6, end-13).
    Upload { name: String, id: String },
    /// `/v2/<name>/tags/list` (end-8).
    Tags { name: String },
    /// `/v2/<name>/referrers/<digest>` (end-12).
    Referrers { name: String, digest: String },
    /// A path with an invalid repository name.
    BadName,
    /// A path that is not in the specification.
    Unknown,
}

/// Makes a route from a repository's name and the path's last part.
type Make = fn(String, String) -> Route;

impl Route {
    /// The endpoint at `path`, which has no query.
    pub(super) fn of(path: &str) -> Self {
        let Some(rest) = path.strip_prefix("/v2") else {
            return match path {
                "/token" => Self::Token,
                _ => Self::Unknown,
            };
        };
        if matches!(rest, "" | "/") {
            return Self::Ping;
        }
        // Names may contain slashes and any of the fixed words, so the path is read from its end.
        let parts: Vec<&str> = rest.split('/').skip(1).collect();
        let (name, route): (&[&str], Make) = match parts.as_slice() {
            [name @ .., "blobs", "uploads", ""] => (name, |name, _| Self::Uploads { name }),
            [name @ .., "blobs", "uploads", _] => (name, |name, id| Self::Upload { name, id }),
            [name @ .., "blobs", "uploads"] => (name, |name, _| Self::Uploads { name }),
            [name @ .., "blobs", _] => (name, |name, digest| Self::Blob { name, digest }),
            [name @ .., "manifests", _] => {
                (name, |name, reference| Self::Manifest { name, reference })
            }
            [name @ .., "referrers", _] => (name, |name, digest| Self::Referrers { name, digest }),
            [name @ .., "tags", "list"] => (name, |name, _| Self::Tags { name }),
            _ => return Self::Unknown,
        };
        let name = name.join("/");
        if format!("localhost/{name}").parse::<Repository>().is_err() {
            return Self::BadName;
        }
        route(name, parts.last().copied().unwrap_or_default().to_owned())
    }

    /// The endpoint's repository, if it has one.
    pub(super) fn repository(&self) -> Option<&str> {
        match self {
            Self::Manifest { name, .. }
            | Self::Blob { name, .. }
            | Self::Uploads { name }
            | Self::Upload { name, .. }
            | Self::Tags { name }
            | Self::Referrers { name, .. } => Some(name),
            Self::Ping | Self::Token | Self::BadName | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_slashes_and_the_fixed_words() {
        let route = Route::of("/v2/a/blobs/manifests/manifests/latest");
        let expected = Route::Manifest {
            name: "a/blobs/manifests".into(),
            reference: "latest".into(),
        };
        assert_eq!(route, expected);
        let uploads = Route::Uploads { name: "a/b".into() };
        assert_eq!(Route::of("/v2/a/b/blobs/uploads/"), uploads);
        assert_eq!(Route::of("/v2/a/b/blobs/uploads"), uploads);
    }

    #[test]
    fn what_is_no_endpoint_is_told_from_what_is_no_name() {
        assert_eq!(Route::of("/v2/"), Route::Ping);
        assert_eq!(Route::of("/v3/a/tags/list"), Route::Unknown);
        assert_eq!(Route::of("/v2/UPPER/tags/list"), Route::BadName);
        assert_eq!(Route::of("/v2/manifests/latest"), Route::BadName);
    }
}
