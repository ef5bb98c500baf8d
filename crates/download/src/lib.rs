//! Fetches and unpacks images that a verifier admitted, and nothing else.
//!
//! [`Installer::install`] goes from a reference to a directory. In between stands
//! [`AdmittedImage`]: fetching and unpacking accept nothing else, and only a verifier's proof makes
//! one. The content is reached by digests alone from there on, and unpacked into a staging
//! directory that takes the target's place in one step. Where any of it fails, nothing is left.
//!
//! The crate writes below the target's parent directory only. It reads no environment, prints
//! nothing and picks no directories.

#![cfg(unix)]

mod admitted;
mod config;
mod error;
mod extract;
mod install;
mod limits;
mod record;
mod target;
mod unpack;

pub use admitted::{AdmittedImage, ImageVerifier, PolicySummary};
pub use error::Error;
pub use extract::ArchiveError;
pub use install::{Event, Events, Installed, Installer};
pub use limits::Limits;
