//! Policy files as people write them: what is read, what is refused, and what is said of both.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod explain;
mod file;
mod image_verifier;
mod index;
mod judge;
mod key;
mod providers;
mod schema;
mod slips;
