//! The sandbox itself: its registry and its Sigstore, each as good as the real one and as bad as a test asks.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod image;
mod registry;
mod registry_auth;
mod registry_faults;
mod sigstore;
mod sigstore_flaws;
mod sigstore_services;
