//! Galleries: where their indexes are, and fetching them.
//!
//! An index is data: nothing in it makes an image acceptable. An old or forged one can at worst name
//! other images, which still have to be signed as the caller's own policy says. It is fetched within
//! bounds and cached with its validators. The server is asked each time, and an unchanged index is not
//! fetched again.

mod cache;
mod client;
mod error;
mod findings;
mod location;

pub use client::{FetchedIndex, GalleryClient, GalleryOptions, Origin};
pub use error::{GalleryError, SkippedPlace};
pub use findings::{IndexFault, IndexFinding, check_index};
pub use location::{GitHubFile, Location, LocationError};
