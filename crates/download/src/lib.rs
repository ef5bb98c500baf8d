//! Fetches and unpacks images that a verifier admitted, and nothing else.
//!
//! ```no_run
//! use countersign_download::{
//!     InstallRequest, Installer, Options, Plan, Platform, Policy, Registry, TrustSource, TufNetwork,
//!     Verifier,
//! };
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let policy = "{issuer: 'https://accounts.google.com', identity: 'release@example.org'}";
//!     let policy = Policy::from_yaml(policy, "policy.yaml")?;
//!     let registry = Registry::new(Options::default())?;
//!     let (cache, network) = ("cache/trust".into(), TufNetwork::Online);
//!     let trust = TrustSource::PublicGood { cache, network };
//!     let verifier = Verifier::with_source(registry.clone(), trust);
//!     let installer = Installer::new(registry, verifier);
//!     let plan = Plan::of_image("quay.io/acme/app:v1".parse()?, policy);
//!     let platform = Platform::host();
//!     let request = InstallRequest::new(&plan, &platform);
//!     installer.install(request, "app".as_ref()).await?;
//!     Ok(())
//! }
//! ```
//!
//! # Depend on it
//!
//! ```toml
//! [dependencies]
//! countersign-download = "0.1"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! ```
//!
//! - Rust 1.95 or later, edition 2024. For Unix alone: it needs file modes and `rename(2)`. The tests run on Linux.
//! - All requests need a tokio runtime with I/O and time enabled. Both flavours work.
//! - TLS is `rustls` with `aws-lc-rs`, which needs a C compiler to build.
//! - What this page needs of the crates below is exported here too: [`Policy`], [`Registry`] with its [`Options`],
//!   [`Credentials`] and [`PlainHttp`], [`Platform`], [`Verifier`] with its [`TrustSource`] and [`TrustedRoot`], and [`ErrorKind`], which every error's
//!   `kind()` is. The rest is from `countersign-verify` (proofs and refusals), `countersign-policy` (what a policy may
//!   say) and `countersign-oci` (references, digests, manifests, logins, proxies).
//!
//! `examples/install.rs` shows the progress too; `examples/own_downloader.rs` takes only the proof
//! and downloads by itself.
//!
//! # From a plan to files
//!
//! [`Installer::install`] carries out a [`Plan`]. It is the only way to install. Fetching and
//! unpacking accept nothing but an [`AdmittedImage`], which only a verifier's proof makes, or the
//! [`UnverifiedPermit`] that permissive mode gives for content that nothing covers. From there on all
//! content is asked for by digest. It is unpacked into a directory beside the target, which takes the
//! target's place in one step. If anything fails, nothing is left. Tarballs and directories go the
//! same way, each as one archive.
//!
//! A plan says what to install, from where, and on what proof: its sources in order, and one
//! [`Requirement`] for all of them. A [`Planner`] makes the plan of a gallery's entry without asking
//! any registry, [`Plan::of_image`] that of one image.
//!
//! A [`Store`] keeps installations by name. An upgrade is an installation of the same name, and needs
//! the same proof.
//!
//! A [`Lock`] says what was installed and who had signed it. [`Plan::locked`] makes that one more
//! condition of a plan: the same digests, and the same signer. A [`LockFile`] keeps one on disk.
//!
//! The crate writes only below the directory above the target, and the files and caches that it is given. It reads no environment, prints
//! nothing and chooses no directories.

#![cfg(unix)]

mod admitted;
mod age;
mod archive;
mod audit;
mod blocking;
mod capability;
mod carry_out;
mod check;
mod config;
mod content;
mod directory;
mod entry_name;
mod error;
mod events;
mod extract;
mod fallback;
mod file_lock;
mod galleries;
mod gallery;
mod grounds;
mod hold;
mod http;
mod inspect;
mod install;
mod inventory;
mod kit;
mod layer_cache;
mod limited;
mod limits;
mod lock;
mod options;
mod plan;
mod planned;
mod record;
mod request;
mod requirement;
mod source;
mod store;
mod target;
mod unpack;
#[doc(hidden)]
pub mod whole_file;

#[cfg(any(test, feature = "samples"))]
#[doc(hidden)]
pub mod samples;

#[cfg(fuzzing)]
pub mod fuzzing;

pub use admitted::{AdmittedImage, ImageVerifier, UnverifiedPermit};
pub use audit::{
    AuditSubject, Audited, Auditor, FoundSigner, GallerySubjects, Scope, State, Verdict,
    WhichSources,
};
pub use capability::{Capability, CapabilityError, EntryError, ResolvedEntry};
pub use carry_out::{
    Available, Outcome, PlanFailure, Preview, ProvenSource, Replacement, SourceFailure,
};
pub use check::{Change, CheckResult, Difference, check};
pub use countersign_oci::{Credentials, ErrorKind, Options, PlainHttp, Platform, Registry};
pub use countersign_policy::{Policy, PolicySummary};
pub use countersign_verify::{TrustSource, TrustedRoot, TufNetwork, Verifier};
pub use entry_name::EntryName;
pub use error::Error;
pub use events::{Event, Events};
pub use extract::ArchiveError;
pub use fallback::{FallbackTags, TagRule, TagRuleError};
pub use file_lock::FileLock;
pub use galleries::Galleries;
pub use gallery::{
    FetchedIndex, GalleryClient, GalleryError, GalleryOptions, GitHubFile, IndexFault,
    IndexFinding, Location, LocationError, Origin, SkippedPlace, check_index,
};
pub use grounds::{Grounds, LockedSigner};
pub use http::HttpError;
pub use inspect::inspect;
pub use install::Installer;
pub use inventory::InventoryDigest;
pub use kit::Kit;
pub use layer_cache::LayerCache;
pub use limits::{Bound, Limits};
pub use lock::{
    Lock, LockError, LockFile, LockFileError, LockValueError, LockedEntry, LockedError,
    LockedGrounds,
};
pub use options::{
    Downgrade, Durability, InstallOptions, PrivateAddresses, RemoveOptions, Unrecorded, WhenBusy,
    WhenSame,
};
pub use plan::{Plan, PlanError, Planner};
pub use planned::{PlannedSource, Role};
pub use record::{Installed, Provenance, Recorded};
pub use request::InstallRequest;
pub use requirement::{Integrity, Requirement, RequirementError, RequirementKind, UNPROVEN};
pub use source::{ARCHIVE_ENDINGS, Server, Source, SourceError, Tarball};
pub use store::{Installation, Name, NameError, RecordState, Store, StoreError};

/// The Rust blocks of the page on embedding, compiled as the tests of documentation are.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
struct Embedding;
