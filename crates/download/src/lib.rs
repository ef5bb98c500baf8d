//! Fetches and unpacks images that a verifier admitted, and nothing else.
//!
//! [`Installer::install`] carries a [`Plan`] out, into a directory. In between stands
//! [`AdmittedImage`]: fetching and unpacking accept nothing else, and only a verifier's proof makes
//! one, or the [`UnverifiedPermit`] that permissive mode gives for what nothing covers. The content
//! is reached by digests alone from there on, and unpacked into a staging directory that takes the
//! target's place in one step. Where any of it fails, nothing is left. Tarballs and directories go
//! the same way, each as one archive.
//!
//! A plan says what is to be installed from where, and on what proof: its sources in order and one
//! [`Requirement`] for all. A [`Planner`] makes one of a gallery's entry without asking any
//! registry, [`Plan::of_image`] one of an image by itself.
//!
//! A [`Store`] keeps what plans installed, by name: there an upgrade is an installation of the same
//! name, and asks for the same proof.
//!
//! A [`Lock`] says what was installed and who had signed it. [`Plan::locked`] makes that one more
//! condition on a plan: the same digests, and the same signer.
//!
//! The crate writes below the target's parent directory only. It reads no environment, prints
//! nothing and picks no directories.

#![cfg(unix)]

mod admitted;
mod archive;
mod capability;
mod carry_out;
mod config;
mod content;
mod error;
mod events;
mod extract;
mod fallback;
mod file_lock;
mod galleries;
mod gallery;
mod grounds;
mod http;
mod inspect;
mod install;
mod limits;
mod lock;
mod options;
mod plan;
mod planned;
mod record;
mod requirement;
mod source;
mod store;
mod target;
mod unpack;

#[doc(hidden)]
pub mod samples;

pub use admitted::{AdmittedImage, ImageVerifier, UnverifiedPermit};
pub use capability::{Capability, CapabilityError, EntryError, ResolvedEntry};
pub use carry_out::{Outcome, PlanFailure, SourceFailure};
pub use error::Error;
pub use events::{Event, Events};
pub use extract::ArchiveError;
pub use fallback::{FallbackTags, TagRule, TagRuleError};
pub use file_lock::FileLock;
pub use galleries::Galleries;
pub use gallery::{
    FetchedIndex, GalleryClient, GalleryError, GalleryOptions, GitHubFile, Location, LocationError,
    Origin, SkippedPlace,
};
pub use grounds::{Grounds, LockedSigner, PolicySummary};
pub use http::HttpError;
pub use inspect::inspect;
pub use install::Installer;
pub use limits::{Bound, Limits};
pub use lock::{Lock, LockError, LockValueError, LockedEntry, LockedError, LockedGrounds};
pub use options::{
    Downgrade, InstallOptions, PrivateAddresses, RemoveOptions, Unrecorded, WhenBusy, WhenSame,
};
pub use plan::{Plan, PlanError, Planner};
pub use planned::{PlannedSource, Role};
pub use record::{Installed, Provenance, Recorded};
pub use requirement::{Integrity, Proof, Requirement, RequirementError, UNPROVEN};
pub use source::{Source, SourceError, Tarball, TarballCompression};
pub use store::{Installation, Name, NameError, RecordState, Store, StoreError};
