//! Galleries: where their indexes are, and fetching them.
//!
//! An index is data: nothing in it makes an image acceptable, so that an old or a forged one can
//! at worst name other images, which have to be signed as the caller's own policy says. It is
//! fetched within bounds, and kept with its validators, so that an unchanged one is not fetched
//! twice; the server is asked each time.

mod cache;
mod client;
mod error;
mod location;

pub use client::{FetchedIndex, GalleryClient, GalleryOptions, Origin};
pub use error::{GalleryError, SkippedPlace};
pub use location::{GitHubFile, Location, LocationError};
