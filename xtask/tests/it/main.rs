//! The shape of the workspace: which crates and files need which, with which features, and how long files and lines are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests too"
)]

use std::path::Path;

mod architecture;
mod circles;
mod features;
mod length;
mod modules;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
