//! The installer: galleries, plans, locks and stores, against registries that behave and misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "helpers of tests are tests too"
)]

mod archives;
mod check;
mod examples;
mod gallery;
mod hundreds;
mod inspect;
mod install;
mod inward;
mod kinds;
mod layouts;
mod lock;
mod misuse;
mod names;
mod plan;
mod replaced;
mod send;
mod shop;
mod soak;
mod sources;
mod stage;
mod store;
mod unverified;
