//! A value of every error, for the tests of the code that turns errors into exit codes and hints; and
//! one of every kind of source, for the tables that have to know them all. Nothing here holds a proof
//! or a permit.

#![allow(
    clippy::unwrap_used,
    reason = "for tests alone, on texts that are written here"
)]

use countersign_oci::archive::HeaderError;
use countersign_oci::http::HostKind;
use countersign_oci::samples;
use countersign_oci::samples::{
    digest, disk_full, json_error, no_such_file, platform, reference, too_many_files,
};
use countersign_oci::{LayoutPath, NoSuchPlatform};
use countersign_policy::Position;
use countersign_verify::{Error as VerifyError, Failure};
use jiff::Timestamp;

use crate::gallery::{LocationError, SkippedPlace};
use crate::grounds::LockedSigner;
use crate::store::Name;
use crate::{
    ArchiveError, Bound, Capability, EntryError, Error, GalleryError, Grounds, HttpError,
    LockError, LockFileError, LockValueError, LockedError, PlanError, RequirementError, Source,
    SourceError, StoreError, Tarball,
};

fn text() -> String {
    "x".to_owned()
}

fn fault() -> Box<countersign_policy::PolicyError> {
    Box::new(countersign_policy::GalleryIndex::parse("x", "index.yaml").unwrap_err())
}

/// A source of every kind. Where the digest that a source names makes a difference, there is one with
/// and one without.
pub fn sources() -> Vec<Source> {
    let tarball = |digest| Tarball::parse("https://example.org/app.tar", digest).unwrap();
    samples!(Source {
        Image { reference: reference() },
        Image { reference: reference().pinned_to(digest()) },
        Layout { path: LayoutPath::new("/srv/image.tar".as_ref()).unwrap() },
        Tarball(tarball(None)),
        Tarball(tarball(Some(digest()))),
        Directory { path: "/srv/app".into() },
    })
}

/// Values of every variant of [`Error`], and of the errors in them.
#[expect(clippy::too_many_lines, reason = "a list of every error")]
pub fn errors() -> Vec<Error> {
    let image = || reference().location().at(digest());
    let refusal = || {
        Box::new(countersign_verify::samples::refusal(vec![
            Failure::NoIssuer,
        ]))
    };
    let signer = || {
        Box::new(LockedSigner::Certificate {
            issuer: text(),
            identity: text(),
        })
    };
    let no_platform = || NoSuchPlatform {
        wanted: platform(),
        available: Vec::new(),
    };
    let mut errors = samples!(Error {
        Verify(VerifyError::Refused(refusal())),
        OtherPermit { expected: digest(), found: digest() },
        Registry(countersign_oci::Error::NotFound { what: text() }),
        Platform(no_platform()),
        Platform(NoSuchPlatform { wanted: platform(), available: vec!["linux/arm64".parse().unwrap()] }),
        WrongPlatform {
            image: image(),
            expected: Box::new(platform()),
            found: Box::new(platform()),
        },
        NotAnImage { image: image(), found: text() },
        Configuration { image: image(), source: json_error() },
        LayerCount { image: image(), expected: 1, found: 2 },
        LayerType { layer: digest(), found: text() },
        Layer { layer: digest(), source: ArchiveError::TrailingData },
        Archive { location: text(), source: ArchiveError::TrailingData },
        Http(HttpError::NotFound { location: text() }),
        Checksum { location: text(), expected: digest(), found: digest() },
        NoDirectory { path: "/srv/app".into() },
        Directory { path: "/srv/app".into(), expected: "a directory", found: text() },
        Tree(ArchiveError::Write { name: text(), source: disk_full() }),
        Limit { image: image(), what: "layers", limit: 1, found: 2, bound: Bound::Layers },
        Target { path: "/srv/app".into(), expected: "a directory", found: "a file" },
        Displaced { path: "/srv/app".into(), kept: "/srv/kept".into(), source: disk_full() },
        NoVerifier { image: image() },
        NotInLayout {
            location: text(),
            layout: LayoutPath::new("/srv/image.tar".as_ref()).unwrap(),
        },
        Immovable { path: "/srv/app".into(), source: no_such_file() },
        Immovable { path: "/srv/app".into(), source: disk_full() },
        Mounted { path: "/srv/app".into(), mount: "/srv/app/data".into() },
        UnreadableRecord { path: "/srv/app".into(), why: text() },
        NoRecord { path: "/srv/app".into() },
        Inventory { path: "/srv/app".into(), expected: text(), found: text() },
        LaterRecord { path: "/srv/app".into(), found: 2 },
        Busy { path: "/srv/app".into() },
        Older {
            content: text(),
            other: Some(text()),
            installed: Timestamp::UNIX_EPOCH,
            found: Timestamp::UNIX_EPOCH,
        },
        Undated { content: text(), installed: Timestamp::UNIX_EPOCH },
        Lock(Box::new(LockedError::Older {
            name: text(),
            expected: Box::new(digest()),
            found: Box::new(digest()),
            other: Some(text()),
            expected_at: Timestamp::UNIX_EPOCH,
            found_at: Timestamp::UNIX_EPOCH,
        })),
        Weaker {
            content: text(),
            installed: Box::new(Grounds::Digest),
            found: Box::new(Grounds::Nothing),
        },
        OtherContent { expected: digest(), found: digest() },
        OtherSigner { expected: signer(), found: Some(signer()) },
        Unverifiable { location: text(), required: text() },
        Io { action: "create", path: "/srv/app".into(), source: disk_full() },
        Io { action: "open", path: "/srv/app".into(), source: too_many_files() },
        Io { action: "open", path: "/srv/app".into(), source: no_such_file() },
        Cancelled {},
    });
    let layer = |source| Error::Layer {
        layer: digest(),
        source,
    };
    errors.extend(archive_errors().into_iter().map(layer));
    errors.extend(http_errors().into_iter().map(Error::Http));
    errors
}

fn archive_errors() -> Vec<ArchiveError> {
    samples!(ArchiveError {
        Read(std::io::ErrorKind::InvalidData.into()),
        Read(too_many_files()),
        Thread(std::io::ErrorKind::WouldBlock.into()),
        Truncated { what: "an entry", expected: 1 },
        Header(HeaderError::Checksum { expected: 1, found: 2 }),
        Header(HeaderError::Header { field: "size", expected: "a number", found: text() }),
        Header(HeaderError::Extension { expected: "a record", found: text() }),
        Compression { found: "xz" },
        Sparse { name: text(), expected: "a number", found: text() },
        EntryType { name: text(), found: 'S' },
        TrailingData {},
        ParentName { name: text() },
        Name { name: text(), kind: "file" },
        ReservedName { name: text() },
        Whiteout { name: text() },
        OwnWhiteout { name: text() },
        DanglingLink { name: text() },
        NotADirectory { name: text() },
        HardLink { name: text(), target: text(), found: "is not there" },
        Limit { what: text(), limit: 1, bound: Bound::Entries },
        Limit { what: text(), limit: 1, bound: Bound::Fixed },
        DiffId { expected: digest(), found: digest() },
        Write { name: text(), source: disk_full() },
        Write { name: text(), source: std::io::ErrorKind::InvalidFilename.into() },
        Spelling { name: text() },
        Cancelled {},
    })
}

fn http_errors() -> Vec<HttpError> {
    samples!(HttpError {
        NotFound { location: text() },
        Unreachable { location: text(), source: "connection refused".into() },
        Unreachable { location: text(), source: Box::new(too_many_files()) },
        Unavailable { location: text(), status: 503 },
        Status { location: text(), status: 403 },
        Redirect {
            location: text(),
            found: text(),
            reason: countersign_oci::http::RedirectRefused::HttpsRequired,
        },
        TooLarge { location: text(), limit: 1 },
        Failed {
            location: text(),
            source: Box::new(countersign_oci::Error::TooSlow {
                url: text(),
                source: samples::too_slow(),
            }),
        },
        Configuration { detail: text() },
    })
}

/// Values of every variant of [`GalleryError`].
pub fn gallery_errors() -> Vec<GalleryError> {
    let skipped = |error| SkippedPlace {
        location: "https://example.org/index.yaml".parse().unwrap(),
        error,
    };
    let mut indexes = countersign_policy::samples::errors();
    let mut errors = samples!(GalleryError {
        Location {
            gallery: text(),
            source: LocationError::Form { found: text() },
        },
        NoFile { location: text() },
        Http(HttpError::NotFound { location: text() }),
        NotText { location: text(), position: 1 },
        Index(indexes.swap_remove(0)),
        File { location: text(), source: no_such_file() },
        File { location: text(), source: too_many_files() },
        NotFetched {
            gallery: text(),
            skipped: vec![skipped(GalleryError::NoFile { location: text() })],
        },
        NotFetched {
            gallery: text(),
            skipped: vec![
                skipped(GalleryError::NoFile { location: text() }),
                skipped(GalleryError::Http(HttpError::Unavailable {
                    location: text(),
                    status: 503,
                })),
            ],
        },
    });
    errors.extend(http_errors().into_iter().map(GalleryError::Http));
    errors
}

/// Values of every variant of [`PlanError`], and of the errors in them.
pub fn plan_errors() -> Vec<PlanError> {
    let source = || {
        Box::new(Source::Image {
            reference: reference(),
        })
    };
    let requirements = samples!(RequirementError {
        Unsignable { found: source() },
        NoPolicy { found: source() },
        NoDigest { found: source() },
        Unverifiable { found: source() },
        DigestsDiffer { expected: digest(), found: digest() },
        NoSource {},
    });
    let entries = samples!(EntryError {
        Unknown { name: text(), nearest: None },
        Ambiguous { alias: text(), count: 2, names: vec![text(), text()] },
        NotForCapability { count: 1,
            name: text(),
            capability: "nvidia".parse::<Capability>().unwrap(),
            capabilities: vec![text()],
        },
        MissingTarget { name: text(), capability: text(), target: text() },
        Cycle { names: vec![text()] },
        TooManySteps { name: text(), limit: 1 },
        NoContent { name: text() },
        Unreadable { name: text(), fault: fault() },
    });
    let mut errors = samples!(PlanError {
        Entry { gallery: text(), source: EntryError::NoContent { name: text() } },
        Source { entry: text(), source: SourceError::Empty },
        NoGallery {},
        UnknownGallery { expected: vec![text()], found: text() },
        UnknownName { name: text(), galleries: vec![text(), text()], nearest: Some(text()) },
        Ambiguous { name: text(), galleries: vec![text(), text()] },
        UnreadableName { name: text(), gallery: text(), unreadable: text() },
        Local { entry: text(), location: text(), found: source() },
        Inward {
            entry: text(),
            location: text(),
            found: source(),
            kind: HostKind::ThisMachine,
        },
        Inward { entry: text(), location: text(), found: source(), kind: HostKind::Private },
        Locked(LockedError::Unverified { name: text() }),
        Mirrors { entry: text(), limit: 1, found: 2 },
        Requirement { entry: text(), gallery: text(), source: RequirementError::NoSource },
    });
    errors.extend(entries.into_iter().map(|source| PlanError::Entry {
        gallery: text(),
        source,
    }));
    errors.extend(
        requirements
            .into_iter()
            .map(|source| PlanError::Requirement {
                entry: text(),
                gallery: text(),
                source,
            }),
    );
    errors.extend(locked_errors().into_iter().map(PlanError::Locked));
    errors
}

fn locked_errors() -> Vec<LockedError> {
    let signer = LockedSigner::Certificate {
        issuer: text(),
        identity: text(),
    };
    samples!(LockedError {
        Unknown { name: text(), nearest: None },
        Platform { name: text(), expected: Vec::new(), found: Box::new(platform()) },
        Gallery { name: text(), expected: text(), found: text() },
        Entry { name: text(), expected: text(), found: text() },
        Digest { name: text(), expected: digest(), found: digest() },
        Weaker { name: text(), expected: text(), found: text() },
        WeakerEntry { name: text(), expected: text(), found: text() },
        Older {
            name: text(),
            expected: Box::new(digest()),
            found: Box::new(digest()),
            other: Some(text()),
            expected_at: Timestamp::UNIX_EPOCH,
            found_at: Timestamp::UNIX_EPOCH,
        },
        Undated {
            name: text(),
            expected: digest(),
            found: digest(),
            expected_at: Timestamp::UNIX_EPOCH,
        },
        Unverified { name: text() },
        Signer { name: text(), found: Box::new(signer) },
    })
}

/// Values of every variant of [`LockError`].
pub fn lock_errors() -> Vec<LockError> {
    let position = Position { line: 1, column: 2 };
    samples!(LockError {
        TooLarge { limit: 1, found: 2 },
        Version { position, expected: 1, found: 2 },
        UnknownKey { position, found: text(), nearest: None, valid: vec!["name"] },
        Value { position, key: "name", fault: LockValueError::Empty },
        Missing { position, key: "signer", grounds: "signature" },
        OutOfPlace { position, key: "signer", grounds: "digest" },
        Duplicate { position, name: text(), platform: Box::new(platform()), first: position },
        Syntax { position: None, reason: text() },
        Write { reason: text() },
    })
}

/// Values of every variant of [`LockFileError`].
pub fn lock_file_errors() -> Vec<LockFileError> {
    let path = || "countersign.lock".into();
    samples!(LockFileError {
        Read { path: path(), source: no_such_file() },
        Write { path: path(), source: disk_full() },
        Text { path: path(), fault: LockError::Syntax { position: None, reason: text() } },
        Locked(LockedError::Unverified { name: text() }),
        Unwritten(LockError::Write { reason: text() }),
        Busy { path: path(), seconds: 30 },
        Cancelled { path: path() },
    })
}

/// Values of every variant of [`StoreError`], but for the failure of a plan, whose kind and hints
/// are those of one of [`errors`].
pub fn store_errors() -> Vec<StoreError> {
    let name = || "app".parse::<Name>().unwrap();
    samples!(StoreError {
        Name("../app".parse::<Name>().unwrap_err()),
        NotInstalled { name: name(), store: "/srv/store".into() },
        NoRecord { name: name(), path: "/srv/store/app".into() },
        NotADirectory { path: "/srv/store".into() },
        Installation(Error::Cancelled),
    } but Plan)
}
