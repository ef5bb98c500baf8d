//! Values of all errors, for tests of the code that turns errors into exit codes and hints.
//!
//! The compiler keeps the lists complete: see [`samples!`](crate::samples!).

#![allow(
    clippy::unwrap_used,
    reason = "for tests alone, on texts that are written here"
)]

use std::io;
use std::time::Duration;

use crate::archive::HeaderError;
use crate::http::{HostKind, RedirectRefused};
use crate::{
    Digest, Error, LayoutError, LayoutPath, Location, ManifestError, NoSuchPlatform,
    PinnedReference, Platform, Reference,
};

/// A `Vec` with one or more values of each variant of an error type.
///
/// It doesn't compile if a variant is missing. Variants that can't be made outside of their own
/// crate (an error with a proof, for example) stand after `but`.
#[macro_export]
#[doc(hidden)]
macro_rules! samples {
    ($error:ident { $($variant:ident $fields:tt),* $(,)? } $(but $($left_out:ident),*)?) => {{
        #[allow(unreachable_patterns, reason = "a variant may have several values")]
        fn each_variant_is_listed(error: &$error) {
            match error {
                $($error::$variant { .. } => {})*
                $($($error::$left_out { .. } => {})*)?
            }
        }
        let _ = each_variant_is_listed;
        vec![$($error::$variant $fields),*]
    }};
}

/// One line about an error, for the snapshot of a crate's errors: what it means for the exit code and for
/// other sources, and what it says.
pub fn sorted_line(
    kind: crate::ErrorKind,
    consequence: crate::Consequence,
    error: &dyn std::error::Error,
) -> String {
    let cause = error.source().map(|cause| format!(": {cause}"));
    format!(
        "{kind:?}, {consequence:?}: {error}{}",
        cause.unwrap_or_default()
    )
}

/// The error of a system call with this number.
pub fn io_error(errno: rustix::io::Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

/// A transfer of half the speed that it should have.
pub fn too_slow() -> crate::http::TooSlow {
    crate::http::TooSlow {
        slowest: 32 << 10,
        grace: Duration::from_secs(30),
        bytes: 480 << 10,
        waited: Duration::from_secs(60),
    }
}

/// `ENOSPC`.
pub fn disk_full() -> io::Error {
    io_error(rustix::io::Errno::NOSPC)
}

/// `EMFILE`.
pub fn too_many_files() -> io::Error {
    io_error(rustix::io::Errno::MFILE)
}

/// `ENOENT`.
pub fn no_such_file() -> io::Error {
    io_error(rustix::io::Errno::NOENT)
}

/// A digest.
pub fn digest() -> Digest {
    Digest::sha256(b"")
}

/// A reference.
pub fn reference() -> Reference {
    "registry.example/app:v1".parse().unwrap()
}

/// A platform.
pub fn platform() -> Platform {
    "linux/amd64".parse().unwrap()
}

/// An error of a JSON parser.
pub fn json_error() -> serde_json::Error {
    serde_json::from_str::<bool>("{}").unwrap_err()
}

/// Values of every variant of [`Error`].
pub fn errors() -> Vec<Error> {
    let what = || "registry.example/app:v1".to_owned();
    let url = || "https://registry.example/v2/app/manifests/v1".to_owned();
    let mut errors = samples!(Error {
        NotFound { what: what() },
        Unauthorized { registry: "registry.example".into(), what: what(), detail: "denied".into() },
        Status { url: url(), status: 403, detail: None },
        Status { url: url(), status: 410, detail: None },
        Status { url: url(), status: 429, detail: None },
        Status { url: url(), status: 503, detail: Some("down".into()) },
        Network { url: url(), source: Box::new(io_error(rustix::io::Errno::CONNREFUSED)) },
        Network { url: url(), source: Box::new(too_many_files()) },
        TooSlow { url: url(), source: too_slow() },
        Redirect { from: url(), to: url(), reason: RedirectRefused::HttpsRequired },
        Redirect {
            from: url(),
            to: url(),
            reason: RedirectRefused::Inward { from: HostKind::Public, to: HostKind::Private },
        },
        NoReferrers { subject: what(), tag: "sha256-0".into(), source: None },
        Protocol { url: url(), expected: "a list of tags".into(), found: "a web page".into() },
        DigestMismatch { what: pinned(), found: Digest::sha256(b"x") },
        DigestMismatch { what: in_layout(), found: Digest::sha256(b"x") },
        SizeMismatch { what: pinned(), expected: 1, found: 2 },
        SizeMismatch { what: in_layout(), expected: 1, found: 2 },
        Limit { what: what(), limit: 4, unit: "bytes" },
        Contended { what: what(), rounds: 5 },
        Full { what: what(), found: 6, limit: 6, unit: "layers" },
        Manifest { what: what(), source: ManifestError::SchemaOne },
        Platform(NoSuchPlatform { wanted: platform(), available: Vec::new() }),
        Platform(NoSuchPlatform { wanted: platform(), available: vec!["linux/arm64".parse().unwrap()] }),
        WrongPlatform { what: what(), expected: Box::new(platform()), found: Box::new(platform()) },
        Layout { layout: layout(), source: LayoutError::NoImage },
        Credentials {
            registry: Some("registry.example".into()),
            from: "/root/.docker/config.json".into(),
            source: Box::new(no_such_file()),
        },
        Configuration { detail: "no PEM".into() },
        Io { what: what(), source: disk_full() },
    });
    let layouts = layout_errors().into_iter();
    errors.extend(layouts.map(|source| Error::Layout {
        layout: layout(),
        source,
    }));
    errors
}

fn pinned() -> Box<PinnedReference> {
    Box::new(reference().location().at(digest()))
}

fn in_layout() -> Box<PinnedReference> {
    Box::new(Location::from(layout()).at(digest()))
}

fn layout() -> LayoutPath {
    LayoutPath::new("/srv/app".as_ref()).unwrap()
}

fn layout_errors() -> Vec<LayoutError> {
    samples!(LayoutError {
        Nothing {},
        NoBlob { digest: digest() },
        NoMarker {},
        DockerArchive {},
        Marker { found: "[]".into() },
        Version { expected: "1.0.0", found: "2.0.0".into() },
        NoIndex {},
        Index(ManifestError::NoIndex),
        NoFile { part: "index.json".into(), expected: "a file", found: "a symbolic link" },
        NoArchive { found: "a ZIP archive" },
        Compressed { by: "gzip" },
        Truncated { expected: 2, found: 1 },
        Header { offset: 512, source: HeaderError::Checksum { expected: 1, found: 2 } },
        Twice { part: "index.json".into() },
        Headers { limit: 1 },
        NoImage {},
        SeveralImages { found: vec!["a".into(), "b".into()] },
        NotEmpty {},
        NoDirectoryAbove {},
        NoName { name: "v1".into() },
        NeedsRegistry {},
        Busy {},
        Exists {},
        NotADirectory {},
        Write { part: ".".into(), source: no_such_file() },
        Write { part: ".".into(), source: io_error(rustix::io::Errno::NOSPC) },
        Io { part: "index.json".into(), source: no_such_file() },
        Io { part: "index.json".into(), source: io_error(rustix::io::Errno::IO) },
    })
}
