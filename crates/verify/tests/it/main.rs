//! The consumer: bundles, trusted roots and registries, good and with one flaw each.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod bundles;
mod cache;
mod children;
mod cosign;
mod example;
mod field_names;
#[expect(clippy::too_many_lines, reason = "a table of keys")]
mod fields;
mod keys;
mod misuse;
mod refusals;
mod require;
mod send;
mod simple_signing;
mod support;
mod trust;
mod verifier;
